//! A change to one account, as far as rules tell changes apart.

use postern_protocol::TaskRequest;
use postern_protocol::task::Account;

/// A change to one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the change")]
pub struct Act {
    /// The account.
    pub account: String,
    /// The name it gets, if another.
    pub new_name: Option<String>,
    /// The new name follows from the old one: where that is allowed, so is this.
    pub derives_name: bool,
    /// It is made.
    pub creates: bool,
    /// It can sign in no more.
    pub deactivates: bool,
    /// It gets another password, or its password is made useless.
    pub resets: bool,
    /// It gets another e-mail address or identity: whoever has that signs in as it without its password.
    pub signs_in_otherwise: bool,
}

impl Act {
    /// What a task about one account does to it; `None` for batches, and for what changes nothing.
    pub fn of(request: &TaskRequest, brings_password: bool) -> Option<Self> {
        let touches = |account: &Account| Self { account: account.to_string(), ..Self::default() };
        let deactivates = |account| Self { deactivates: true, ..touches(account) };
        let resets = |account| Self { resets: true, ..touches(account) };
        match request {
            TaskRequest::EnableUser(it) => Some(touches(&it.account)),
            TaskRequest::UnfreezeUser(it) => Some(touches(&it.account)),
            TaskRequest::UnlockUser(it) => Some(touches(&it.account)),
            TaskRequest::DisableUser(it) => Some(deactivates(&it.account)),
            TaskRequest::FreezeUser(it) => Some(deactivates(&it.account)),
            TaskRequest::ResetPassword(it) => Some(resets(&it.account)),
            TaskRequest::ExpirePassword(it) => Some(resets(&it.account)),
            TaskRequest::DeprovisionUser(it) => Some(Self {
                new_name: Some(it.name_to_be()),
                derives_name: it.new_name.is_empty(),
                signs_in_otherwise: !it.email.is_empty(),
                ..deactivates(&it.account)
            }),
            TaskRequest::RestoreUser(it) => {
                let new_name = Some(it.name.to_string());
                let signs_in_otherwise = !it.email.is_empty();
                Some(Self { new_name, resets: brings_password, signs_in_otherwise, ..touches(&it.account) })
            }
            TaskRequest::TestConnection(_)
            | TaskRequest::ValidateUser(_)
            | TaskRequest::ImportBatch(_)
            | TaskRequest::Export(_)
            | TaskRequest::DescribeSchema(_)
            | TaskRequest::Collect(_) => None,
        }
    }

    /// Whether a protected account must be spared it.
    pub fn harms(&self) -> bool {
        self.deactivates || self.resets || self.signs_in_otherwise || self.new_name.is_some()
    }
}
