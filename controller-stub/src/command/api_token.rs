//! `api-token`.

use serde_json::json;

use super::{client, output};
use crate::api::NewApiTokenView;
use crate::cli::{ApiTokenCommand, Reach};
use crate::exit::Failure;
use crate::state::api_tokens::ApiTokenView;

pub(super) async fn run(reach: &Reach, command: ApiTokenCommand) -> Result<(), Failure> {
    let client = client(reach)?;
    match command {
        ApiTokenCommand::Create { name, role, expires } => {
            let body = json!({ "name": name, "role": role, "expires_secs": expires.map(|it| it.as_secs()) });
            let made: NewApiTokenView = client.make("/v1/api-tokens", &body).await?;
            if reach.json {
                return output::json(&made);
            }
            output::say(&made.token);
        }
        ApiTokenCommand::List => {
            let tokens: Vec<ApiTokenView> = client.list("/v1/api-tokens", usize::MAX).await?;
            if reach.json {
                return output::json(&tokens);
            }
            let heading = ["name", "role", "id", "made", "expires", "last used"];
            output::rows(&heading, tokens.iter().map(row).collect(), "there is no token");
        }
        ApiTokenCommand::Revoke { token } => {
            let gone: ApiTokenView = client.delete(&format!("/v1/api-tokens/{token}")).await?;
            if reach.json {
                return output::json(&gone);
            }
            output::say(format!("token {} ({}, {}) is revoked", gone.name, gone.role, gone.id));
        }
    }
    Ok(())
}

fn row(token: &ApiTokenView) -> Vec<String> {
    let expires = match token.expires {
        Some(at) if token.expired => format!("{}, expired", output::moment(at.0)),
        at => output::moment_if(at),
    };
    vec![
        token.name.to_string(),
        token.role.to_string(),
        token.id.to_string(),
        output::moment(token.created.0),
        expires,
        output::moment_if(token.last_used),
    ]
}
