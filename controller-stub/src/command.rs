//! What each command does. Only these modules print.

use postern_protocol::plain::on_a_terminal;
use postern_store::hardening;

use crate::api;
use crate::cli::{Command, Reach};
use crate::client::{Client, Where};
use crate::exit::{Exit, Failure};

mod accept;
mod api_token;
mod audit;
mod ca;
mod cluster;
mod confirm;
mod held;
mod member;
mod new_file;
mod outbox;
mod output;
mod payload;
mod reseal;
mod results;
mod serve;
mod signing;
mod status;
mod store;
mod submit;
mod system;
mod task;
mod watch;
mod written;

/// Carries a command out.
pub fn run(command: Command) -> Result<(), Failure> {
    hardening::keep_files_private();
    hardening::keep_memory_private()
        .map_err(|error| Failure::new(Exit::Failed, format!("core dumps cannot be switched off: {error}")))?;
    carry_out(command)?;
    output::is_whole()
}

fn carry_out(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(options) => serve::run(options),
        Command::ApiToken { reach, command } => asking(api_token::run(&reach, command)),
        Command::Audit { reach, command } => asking(audit::run(&reach, command)),
        Command::Token { reach, command } => asking(cluster::token(&reach, command)),
        Command::Cluster { reach, command } => asking(cluster::run(&reach, command)),
        Command::Member { reach, command } => asking(member::run(&reach, command)),
        Command::System { reach, command } => asking(system::run(&reach, command)),
        Command::Task { reach, command } => asking(task::run(&reach, command)),
        Command::Outbox { reach, command } => asking(outbox::run(&reach, command)),
        Command::Ca { reach, command } => asking(ca::run(&reach, command)),
        Command::Store { command } => store::run(command),
        Command::Openapi { markdown: true } => {
            output::text(api::reference());
            Ok(())
        }
        Command::Openapi { markdown: false } => output::json(&api::openapi()),
        Command::Status { reach, watch, interval } => asking(status::run(&reach, watch.then_some(interval))),
    }
}

/// Tells why a command ended badly.
#[allow(clippy::print_stderr, reason = "the one place where failures are told")]
pub fn complain(failure: &Failure) {
    eprintln!("postern-controller: {}", on_a_terminal(&failure.text));
}

/// Runs a command that only asks the API.
fn asking(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Failed, &error))?
        .block_on(work)
}

fn client(reach: &Reach) -> Result<Client, Failure> {
    Client::open(&place(reach)?)
}

/// For what outlives a restart of the controller.
async fn patient_client(reach: &Reach) -> Result<Client, Failure> {
    Client::open_patiently(&place(reach)?).await
}

fn place(reach: &Reach) -> Result<Where, Failure> {
    Ok(match (&reach.api_url, &reach.api_token_file, &reach.data_dir) {
        (Some(url), Some(token_file), _) => Where::Url { url: url.clone(), token_file: token_file.clone() },
        // Of a directory that only a variable names, the first administrator's token is not sent there: nobody named it.
        (Some(url), None, Some(directory)) if reach.is_dir_typed => {
            Where::UrlOfDataDir { url: url.clone(), directory: directory.clone() }
        }
        (None, token_file, Some(directory)) => {
            Where::DataDir { directory: directory.clone(), token_file: token_file.clone() }
        }
        (Some(_), None, _) => {
            return Err(Failure::new(
                Exit::Usage,
                "--api-url, or POSTERN_CONTROLLER_API_URL, needs --api-token-file, a file with an API token",
            ));
        }
        (None, _, None) => {
            return Err(Failure::new(
                Exit::Usage,
                "which controller? give --data-dir (or set POSTERN_CONTROLLER_DATA_DIR), or --api-url and \
                 --api-token-file",
            ));
        }
    })
}
