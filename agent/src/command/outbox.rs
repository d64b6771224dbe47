//! `postern outbox`: what this agent owes the controller, for one that is not heard any more.

use std::io::{self, Write as _};
use std::path::Path;

use postern_agent_core::{Restored, TaskState};
use postern_protocol::message::v1::Report;
use postern_protocol::outbox::OwedReport;
use postern_store::private::NewFile;
use serde_json::json;

use super::{Failed, load_private, open_whole, say, say_json};
use crate::cli::{Outbox, OutboxCommand};
use crate::exit::Exit;
use crate::identity::{Identity, IdentityDir};
use crate::store::Store;

pub(super) fn run(config: &Path, options: &Outbox) -> Result<Exit, Failed> {
    let OutboxCommand::Export { output, json } = &options.command;
    let config = load_private(config)?;
    let identity = IdentityDir::open(&config.state_dir)?.load()?.ok_or_else(|| {
        Failed::new(Exit::Refused, "this agent is not enrolled, so it owes nothing: see `postern enroll --help`")
    })?;
    let store = open_whole(&config)?;
    let mut file = NewFile::create(output).map_err(|error| unwritten(output, &error))?;
    let restored = store.restore()?;
    let (owed, begun) = owed(&restored);
    let lines = owed.iter().map(|report| line(&identity, &store, report)).collect::<Result<Vec<_>, _>>()?;
    file.fill(|file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))
        .map_err(|error| unwritten(output, &error))?;
    // The store that is in its place owes what came since, and nothing of what was in them.
    let lost = config.home().damaged_before().map_err(|error| Failed::because(Exit::Store, &error))?;
    if *json {
        say_json(&json!({ "output": output, "reports": lines.len(), "begun": begun, "damaged_stores": lost }));
    } else {
        say(format_args!(
            "{} reports are in `{}`; an operator hands them in (needs the role administrator) with: postern-controller \
             outbox import FILE",
            lines.len(),
            output.display()
        ));
        if begun > 0 {
            say(format_args!("{begun} tasks have begun and have no outcome: whoever has them next looks first"));
        }
    }
    match lost.last() {
        None => Ok(Exit::Ok),
        Some(kept) => Err(Failed::new(
            Exit::Failed,
            format!(
                "a store of this agent was damaged and is kept at `{}`: what it owed is not in `{}`; look at the tasks of \
                 this member where they were submitted, then remove it",
                kept.display(),
                output.display()
            ),
        )),
    }
}

/// What the controller is owed, and how many of its tasks have begun and have no outcome. What was asked for here is owed to
/// nobody there.
fn owed(restored: &Restored) -> (Vec<&Report>, usize) {
    let tasks = || restored.tasks.iter().filter(|task| !task.origin.is_local());
    let concluded = tasks().filter_map(|task| match &task.state {
        TaskState::Concluded(report) => Some(&**report),
        TaskState::Journaled { .. } | TaskState::Started { .. } => None,
    });
    let begun = tasks().filter(|task| matches!(task.state, TaskState::Started { .. })).count();
    (restored.reports.iter().chain(concluded).collect(), begun)
}

fn line(identity: &Identity, store: &Store, report: &Report) -> Result<String, Failed> {
    let unusable = |error: &(dyn std::error::Error + 'static)| Failed::because(Exit::Store, error);
    let owed = OwedReport::new(identity.membership.member, store.incarnation(), report).map_err(|it| unusable(&it))?;
    // The controller may know the next certificate as the present one already.
    let next = identity.next.as_ref().filter(|next| next.certificate().is_some());
    let proof = next.unwrap_or(&identity.current).sign(&owed.statement().map_err(|it| unusable(&it))?)?;
    serde_json::to_string(&owed.signed(&proof)).map_err(|it| unusable(&it))
}

fn unwritten(output: &Path, error: &io::Error) -> Failed {
    let path = output.display();
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Failed::new(
            Exit::Usage,
            format!("`{path}` is there already; move it away, or name another with --output"),
        );
    }
    Failed::new(Exit::Failed, format!("`{path}` cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use postern_agent_core::{Caller, Origin, Write};
    use postern_protocol::MemberId;
    use postern_protocol::bounded::{Bytes, List};
    use postern_protocol::id::TokenId;
    use postern_protocol::message::v1::TrustBundle;
    use postern_store::private;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};

    use super::*;
    use crate::identity::{Membership, Trust};
    use crate::store::lab::{offer, report};

    /// Tell of all that the store holds, and an operator looks at the controller for the lease of a task that it never had.
    #[tokio::test]
    async fn what_was_asked_for_here_is_owed_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (state, config) = enrolled(folder.path());
        let (store, _) = Store::open(&state).unwrap();
        let (theirs, person, schedule, begun) = (offer(1, 1), offer(2, 1), offer(3, 1), offer(4, 1));
        let ended = |task| Write::PutState(task, TaskState::Concluded(Box::new(report(0, task))));
        let writes = [
            Write::PutTask(Box::new(theirs.clone()), Origin::Controller),
            ended(theirs.task),
            Write::PutTask(Box::new(schedule.clone()), Origin::Local(Caller::Schedule)),
            ended(schedule.task),
            Write::PutTask(Box::new(person.clone()), Origin::Local(Caller::Person)),
            Write::PutState(person.task, TaskState::Started { unended: 1 }),
            Write::PutTask(Box::new(begun.clone()), Origin::Controller),
            Write::PutState(begun.task, TaskState::Started { unended: 1 }),
        ];
        store.commit(&writes).await.unwrap();
        assert_eq!(owed(&store.restore().unwrap()), (vec![&report(0, theirs.task)], 1));
        drop(store);

        let output = folder.path().join("outbox.jsonl");
        let export = OutboxCommand::Export { output: output.clone(), json: false };
        assert_eq!(run(&config, &Outbox { command: export }).unwrap(), Exit::Ok);
        let lines = fs::read_to_string(&output).unwrap();
        assert_eq!(lines.lines().count(), 1);
        assert!(lines.contains(&theirs.task.to_string()), "{lines}");
    }

    /// The state directory and the configuration of an agent that has enrolled.
    fn enrolled(folder: &Path) -> (PathBuf, PathBuf) {
        let state = folder.join("state");
        let config = folder.join("postern.toml");
        private::replace(&config, format!("[agent]\nstate_dir = {state:?}\n").as_bytes()).unwrap();
        let identity = IdentityDir::open(&state).unwrap();
        let membership = Membership {
            cluster: "acme".parse().unwrap(),
            member: MemberId::from_bytes([1; 16]),
            controllers: Vec::new(),
            token: None,
        };
        let credential =
            identity.applicant(TokenId::from_bytes([7; 16]), false).unwrap().with_certificate(b"certificate").unwrap();
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let root = Bytes::new(root.self_signed(&key).unwrap().der().to_vec()).unwrap();
        let trust = Trust::from_bundle(&TrustBundle { number: 1, roots: List::new(vec![root]).unwrap() }).unwrap();
        identity.enroll(&membership, &credential, &trust).unwrap();
        (state, config)
    }

    /// A file without a report would say that nothing is owed.
    #[test]
    fn a_store_that_was_damaged_does_not_owe_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (state, config) = enrolled(folder.path());
        drop(Store::open(&state).unwrap());
        fs::write(state.join("store").join("format"), "nonsense").unwrap();

        let output = folder.path().join("outbox.jsonl");
        let export = OutboxCommand::Export { output: output.clone(), json: false };
        let export = || run(&config, &Outbox { command: export.clone() });
        let failed = export().unwrap_err();
        assert_eq!(failed.exit, Exit::Store);
        assert!(failed.message.contains("left as it is"), "{}", failed.message);
        assert!(!output.exists());

        drop(Store::open(&state).unwrap());
        let failed = export().unwrap_err();
        assert_eq!(failed.exit, Exit::Failed, "there is a store in its place now");
        assert!(failed.message.contains("corrupt-") && failed.message.contains("is not in"), "{}", failed.message);
        assert!(output.exists(), "with what came since");
        fs::remove_file(&output).unwrap();
        let kept = fs::read_dir(state.join("store")).unwrap().map(|it| it.unwrap().path());
        let kept: Vec<_> = kept.filter(|it| it.to_string_lossy().contains("corrupt-")).collect();
        for it in &kept {
            fs::remove_dir_all(it).unwrap();
        }
        assert_eq!(export().unwrap(), Exit::Ok, "a person has looked");
    }
}
