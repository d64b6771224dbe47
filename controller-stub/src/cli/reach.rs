//! How commands find the controller.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

use crate::config::variable;

/// How to reach the controller: what stands on the command line counts before variables that answer the same question.
#[derive(Debug, Clone)]
pub struct Reach {
    /// The data directory of a controller on this host.
    pub data_dir: Option<PathBuf>,
    /// Whether it was typed, and not found in a variable.
    pub is_dir_typed: bool,
    /// The URL of the API.
    pub api_url: Option<String>,
    /// Whether it was typed, and not found in a variable.
    pub is_url_typed: bool,
    /// The file with a token for the API.
    pub api_token_file: Option<PathBuf>,
    /// Whether to answer in JSON.
    pub json: bool,
}

const API_URL: &str = "POSTERN_CONTROLLER_API_URL";

/// The options, and the variables that stand for them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reaching the controller")]
struct Options {
    /// The data directory of a controller on this host; given here, no URL counts that only the environment names
    #[arg(long, global = true, env = "POSTERN_CONTROLLER_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The URL of the API, if not that of --data-dir
    #[arg(long, global = true, env = API_URL)]
    api_url: Option<String>,
    /// The file with your token for the API, if not the first administrator's in --data-dir
    #[arg(long, global = true, env = "POSTERN_CONTROLLER_API_TOKEN_FILE")]
    api_token_file: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
}

impl FromArgMatches for Reach {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let Options { data_dir, mut api_url, mut api_token_file, json } = Options::from_arg_matches(matches)?;
        let comes_from = |option: &str, source| matches.value_source(option) == Some(source);
        let is_typed = |option| comes_from(option, ValueSource::CommandLine);
        let (is_dir_typed, is_url_typed) = (is_typed("data_dir"), is_typed("api_url"));
        let is_of_environment = |option| comes_from(option, ValueSource::EnvVariable);
        // Files of variables leave them empty.
        api_url.take_if(|it| it.is_empty() && is_of_environment("api_url"));
        if is_dir_typed && is_of_environment("api_url") && api_url.take().is_some() {
            // It is for that URL, and no other controller is to see it.
            api_token_file.take_if(|_| is_of_environment("api_token_file"));
        }
        // The same where the environment names its URL as well.
        let of_another = variable(API_URL).is_some_and(|it| !it.is_empty() && Some(it) != api_url);
        let is_for_another = is_url_typed && of_another;
        api_token_file.take_if(|_| is_for_another && is_of_environment("api_token_file"));
        Ok(Self { data_dir, is_dir_typed, api_url, is_url_typed, api_token_file, json })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Reach {
    fn augment_args(command: Command) -> Command {
        Options::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Options::augment_args_for_update(command)
    }
}
