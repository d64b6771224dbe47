//! Look a user up.

use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::task::Account;
use postern_protocol::task::validate_user::{self, Output, Request};

use super::super::user::User;
use super::super::user_login::UserLogin;
use super::super::{Salesforce, time};
use crate::connector::Conclusion;

pub(in super::super) async fn run(org: &Salesforce, it: Request) -> Result<Conclusion, Failure> {
    let user = match org.find_user(&it.account).await? {
        None => None,
        Some(user) => {
            let login = org.user_login(&user.id).await?;
            Some(told(user, login.as_ref()))
        }
    };
    Ok(Conclusion::succeeded(Output { user }, Changed::No))
}

fn told(user: User, login: Option<&UserLogin>) -> validate_user::User {
    let last_login = user.last_login_date.as_deref().and_then(time::parse);
    let license = user.profile.as_ref().and_then(|profile| profile.user_license.clone());
    validate_user::User {
        id: Text::clipped(user.id),
        account: Account::clipped(user.username),
        active: user.is_active,
        frozen: login.map(|it| it.is_frozen),
        locked: login.map(|it| it.is_password_locked),
        user_type: Text::clipped(user.kind.unwrap_or_default()),
        profile: Text::clipped(user.profile.map(|it| it.name).unwrap_or_default()),
        role: Text::clipped(user.role.map(|it| it.name).unwrap_or_default()),
        license: Text::clipped(license.map(|it| it.name).unwrap_or_default()),
        email: Text::clipped(user.email.unwrap_or_default()),
        last_login: Text::clipped(last_login.map(|at| at.to_string()).unwrap_or_default()),
    }
}
