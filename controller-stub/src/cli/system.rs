//! Connected systems on the command line: what is known of them, and who works on them.

use std::time::Duration;

use clap::{Args, Subcommand};
use postern_protocol::SystemName;
use postern_protocol::time::length;

/// Connected systems.
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Add a connected system
    #[command(after_help = "\
Example:
  postern-controller system add acme --with pilot --display-name \"Salesforce, production\"

The name is what the agents' configuration calls the system, and never changes. Only a cluster that has at least one
registered and enabled member can be chosen. A system associated with `server` takes no tasks here: this controller
runs no connectors itself.")]
    Add {
        /// Its name
        name: SystemName,
        /// `server`, or the cluster whose members work on it
        #[arg(long = "with", value_name = "CLUSTER|server")]
        association: String,
        /// Its type: what the agents' configuration calls `connector`
        #[arg(long = "type", default_value = "salesforce")]
        connector: String,
        /// What else is known of it.
        #[command(flatten)]
        details: Details,
    },
    /// Change what is known of a connected system; what is not named stays
    #[command(after_help = "\
Examples:
  postern-controller system edit acme --password-reset-by users_and_obo_user --owner ada@example.com
  postern-controller system edit acme --in fr --display-name \"Salesforce, production (fr)\"

Its name never changes, and who works on it is a matter of `system associate`.")]
    Edit {
        /// The system
        name: SystemName,
        /// What is known of it.
        #[command(flatten)]
        details: Details,
        /// The language of --display-name and --description, if not the system's own
        #[arg(long = "in", value_name = "LOCALE")]
        texts_in: Option<String>,
        /// Take an owner away; may be repeated
        #[arg(long = "remove-owner", value_name = "WHO")]
        remove_owners: Vec<String>,
        /// Take it out of a category; may be repeated
        #[arg(long = "remove-category", value_name = "NAME")]
        remove_categories: Vec<String>,
    },
    /// List the connected systems
    #[command(after_help = "Example:\n  postern-controller system list")]
    List,
    /// Show one connected system
    #[command(after_help = "Example:\n  postern-controller system show acme")]
    Show {
        /// The system
        name: SystemName,
    },
    /// Say who works on a connected system from now on
    #[command(after_help = "Example:\n  postern-controller system associate acme --with other-cluster")]
    Associate {
        /// The system
        name: SystemName,
        /// `server`, or the cluster whose members work on it
        #[arg(long = "with", value_name = "CLUSTER|server")]
        association: String,
    },
    /// Have members log more, or less, of a connected system for a while
    #[command(after_help = "\
Examples:
  postern-controller system log-level acme debug --for 2h
  postern-controller system log-level acme configured

The log stays on the hosts of the members, and names accounts from `debug` on. Members that come back meanwhile are told
what is left of the time; when it is over, what their configuration says holds again. A member's policy can refuse it:
`system show` tells what became of it at each.")]
    LogLevel {
        /// The system
        name: SystemName,
        /// error, warn, info, debug or trace; `configured` ends it
        level: String,
        /// For how long, at most a day, e.g. 2h or 30m
        #[arg(long = "for", value_name = "TIME", value_parser = length, default_value = "30m")]
        length: Duration,
    },
    /// Take a connected system away; its tasks have to be finished
    #[command(after_help = "Example:\n  postern-controller system remove acme")]
    Remove {
        /// The system
        name: SystemName,
    },
}

/// What is known of a connected system. How it is reached is a matter of the agents' configuration.
#[derive(Debug, Args)]
pub struct Details {
    /// Its name for people
    #[arg(long)]
    pub display_name: Option<String>,
    /// What it is
    #[arg(long)]
    pub description: Option<String>,
    /// Its language [default: en]
    #[arg(long)]
    pub locale: Option<String>,
    /// Who may have passwords reset, besides administrators [default: obo_user_only]
    #[arg(long, value_parser = ["obo_user_only", "users_and_obo_user", "external"])]
    pub password_reset_by: Option<String>,
    /// Whether workflows may use it [default: automated]
    #[arg(long, value_parser = ["automated", "administrative"])]
    pub provisioning_option: Option<String>,
    /// Whether its accounts are managed as privileged ones [default: false]
    #[arg(long, value_name = "true|false")]
    pub hpam: Option<bool>,
    /// Whether its accounts can be transferred [default: false]
    #[arg(long, value_name = "true|false")]
    pub transfer_of_accounts: Option<bool>,
    /// Somebody who owns it; may be repeated
    #[arg(long = "owner", value_name = "WHO")]
    pub owners: Vec<String>,
    /// What it is filed under; may be repeated
    #[arg(long = "category", value_name = "NAME")]
    pub categories: Vec<String>,
}
