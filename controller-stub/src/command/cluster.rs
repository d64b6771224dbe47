//! `cluster` and `token`.

use serde_json::json;

use super::{client, output};
use crate::api::{ClusterView, TokenView};
use crate::cli::{ClusterCommand, Reach, TokenCommand};
use crate::exit::Failure;

pub(super) async fn run(reach: &Reach, command: ClusterCommand) -> Result<(), Failure> {
    let client = client(reach)?;
    match command {
        ClusterCommand::Create { name } => {
            let made: ClusterView = client.post("/v1/clusters", &json!({ "name": name })).await?;
            if reach.json {
                return output::json(&made);
            }
            output::say(format!(
                "cluster {0} is there; next: postern-controller token create --cluster {0}",
                made.name
            ));
        }
        ClusterCommand::List => {
            let clusters: Vec<ClusterView> = client.list("/v1/clusters", usize::MAX).await?;
            if reach.json {
                return output::json(&clusters);
            }
            let rows = clusters.iter().map(|it| vec![it.name.to_string(), output::moment(it.created)]).collect();
            output::rows(&["cluster", "made"], rows, "there is no cluster: postern-controller cluster create NAME");
        }
    }
    Ok(())
}

pub(super) async fn token(reach: &Reach, command: TokenCommand) -> Result<(), Failure> {
    let TokenCommand::Create { cluster } = command;
    let made: TokenView = client(reach)?.make("/v1/tokens", &json!({ "cluster": cluster })).await?;
    if reach.json {
        return output::json(&made);
    }
    output::say(&made.token);
    Ok(())
}
