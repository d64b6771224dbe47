//! The pieces of work, and the datasets for them.

use std::fmt::Write as _;

use clap::ValueEnum;
use postern_benches::Failure;

use crate::{Args, Client};

/// The id of the profile *Standard User* in the simulated org.
const PROFILE: &str = "00e5g0000000002AAA";
/// What an export reads.
pub(crate) const FIELDS: [&str; 20] = [
    "Id",
    "Username",
    "LastName",
    "FirstName",
    "Name",
    "Email",
    "Alias",
    "IsActive",
    "Title",
    "Department",
    "Division",
    "CompanyName",
    "City",
    "Country",
    "Phone",
    "ProfileId",
    "UserRoleId",
    "TimeZoneSidKey",
    "LocaleSidKey",
    "CreatedDate",
];
/// A piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Import of new users.
    Creates,
    /// Import of changes to users, found by their names.
    Modifies,
    /// Disable users one by one.
    Switches,
    /// Give users passwords.
    Passwords,
    /// Export users with 20 fields.
    Export,
}

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Creates => "creates",
            Self::Modifies => "modifies",
            Self::Switches => "switches",
            Self::Passwords => "passwords",
            Self::Export => "export",
        }
    }

    pub(crate) fn records(self, args: &Args) -> usize {
        args.records.unwrap_or(match self {
            Self::Creates | Self::Modifies => 10_000,
            Self::Switches | Self::Passwords => 1_000,
            Self::Export => 50_000,
        })
    }

    /// How many people the org has at the start. Switches and passwords are for active ones.
    pub(crate) const fn users(self, records: usize) -> usize {
        match self {
            Self::Creates => 20,
            Self::Modifies => records,
            Self::Switches | Self::Passwords => records * 2,
            // The service account is one more.
            Self::Export => records - 1,
        }
    }

    /// How many licenses it has to spare.
    pub(crate) const fn licenses(self, records: usize) -> usize {
        match self {
            Self::Creates => records,
            Self::Modifies | Self::Switches | Self::Passwords | Self::Export => 0,
        }
    }

    pub(crate) fn modes(self, client: Client) -> &'static [&'static str] {
        match (client, self) {
            (Client::Limit | Client::Postern, _) | (_, Self::Switches | Self::Passwords) => &[""],
            (_, Self::Creates | Self::Modifies) => &["bulk", "collections"],
            (_, Self::Export) => &["bulk", "pages"],
        }
    }

    /// The dataset, or the statement of an export.
    pub(crate) fn dataset(self, records: usize) -> Result<String, Failure> {
        let mut text = String::new();
        match self {
            Self::Creates => {
                text.push_str(
                    "changetype,Username,LastName,FirstName,Alias,Email,Title,ProfileId,TimeZoneSidKey,LocaleSidKey,\
                     EmailEncodingKey,LanguageLocaleKey\n",
                );
                for number in 1..=records {
                    writeln!(
                        text,
                        "add,new{number:07}@acme.example,Newcomer,Number {number},new,new{number:07}@acme.example,\
                         Engineer,{PROFILE},Europe/Paris,en_US,UTF-8,en_US"
                    )?;
                }
            }
            Self::Modifies => {
                text.push_str("Username,Title,Department,City\n");
                for number in 1..=records {
                    writeln!(text, "{},Engineer {number},Research,Berlin", user(number))?;
                }
            }
            Self::Switches => {
                text.push_str("Username,isActive\n");
                for (_, user) in active(records) {
                    writeln!(text, "{user},false")?;
                }
            }
            Self::Passwords => {
                text.push_str("Username,password\n");
                for (number, user) in active(records) {
                    writeln!(text, "{user},Correct-Horse-{number}")?;
                }
            }
            Self::Export => write!(text, "SELECT {} FROM User", FIELDS.join(", "))?,
        }
        Ok(text)
    }
}

/// The name of a user that the simulated org begins with.
fn user(number: usize) -> String {
    format!("user{number:04}@acme.example")
}

/// The first users that are active, with their numbers: every tenth is not.
pub(crate) fn active(count: usize) -> impl Iterator<Item = (usize, String)> {
    (1..).filter(|number: &usize| !number.is_multiple_of(10)).take(count).map(|number| (number, user(number)))
}
