//! What others send, as a fuzzer makes it up.
//!
//! A [`Target`] is a function that takes any bytes and must neither panic, nor hang, nor take more memory than a few
//! answers do; where a reader has a writer, what was read is written and compared. The fuzzer and the replay of what it
//! found once call the same functions. Each says whether the bytes were taken for what they should be: a seed that is
//! refused at the first look would show nothing of what comes behind it, and nobody would see it.
//!
//! - [`wire`]: frames, requests and outputs of tasks, enrollment, what is sealed, traces;
//! - [`session`]: both ends of a session, fed with frames in any order;
//! - [`dataset`]: XML, CSV and JSON Lines of submitters, what agents say became of them;
//! - [`salesforce`]: what an org answers, and the conditions that it is sent;
//! - [`config`]: the configuration and the schema that an administrator edits, and the files that they name;
//! - [`store`]: records, notes, payloads and audit logs on disk, of agent and controller, and what stands beside them;
//! - [`identity`]: certificates, roots, signing requests, what an identity's folder holds, secrets;
//! - [`network`]: what a proxy answers, what is asked and answered on an agent's socket, who supervises it;
//! - [`submitter`]: the heads and bodies of requests and what is answered, reports that are handed in, signatures.

use std::borrow::Cow;

pub mod config;
pub mod dataset;
pub mod identity;
pub mod network;
pub mod salesforce;
pub mod session;
pub mod store;
pub mod submitter;
pub mod wire;

/// Begins and ends what an input repeats: no text has this byte.
const REPEATED: u8 = 0x1d;
/// What an input grows to: beyond the largest bound of those who are given what grew.
const GROWN: usize = 1_100_000;

/// The input with what stands between two bytes of 0x1d again and again: two to the power of the byte before it, a letter for its
/// place in the alphabet. A fuzzer makes inputs longer by a few bytes at a time, and never comes to a bound of some 100 KiB; so
/// an input that is small goes there.
pub fn grown(input: &[u8]) -> Cow<'_, [u8]> {
    if !input.contains(&REPEATED) {
        return Cow::Borrowed(input);
    }
    let mut grown = Vec::new();
    for (number, piece) in input.split(|byte| *byte == REPEATED).enumerate() {
        match piece.split_first() {
            Some((power, piece)) if number % 2 == 1 => {
                let room = GROWN.saturating_sub(grown.len()) / piece.len().max(1);
                grown.extend(piece.repeat(room.min(1 << (power % 32))));
            }
            _ => grown.extend_from_slice(piece),
        }
    }
    Cow::Owned(grown)
}

/// One reader of foreign bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, as on the command line and in the folders of its inputs.
    pub name: &'static str,
    /// Feeds it. Whether it read them: what it must refuse, it refused else.
    pub run: fn(&[u8]) -> bool,
}

/// Declares the targets by the functions they are.
macro_rules! targets {
    ($($module:ident { $($name:ident)* })*) => {
        /// Every target there is.
        pub const TARGETS: &[Target] = &[$($(Target { name: stringify!($name), run: $module::$name },)*)*];
    };
}

targets! {
    wire {
        frames_from_member
        frames_from_controller
        enrollment
        enrollment_token
        task_request
        task_json
        task_output
        trace_context
        sealed
    }
    session {
        member_session
        controller_session
        stream
    }
    dataset {
        dataset_xml
        dataset_csv
        dataset_jsonl
        dataset_split
        results
    }
    salesforce {
        token_answer
        login_answer
        call_answer
        description
        page
        table
        condition
        collection_answer
        composite_answer
        job_answer
        org_headers
    }
    config {
        configuration
        schema
        pem_file
    }
    store {
        records
        ledger_records
        payload
        audit_log
        store_files
        kept_notes
    }
    identity {
        signing_request
        certificate
        trust_bundle
        identity_file
        secret
    }
    network {
        proxy_answer
        agent_socket
        supervisor
    }
    submitter {
        submission
        policy_check
        api_bodies
        api_answer
        request_head
        records_page
        owed_report
        signed_task
    }
}

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The first byte, which chooses, and the rest.
pub(crate) fn choice(data: &[u8]) -> (usize, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (usize::from(*first), rest))
}
