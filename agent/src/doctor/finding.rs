//! What was found at one thing that was looked at.

use serde::{Deserialize, Serialize};

use crate::redaction::redacted;

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident = $id:literal,)*) => {
        /// One thing that is looked at. Its id does not change: scripts go by it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Check {
            $($(#[$doc])* #[serde(rename = $id)] $name,)*
        }

        impl Check {
            /// All of them, in the order in which they are told.
            #[cfg(test)]
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its id.
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }
        }
    };
}

checks! {
    /// The file is there and makes sense.
    ConfigurationRead = "configuration.read",
    /// Nobody else may write it.
    ConfigurationPrivate = "configuration.private",
    /// Nobody else may read the files with secrets.
    ConfigurationSecrets = "configuration.secrets",
    /// The state directory is this user's alone.
    StateDirectory = "state.directory",
    /// Who works on it now.
    StateAgent = "state.agent",
    /// The disk below it has room.
    StateDisk = "state.disk",
    /// The store opens, whole.
    StoreOpens = "store.opens",
    /// What is owed to the controller.
    StoreOutbox = "store.outbox",
    /// The audit log is written.
    StoreAudit = "store.audit",
    /// This host knows what time it is.
    Clock = "clock",
    /// This agent is a member.
    Enrolled = "controller.enrolled",
    /// Its certificate is good for a while.
    Certificate = "controller.certificate",
    /// The keys that secrets for this agent are sealed to are there.
    SealingKeys = "controller.sealing_key",
    /// The controller's name has addresses.
    ControllerDns = "controller.dns",
    /// The proxy lets through to it.
    ControllerProxy = "controller.proxy",
    /// It can be connected to.
    ControllerTcp = "controller.tcp",
    /// It speaks TLS, and nobody in between does.
    ControllerTls = "controller.tls",
    /// It is the one that this agent enrolled at.
    ControllerIdentity = "controller.identity",
    /// Both sides speak the same protocol.
    ControllerProtocol = "controller.protocol",
    /// What it lets this member do.
    Membership = "controller.membership",
    /// The settings of a connected system and the secrets they point to can be used.
    SystemConfiguration = "system.configuration",
    /// Its host's name has addresses.
    SystemDns = "system.dns",
    /// The proxy lets through to it.
    SystemProxy = "system.proxy",
    /// It can be connected to.
    SystemTcp = "system.tcp",
    /// It speaks TLS, and whoever vouches for it is known.
    SystemTls = "system.tls",
    /// The way to sign in, and whether it has a future.
    SystemMethod = "system.method",
    /// Whether the guard against lock-out lets a sign-in be made.
    SystemGuard = "system.guard",
    /// The service account signs in.
    SystemLogin = "system.login",
    /// Whether the address that the system saw fits the way to sign in.
    SystemAddress = "system.address",
    /// What the service account may do.
    SystemPermissions = "system.permissions",
    /// How many calls are left.
    SystemBudget = "system.api_budget",
    /// Whether bulk jobs can be had.
    SystemBulk = "system.bulk",
    /// What this agent lets be done to it.
    SystemPolicy = "system.policy",
}

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, and somebody should know.
    Warning,
    /// It does not work.
    Failed,
    /// It was not looked at.
    Skipped,
}

impl Status {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What was found at one thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The thing.
    pub id: Check,
    /// Whose it is, where there are several: a connected system, or a controller's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// How it is.
    pub status: Status,
    /// What was found.
    pub told: String,
    /// What to do now; empty if nothing has to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// What has to be mended first, for something that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Check>,
}

impl Finding {
    fn new(id: Check, status: Status, told: impl Into<String>, next: impl Into<String>) -> Self {
        Self { id, of: None, status, told: told.into(), next: next.into(), because: None }
    }

    /// It is as it should be.
    pub fn ok(id: Check, told: impl Into<String>) -> Self {
        Self::new(id, Status::Ok, told, "")
    }

    /// It works, and somebody should know.
    pub fn warning(id: Check, told: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(id, Status::Warning, told, next)
    }

    /// It does not work.
    pub fn failed(id: Check, told: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(id, Status::Failed, told, next)
    }

    /// It was not looked at.
    pub fn skipped(id: Check, why: impl Into<String>) -> Self {
        Self::new(id, Status::Skipped, why, "")
    }

    /// It was not looked at, because of something that has to be mended first.
    pub fn behind(id: Check, other: Check) -> Self {
        let why = format!("not looked at because of {}", other.id());
        Self { because: Some(other), ..Self::skipped(id, why) }
    }

    /// The same, of this connected system or controller.
    #[must_use]
    pub fn of(self, of: impl Into<String>) -> Self {
        Self { of: Some(of.into()), ..self }
    }

    /// The same without secrets in use.
    #[must_use]
    pub fn redacted(self) -> Self {
        Self { told: redacted(&self.told).into_owned(), next: redacted(&self.next).into_owned(), ..self }
    }

    /// Whether it keeps what comes behind it from working.
    pub fn is_failed(&self) -> bool {
        self.status == Status::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_in_the_operators_guide() {
        let guide = include_str!("../../../docs/operations/incidents.md");
        let absent: Vec<&str> =
            Check::ALL.iter().map(|it| it.id()).filter(|id| !guide.contains(&format!("| `{id}` |"))).collect();
        assert_eq!(absent, [""; 0], "docs/operations/incidents.md does not say what these mean");
    }

    #[test]
    fn a_finding_for_scripts_has_stable_names_and_nothing_that_is_empty() {
        let finding = Finding::behind(Check::SystemLogin, Check::SystemGuard).of("acme");
        let json = serde_json::to_value(&finding).unwrap();
        let wanted = serde_json::json!({
            "id": "system.login", "of": "acme", "status": "skipped", "because": "system.guard",
            "told": "not looked at because of system.guard",
        });
        assert_eq!(json, wanted);
        assert_eq!(serde_json::from_value::<Finding>(json).unwrap(), finding);
    }
}
