//! Which options of `task submit` belong to which kinds.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use postern_protocol::TaskKind;
use postern_protocol::code::CodeSet as _;

use super::Submit;

/// A task to submit, without an option of another kind: what is dropped without a word is taken for what was done.
#[derive(Debug)]
pub struct Fitting(pub Submit);

impl FromArgMatches for Fitting {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let submit = Submit::from_arg_matches(matches)?;
        let command = Submit::augment_args(Command::new("submit"));
        for option in command.get_opts() {
            let (id, kinds) = (option.get_id().as_str(), kinds_of(option.get_id().as_str()));
            if matches.value_source(id) == Some(ValueSource::CommandLine) && !kinds.contains(&submit.kind) {
                let named: Vec<&str> = kinds.iter().map(|it| it.name()).collect();
                let long = option.get_long().unwrap_or(id);
                let sentence = format!("--{long} belongs to {}, not to {}", named.join(", "), submit.kind);
                return Err(Error::raw(ErrorKind::ArgumentConflict, sentence));
            }
        }
        Ok(Self(submit))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Fitting {
    fn augment_args(command: Command) -> Command {
        Submit::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Submit::augment_args_for_update(command)
    }
}

/// The kinds that an option belongs to; one that has no line here belongs to none.
fn kinds_of(option: &str) -> &'static [TaskKind] {
    use TaskKind::{
        Collect, DeprovisionUser, DescribeSchema, DisableUser, EnableUser, ExpirePassword, Export, FreezeUser,
        ImportBatch, ResetPassword, RestoreUser, UnfreezeUser, UnlockUser, ValidateUser,
    };
    match option {
        "account" => &[
            ValidateUser,
            EnableUser,
            DisableUser,
            FreezeUser,
            UnfreezeUser,
            UnlockUser,
            ResetPassword,
            ExpirePassword,
            DeprovisionUser,
            RestoreUser,
        ],
        "if_refused" => &[DisableUser],
        "new_name" => &[DeprovisionUser],
        "name" => &[RestoreUser],
        "email" => &[DeprovisionUser, RestoreUser],
        "password_file" => &[ResetPassword, RestoreUser],
        "generate" | "service" | "output_password" | "show_password" => &[ResetPassword],
        "repeat_if_unknown" => &[ResetPassword, ExpirePassword],
        "dataset" | "format" | "delimiter" | "dry_run" | "all_or_none" | "bulk_threshold" | "attributes"
        | "audit_key" | "account_id" | "login_id" | "dynamic_system" | "system_variable" | "variables" => {
            &[ImportBatch]
        }
        "params" | "output" | "result_key" => &[Export, DescribeSchema, Collect],
        "system" | "origin" | "asynchronous" | "deadline_secs" | "priority" | "timeout_secs" | "sign_with"
        | "write" | "id" => TaskKind::ALL,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;

    /// Options whose help names no kinds, for they are of every one.
    const OF_EVERY_KIND: &[&str] =
        &["system", "origin", "async", "deadline-secs", "priority", "timeout-secs", "sign-with", "write", "id"];

    /// The kinds that the help of an option names in front of a colon.
    fn told_by_help(option: &Arg) -> Vec<TaskKind> {
        let help = option.get_help().unwrap().to_string();
        if let Some((_, others)) = help.split_once("every kind but ") {
            let others = others.replace(" and ", ", ");
            return TaskKind::ALL
                .iter()
                .copied()
                .filter(|it| !others.split(", ").any(|other| other == it.name()))
                .collect();
        }
        let (kinds, _) = help.split_once(": ").unwrap_or_default();
        kinds.split(", ").filter_map(|it| it.split(' ').next()?.parse().ok()).collect()
    }

    /// The option with a value that it takes, and what it cannot be without.
    fn typed(option: &Arg) -> Vec<String> {
        let long = option.get_long().unwrap();
        let value = match long {
            "if-refused" => "freeze",
            "format" => "csv",
            "delimiter" => "tab",
            "bulk-threshold" | "deadline-secs" | "priority" | "timeout-secs" => "7",
            "attribute" => "Email=audited",
            "dynamic-system" => "global_variable",
            "variable" => "a=b",
            "origin" => "user",
            "id" => "tsk_0195d8a0000070008000000000000000",
            _ => "x",
        };
        let mut typed = vec![format!("--{long}")];
        typed.extend(option.get_action().takes_values().then(|| value.to_owned()));
        typed.extend((long == "result-key").then(|| "--async".to_owned()));
        typed
    }

    #[test]
    fn an_option_is_taken_with_the_kinds_that_its_help_names_and_with_no_other() {
        let command = Cli::command();
        let submit = command.find_subcommand("task").unwrap().find_subcommand("submit").unwrap();
        for option in submit.get_opts().filter(|it| !it.is_global_set()) {
            let (long, told) = (option.get_long().unwrap(), told_by_help(option));
            assert_ne!(told.is_empty(), !OF_EVERY_KIND.contains(&long), "--{long}: whose is it?");
            for kind in TaskKind::ALL {
                let mut line = vec!["postern-controller".to_owned(), "task".to_owned(), "submit".to_owned()];
                line.push(kind.name().to_owned());
                line.extend((long != "system").then(|| "--system=acme".to_owned()));
                line.extend(typed(option));
                let refused = Cli::try_parse_from(&line).err().map(|it| it.to_string()).unwrap_or_default();
                let fits = told.is_empty() || told.contains(kind);
                assert_eq!(refused.is_empty(), fits, "{line:?}: {refused}");
                assert!(fits || refused.contains(&format!("--{long} belongs to ")), "{line:?}: {refused}");
            }
        }
    }

    #[test]
    fn who_does_not_wait_cannot_give_up_waiting() {
        let line = |more: &[&str]| {
            let task = ["postern-controller", "task", "submit", "enable_user", "--system=acme", "--account=joe"];
            Cli::try_parse_from(task.iter().chain(more)).is_ok()
        };
        assert!(line(&["--async"]) && line(&["--timeout-secs=60"]) && !line(&["--async", "--timeout-secs=60"]));
    }
}
