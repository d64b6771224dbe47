//! What nobody could look up: each open point of the wire facts is one named switch.

use serde::{Deserialize, Serialize};

/// How the simulator behaves where the documentation is silent. Correct a default here once a real org has shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent yes or no nobody knows yet")]
pub struct Assumptions {
    /// HTTP status of a refused password: policy broken, user inactive.
    pub refused_password_status: u16,
    /// Error code for setting the password of an inactive user.
    pub inactive_password_code: String,
    /// `isExpired` after an administrator has set a password.
    pub expired_after_set: bool,
    /// `isExpired` after a reset (`DELETE` on the password).
    pub expired_after_reset: bool,
    /// HTTP status of `DELETE` on a user.
    pub delete_user_status: u16,
    /// Error code of `DELETE` on a user.
    pub delete_user_code: String,
    /// Whether a login moves `SystemModstamp` of the user.
    pub login_moves_system_modstamp: bool,
    /// Whether setting or resetting a password moves `SystemModstamp` of the user.
    pub password_moves_system_modstamp: bool,
    /// Text of `LICENSE_LIMIT_EXCEEDED`.
    pub license_limit_text: String,
    /// OAuth `error_description` for a deactivated or frozen user.
    pub oauth_inactive_text: String,
    /// OAuth `error_description` for an address outside the login ranges of the profile.
    pub oauth_restricted_text: String,
    /// Error code of SOAP `login()` on v65 and later.
    pub soap_login_retired_code: String,
    /// `replicateable` of Profile.
    pub profile_replicateable: bool,
    /// Whether a right password without a needed token counts toward the lock-out.
    pub missing_token_counts: bool,
    /// Whether password and token are accepted together from a trusted range.
    pub token_accepted_when_trusted: bool,
    /// Whether a changed e-mail waits for its confirmation link.
    pub email_change_is_pending: bool,
    /// Error code and text for deactivating oneself.
    pub deactivate_self: (String, String),
    /// HTTP status of REST calls with a session whose password has expired.
    pub expired_password_status: u16,
    /// Error code for adding a user to a group it is in.
    pub double_group_member_code: String,
    /// HTTP status, error code and text for a bulk upload of more than 150 MB, counted in base64.
    pub oversized_upload: (u16, String, String),
    /// The most characters of a URL inside a composite; none given: as many as the body holds.
    pub longest_inner_url: Option<usize>,
    /// HTTP status, error code and text for a longer one.
    pub too_long_inner_url: (u16, String, String),
    /// Whether a job that is aborted before it was handed over lists the rows of its upload as unprocessed.
    pub aborted_upload_is_unprocessed: bool,
    /// HTTP status, error code and text for a locator of bulk query results that is not known.
    pub invalid_bulk_locator: (u16, String, String),
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            refused_password_status: 400,
            inactive_password_code: "INACTIVE_OWNER_OR_USER".to_owned(),
            expired_after_set: false,
            expired_after_reset: true,
            delete_user_status: 400,
            delete_user_code: "INSUFFICIENT_ACCESS_OR_READONLY".to_owned(),
            login_moves_system_modstamp: false,
            password_moves_system_modstamp: true,
            license_limit_text:
                "License limit exceeded. Deactivate a user with the same license, or buy more licenses.".to_owned(),
            oauth_inactive_text: "authentication failure".to_owned(),
            oauth_restricted_text: "ip restricted".to_owned(),
            soap_login_retired_code: "UNSUPPORTED_API_VERSION".to_owned(),
            profile_replicateable: false,
            missing_token_counts: true,
            token_accepted_when_trusted: true,
            email_change_is_pending: true,
            deactivate_self: (
                "FIELD_INTEGRITY_EXCEPTION".to_owned(),
                "You cannot deactivate your own user.".to_owned(),
            ),
            expired_password_status: 403,
            double_group_member_code: "DUPLICATE_VALUE".to_owned(),
            longest_inner_url: None,
            too_long_inner_url: (414, "URI_TOO_LONG".to_owned(), "URI Too Long".to_owned()),
            aborted_upload_is_unprocessed: true,
            invalid_bulk_locator: (400, "INVALID_QUERY_LOCATOR".to_owned(), "invalid query locator".to_owned()),
            oversized_upload: (400, "INVALIDBATCH".to_owned(), "Max content size exceeded".to_owned()),
        }
    }
}
