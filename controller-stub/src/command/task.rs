//! `task`.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use postern_protocol::plain::on_one_line;
use postern_protocol::{Outcome, TaskId, TaskOutput};
use serde_json::{Value, json};

use super::held::{Held, at_ctrl_c, unheard};
use super::{client, output, patient_client, payload, reseal, results, signing, submit, written};
use crate::cli::{Reach, TaskCommand};
use crate::client::Client;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::state::origin::Origin;
use crate::state::record::AttemptRecord;
use crate::state::tasks::{ObservationView, TaskView};

/// The state in which only the submitter can help.
const NEEDS_RESEAL: &str = "needs_reseal";

pub(super) async fn run(reach: &Reach, command: TaskCommand) -> Result<(), Failure> {
    let client = || client(reach);
    let patient_client = || patient_client(reach);
    match command {
        TaskCommand::Submit(options) => submit::run(reach, &patient_client().await?, &options.0).await,
        TaskCommand::Send { file, asynchronous, timeout_secs } => {
            let (id, body) = written::read(&file, asynchronous)?;
            let client = patient_client().await?;
            if asynchronous {
                return submit::accepted(reach, &submit::submitted(&client, id, None, &body).await?);
            }
            let view = submit::ended(&client, id, None, &body, timeout_secs.map(Duration::from_secs)).await?;
            show(reach, &view)?;
            judge(&view)
        }
        TaskCommand::SigningKey { file } => signing::make_key(reach, &file),
        TaskCommand::Show { task } => show(reach, &client()?.get(&format!("/v1/tasks/{task}")).await?),
        TaskCommand::Cancel { task } => {
            show(reach, &client()?.post(&format!("/v1/tasks/{task}/cancel"), &json!({})).await?)
        }
        TaskCommand::Reseal { task, password_file, sign_with } => {
            show(reach, &reseal::run(&patient_client().await?, task, &password_file, sign_with.as_deref()).await?)
        }
        TaskCommand::Wait { task, timeout_secs } => {
            let patience = timeout_secs.map(Duration::from_secs);
            let waited = async { wait(&patient_client().await?, task, patience, None).await };
            let view = waited.await.map_err(|failure| unheard(task, failure))?;
            show(reach, &view)?;
            judge(&view)
        }
        TaskCommand::List { system, state, limit } => {
            let system = system.map(|it| format!("system={it}"));
            let state = state.map(|it| format!("state={it}"));
            let query = system.into_iter().chain(state).collect::<Vec<_>>().join("&");
            let (tasks, are_more): (Vec<TaskView>, bool) = client()?
                .beginning(&format!("/v1/tasks?{query}"), usize::try_from(limit).unwrap_or(usize::MAX))
                .await?;
            list(reach, &tasks)?;
            if are_more {
                output::remark(format!("there are more than these {limit}: see older ones with a larger --limit"));
            }
            Ok(())
        }
        TaskCommand::Results { task, output: Some(file), key: Some(key), .. } => {
            let (key, file, client) = (payload::read_key(&key)?, payload::begin(&file)?, client()?);
            let view: TaskView = client.get(&format!("/v1/tasks/{task}")).await?;
            judge(&view)?;
            payload::download(&client, &view, &key, file).await
        }
        TaskCommand::Results { task, output, failed, dataset, key: _ } => {
            results::run(&client()?, task, output.as_deref(), failed.as_deref().zip(dataset.as_deref())).await
        }
    }
}

/// Waits until the task is finished, with a line on the terminal that says how far it is. Whoever holds what nobody else can
/// open waits for the controller as well, however long it is away.
pub(super) async fn wait(
    client: &Client,
    task: TaskId,
    patience: Option<Duration>,
    held: Option<Held>,
) -> Result<TaskView, Failure> {
    let watched = std::io::stderr().is_terminal();
    let line = line(if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
    let until = patience.map(|it| clock::now() + it);
    let (mut told, mut told_stuck) = (false, false);
    loop {
        let left = until.map_or(u64::MAX, |it| it.since(clock::now()).as_secs().max(1));
        // The first look is a short one: who waits wants to know for what.
        let secs = left.min(if watched || !told { 1 } else { 25 });
        let path = format!("/v1/tasks/{task}/wait?secs={secs}");
        let look = async || client.get_patiently(&path).await;
        let view: TaskView = match held {
            Some(held) => held.until_answered(client, look).await?,
            None => look().await?,
        };
        if view.outcome.is_some() {
            line.finish_and_clear();
            return Ok(view);
        }
        let is_stuck = view.state == NEEDS_RESEAL;
        if !view.waits_for.is_empty() && (!told || is_stuck && !told_stuck) {
            output::remark(format!("task {task} waits: {}; {}", view.waits_for, at_ctrl_c(held)));
        }
        (told, told_stuck) = (true, is_stuck);
        tell(&line, &view);
        if until.is_some_and(|it| it <= clock::now()) {
            line.finish_and_clear();
            return Err(Failure::new(
                Exit::UnderWay,
                format!(
                    "task {task} is not finished yet ({}): `postern-controller task wait {task}` waits on",
                    how_far(&view)
                ),
            ));
        }
    }
}

/// The line that says how far a task is.
fn line(target: ProgressDrawTarget) -> ProgressBar {
    ProgressBar::with_draw_target(None, target).with_style(ProgressStyle::default_spinner())
}

fn tell(line: &ProgressBar, view: &TaskView) {
    // A member has a say in it, and neither in what the terminal does nor in how many lines it takes.
    line.set_message(on_one_line(&how_far(view)));
    line.tick();
}

fn how_far(view: &TaskView) -> String {
    let progress = view.progress.as_ref().map(|it| match it.total {
        0 => format!(", {} {}", it.phase, it.done),
        total => format!(", {} {} of {total}", it.phase, it.done),
    });
    let waits = if view.waits_for.is_empty() { String::new() } else { format!(": {}", view.waits_for) };
    format!("{}{}{waits}", view.state, progress.unwrap_or_default())
}

/// Success or not, for the exit code.
pub(super) fn judge(view: &TaskView) -> Result<(), Failure> {
    match view.outcome {
        Some(Outcome::Succeeded | Outcome::AlreadySatisfied) => Ok(()),
        Some(outcome) => Err(Failure::new(Exit::Failed, format!("task {} ended as {outcome}", view.id))),
        None => Err(Failure::new(
            Exit::UnderWay,
            format!("task {0} is not finished: `postern-controller task wait {0}` waits for it", view.id),
        )),
    }
}

fn list(reach: &Reach, tasks: &[TaskView]) -> Result<(), Failure> {
    if reach.json {
        return output::json(&tasks);
    }
    let rows = tasks
        .iter()
        .map(|it| {
            let how = it.outcome.map_or_else(|| how_far(it), |outcome| outcome.to_string());
            vec![
                it.id.to_string(),
                it.kind.to_string(),
                it.system.to_string(),
                account(&it.params),
                how,
                output::moment(it.submitted.0),
            ]
        })
        .collect();
    output::rows(&["task", "kind", "system", "account", "how", "submitted"], rows, "there is no such task");
    Ok(())
}

/// Shows a task.
pub(super) fn show(reach: &Reach, view: &TaskView) -> Result<(), Failure> {
    if reach.json {
        return output::json(view);
    }
    let failure = view.failure.as_ref();
    let mut facts = vec![
        ("task", view.id.to_string()),
        ("kind", view.kind.to_string()),
        ("system", format!("{} (cluster {})", view.system, view.cluster)),
        ("account", account(&view.params)),
        ("state", if view.outcome.is_some() { view.state.clone() } else { how_far(view) }),
        ("outcome", outcome(view)),
        ("failure", failure.map(|it| format!("{}: {}", it.code.as_str(), it.summary.as_str())).unwrap_or_default()),
        ("next step", failure.map(|it| it.next_step.to_string()).unwrap_or_default()),
        ("note", view.note.clone()),
        ("member", view.member.map(|it| it.to_string()).unwrap_or_default()),
        ("cancel", if view.cancel_requested { "requested".to_owned() } else { String::new() }),
        ("origin", if view.origin == Origin::Administrator { String::new() } else { view.origin.text().to_owned() }),
        ("submitted", output::moment(view.submitted.0)),
        ("deadline", output::moment_if(view.deadline)),
        ("finished", output::moment_if(view.finished)),
    ];
    facts.extend(view.attempts.iter().map(|it| ("attempt", attempt(it))));
    facts.extend(view.observations.iter().map(|it| ("late report", late_report(it))));
    let fields = view.output.as_ref().map(|output| TaskOutput::fields(view.kind, output)).unwrap_or_default();
    facts.extend(fields.iter().map(|(name, value)| (name.as_str(), value.clone())));
    if let Some(payload) = view.streams.first() {
        facts.push(("results", format!("{} bytes: postern-controller task results {}", payload.length, view.id)));
    }
    output::facts(facts);
    Ok(())
}

fn attempt(it: &AttemptRecord) -> String {
    format!("{}, lease {}: {}, {}", it.number, it.epoch, it.member, output::moment(it.at.0))
}

/// What an earlier holder said after the task had gone to another.
fn late_report(it: &ObservationView) -> String {
    let ObservationView { member, epoch, outcome, certainty, changed, .. } = it;
    format!("lease {epoch}: {member} said {outcome} ({certainty}; anything changed: {changed})")
}

fn outcome(view: &TaskView) -> String {
    let Some(outcome) = view.outcome else { return String::new() };
    let certainty = view.certainty.map(|it| it.to_string()).unwrap_or_default();
    let changed = view.changed.map(|it| it.to_string()).unwrap_or_default();
    format!("{outcome} ({certainty}; anything changed: {changed})")
}

fn account(params: &Value) -> String {
    params.get("account").and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;
    use crate::client::canned::{self, Canned};

    /// A terminal that keeps what is written.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            200
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The phase is a member's word.
    #[test]
    fn whoever_waits_sees_how_far_the_task_is_and_nothing_that_moves_the_cursor() {
        let mut task = canned::task(TaskId::from_bytes([7; 16]));
        task["state"] = json!("started");
        task["progress"] = json!({ "done": 3, "total": 7, "phase": "\u{1b}[2Jread\u{9b}2J\r\n" });
        let screen = Screen::default();
        tell(&line(ProgressDrawTarget::term_like(Box::new(screen.clone()))), &serde_json::from_value(task).unwrap());
        let shown = screen.0.lock().unwrap().clone();
        assert!(shown.contains("started,  [2Jread 2J   3 of 7"), "{shown:?}");
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }

    /// Give up as for others, and the password that the account has then is known to nobody.
    #[tokio::test]
    async fn whoever_holds_what_nobody_else_can_open_waits_for_a_controller_that_stays_away_or_has_no_time() {
        let canned = Canned::new().await;
        let task = TaskId::from_bytes([7; 16]);
        let view = canned::task(task).to_string();
        let away = [(50, 503, "{}"), (1, 200, view.as_str())];
        let waiting = wait(&canned.client, task, None, Some(Held::Password));
        let (ended, _) = tokio::join!(waiting, canned.answer(&away));
        assert_eq!(ended.unwrap().outcome, Some(Outcome::Succeeded));

        let later = json!({ "status": 429, "title": "", "detail": "too many requests", "retry_after": 1 }).to_string();
        let busy = [(50, 429, later.as_str()), (1, 200, view.as_str())];
        let waiting = wait(&canned.client, task, None, Some(Held::Password));
        let (ended, _) = tokio::join!(waiting, canned.answer(&busy));
        assert_eq!(ended.unwrap().outcome, Some(Outcome::Succeeded));

        let (ended, _) = tokio::join!(wait(&canned.client, task, None, None), canned.answer(&[(20, 503, "{}")]));
        let failure = ended.unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
        let lost = Held::Password.lost(task, failure);
        assert!(lost.text.contains("reset it again"), "{}", lost.text);
    }
}
