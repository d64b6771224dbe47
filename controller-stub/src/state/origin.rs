//! Who is behind a task, and what connected systems let them ask for.

use postern_protocol::TaskKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{PasswordResetBy, ProvisioningOption, SystemRecord};
use super::{Refusal, RefusalKind};

/// Who is behind a task. The submitter says it: whoever has a token that may submit is trusted to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An administrator.
    #[default]
    Administrator,
    /// A user, about an account of its own.
    User,
    /// Somebody on behalf of a user.
    OboUser,
    /// A workflow.
    Workflow,
}

impl Origin {
    /// Its name for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::User => "user",
            Self::OboUser => "OBO user",
            Self::Workflow => "workflow",
        }
    }

    /// The default, of which nothing need be said.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
    pub(super) fn is_administrator(&self) -> bool {
        *self == Self::Administrator
    }

    /// Whether a system takes tasks of this kind from here.
    pub(super) fn check(self, system: &SystemRecord, kind: TaskKind) -> Result<(), Refusal> {
        let (name, details) = (&system.name, &system.details);
        match self {
            Self::Administrator => Ok(()),
            Self::Workflow if details.provisioning_option == ProvisioningOption::Automated => Ok(()),
            Self::Workflow => Err(refused(format!(
                "system `{name}` is for administrative provisioning, so workflows cannot use it: ask an administrator"
            ))),
            Self::User | Self::OboUser if kind != TaskKind::ResetPassword => Err(refused(format!(
                "users can ask for a new password, and for nothing else: {kind} is for administrators and workflows"
            ))),
            Self::User if details.password_reset_by == PasswordResetBy::UsersAndOboUser => Ok(()),
            Self::OboUser if details.password_reset_by != PasswordResetBy::External => Ok(()),
            Self::User | Self::OboUser => Err(refused(format!(
                "passwords of system `{name}` are reset by: {}; ask an administrator",
                details.password_reset_by.text()
            ))),
        }
    }
}

fn refused(message: String) -> Refusal {
    Refusal { kind: RefusalKind::Forbidden, field: Some("origin"), message }
}

#[cfg(test)]
mod tests {
    use postern_protocol::time::UnixMillis;

    use super::super::record::{Association, SystemDetails};
    use super::*;

    fn allows(details: &SystemDetails, origin: Origin, kind: TaskKind) -> bool {
        let system = SystemRecord {
            revision: 0,
            name: "sf".parse().unwrap(),
            connector: "salesforce".to_owned(),
            display_name: String::new(),
            description: String::new(),
            association: Association::Server,
            details: details.clone(),
            log_level: None,
            created: UnixMillis(0),
        };
        origin.check(&system, kind).is_ok()
    }

    /// The whole table. Feature B18.
    #[test]
    fn each_setting_of_a_system_lets_in_whom_it_says() {
        use Origin::{Administrator, OboUser, User, Workflow};
        use PasswordResetBy::{External, OboUserOnly, UsersAndOboUser};
        let rows = [(OboUserOnly, false, true), (UsersAndOboUser, true, true), (External, false, false)];
        for (password_reset_by, users, obo_users) in rows {
            let details = SystemDetails { password_reset_by, ..SystemDetails::default() };
            for (origin, allowed) in [(User, users), (OboUser, obo_users), (Administrator, true), (Workflow, true)] {
                assert_eq!(
                    allows(&details, origin, TaskKind::ResetPassword),
                    allowed,
                    "{password_reset_by:?} {origin:?}"
                );
            }
        }
        for kind in TaskKind::ALL.iter().copied().filter(|kind| *kind != TaskKind::ResetPassword) {
            let details = SystemDetails { password_reset_by: UsersAndOboUser, ..SystemDetails::default() };
            for (origin, allowed) in [(User, false), (OboUser, false), (Administrator, true), (Workflow, true)] {
                assert_eq!(allows(&details, origin, kind), allowed, "{kind} {origin:?}");
            }
            let provisioning_option = ProvisioningOption::Administrative;
            let details = SystemDetails { provisioning_option, ..SystemDetails::default() };
            assert!(!allows(&details, Workflow, kind) && allows(&details, Administrator, kind), "{kind}");
        }
    }
}
