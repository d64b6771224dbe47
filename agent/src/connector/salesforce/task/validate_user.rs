//! Look a user up.

use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::task::Account;
use postern_protocol::task::validate_user::{self, Output, Request};
use serde_json::Value as Json;

use super::super::user::User;
use super::super::{Salesforce, error, soql};
use crate::connector::Conclusion;

pub(in super::super) async fn run(org: &Salesforce, it: Request) -> Result<Conclusion, Failure> {
    let user = match org.find_user(&it.account).await? {
        None => None,
        Some(user) => {
            let login = login_state(org, &user.id).await?;
            Some(told(user, login))
        }
    };
    Ok(Conclusion::succeeded(Output { user }, Changed::No))
}

/// Whether the user is frozen and locked; not known if the service account may not see it.
async fn login_state(org: &Salesforce, user: &str) -> Result<(Option<bool>, Option<bool>), Failure> {
    let user = soql::literal(user);
    match org.query(&format!("SELECT IsFrozen, IsPasswordLocked FROM UserLogin WHERE UserId = {user}")).await {
        Ok((rows, _)) => {
            let flag = |name: &str| rows.first().and_then(|row| row.get(name)).and_then(Json::as_bool);
            Ok((flag("IsFrozen"), flag("IsPasswordLocked")))
        }
        Err(failure) if error::is_retryable(&failure) => Err(failure),
        // Without Manage Users the object is not there at all.
        Err(_) => Ok((None, None)),
    }
}

fn told(user: User, (frozen, locked): (Option<bool>, Option<bool>)) -> validate_user::User {
    let license = user.profile.as_ref().and_then(|profile| profile.user_license.clone());
    validate_user::User {
        id: Text::clipped(user.id),
        account: Account::clipped(user.username),
        active: user.is_active,
        frozen,
        locked,
        user_type: Text::clipped(user.kind.unwrap_or_default()),
        profile: Text::clipped(user.profile.map(|it| it.name).unwrap_or_default()),
        role: Text::clipped(user.role.map(|it| it.name).unwrap_or_default()),
        license: Text::clipped(license.map(|it| it.name).unwrap_or_default()),
    }
}
