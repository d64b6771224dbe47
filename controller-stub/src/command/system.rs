//! `system`.

use serde_json::json;

use super::{client, output};
use crate::api::SystemView;
use crate::cli::{Reach, SystemCommand};
use crate::exit::Failure;

pub(super) async fn run(reach: &Reach, command: SystemCommand) -> Result<(), Failure> {
    let client = client(reach)?;
    let system: SystemView = match command {
        SystemCommand::List => {
            let systems: Vec<SystemView> = client.get("/v1/systems").await?;
            return if reach.json { output::json(&systems) } else { list(&systems) };
        }
        SystemCommand::Add { name, association, connector, display_name, description } => {
            let body = json!({
                "name": name,
                "type": connector,
                "association": association,
                "display_name": display_name,
                "description": description,
            });
            client.post("/v1/systems", &body).await?
        }
        SystemCommand::Show { name } => client.get(&format!("/v1/systems/{name}")).await?,
        SystemCommand::Associate { name, association } => {
            client.post(&format!("/v1/systems/{name}/associate"), &json!({ "association": association })).await?
        }
        SystemCommand::Remove { name } => client.delete(&format!("/v1/systems/{name}")).await?,
    };
    if reach.json {
        return output::json(&system);
    }
    output::facts(vec![
        ("system", system.name.to_string()),
        ("type", system.connector),
        ("display name", system.display_name),
        ("description", system.description),
        ("associated with", system.association),
        ("made", output::moment(system.created)),
    ]);
    Ok(())
}

#[allow(clippy::unnecessary_wraps, reason = "it ends a command like the others do")]
fn list(systems: &[SystemView]) -> Result<(), Failure> {
    let rows = systems
        .iter()
        .map(|it| vec![it.name.to_string(), it.connector.clone(), it.association.clone(), it.display_name.clone()])
        .collect();
    output::rows(
        &["system", "type", "associated with", "display name"],
        rows,
        "there is no connected system: postern-controller system add NAME --with CLUSTER",
    );
    Ok(())
}
