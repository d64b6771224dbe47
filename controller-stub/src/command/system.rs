//! `system`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{client, output};
use crate::api::SystemView;
use crate::cli::{Details, Reach, SystemCommand};
use crate::exit::Failure;
use crate::state::served::ServingView;

pub(super) async fn run(reach: &Reach, command: SystemCommand) -> Result<(), Failure> {
    let client = client(reach)?;
    let system: SystemView = match command {
        SystemCommand::List => {
            let systems: Vec<SystemView> = client.list("/v1/systems", usize::MAX).await?;
            return if reach.json { output::json(&systems) } else { list(&systems) };
        }
        SystemCommand::Add { name, association, connector, details } => {
            let more = [("name", json!(name)), ("type", json!(connector)), ("association", json!(association))];
            client.make("/v1/systems", &known(&details, more)).await?
        }
        SystemCommand::Edit { name, details, texts_in, remove_owners, remove_categories } => {
            let more = [
                ("in", json!(texts_in)),
                ("remove_owners", json!(remove_owners)),
                ("remove_categories", json!(remove_categories)),
            ];
            client.post(&format!("/v1/systems/{name}"), &known(&details, more)).await?
        }
        SystemCommand::Show { name } => client.get(&format!("/v1/systems/{name}")).await?,
        SystemCommand::Associate { name, association } => {
            client.post(&format!("/v1/systems/{name}/associate"), &json!({ "association": association })).await?
        }
        SystemCommand::LogLevel { name, level, length } => {
            let wanted = json!({ "level": level, "for_secs": length.as_secs() });
            client.post(&format!("/v1/systems/{name}/log-level"), &wanted).await?
        }
        SystemCommand::Remove { name } => client.delete(&format!("/v1/systems/{name}")).await?,
    };
    if reach.json {
        return output::json(&system);
    }
    show(&system);
    Ok(())
}

/// What the command line says of a system, as the API wants it.
fn known<const N: usize>(it: &Details, more: [(&str, Value); N]) -> Map<String, Value> {
    let said = [
        ("display_name", json!(it.display_name)),
        ("description", json!(it.description)),
        ("locale", json!(it.locale)),
        ("password_reset_by", json!(it.password_reset_by)),
        ("provisioning_option", json!(it.provisioning_option)),
        ("hpam", json!(it.hpam)),
        ("transfer_of_accounts", json!(it.transfer_of_accounts)),
        ("add_owners", json!(it.owners)),
        ("add_categories", json!(it.categories)),
    ];
    said.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn show(system: &SystemView) {
    let details = &system.details;
    let yes_or_no = |it: bool| if it { "yes" } else { "no" }.to_owned();
    let list = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut facts = vec![
        ("system", system.name.to_string()),
        ("type", system.connector.clone()),
        ("supports", system.supports.join(", ")),
        ("display name", system.display_name.clone()),
        ("description", system.description.clone()),
        ("locale", details.locale.clone()),
    ];
    for (locale, texts) in &details.texts {
        facts.push(("in another language", format!("{locale}: {}", texts.display_name)));
        facts.push(("", texts.description.clone()));
    }
    facts.extend([
        ("associated with", system.association.clone()),
        ("password reset by", details.password_reset_by.text().to_owned()),
        ("provisioning option", details.provisioning_option.text().to_owned()),
        ("HPAM", yes_or_no(details.hpam)),
        ("transfer of accounts", yes_or_no(details.transfer_of_accounts)),
        ("owners", list(&details.owners)),
        ("categories", list(&details.categories)),
    ]);
    if let Some(order) = &system.log_level_order {
        let words = format!("{} until {}, wanted by {}", order.level, output::moment(order.until), order.by);
        facts.push(("log level", words));
    }
    let connections: Vec<String> = system.members.iter().map(connection).collect();
    for (member, connection) in system.members.iter().zip(&connections) {
        facts.push(("connection", format!("{} ({}): {connection}", member.member, member.host)));
    }
    if connections.is_empty() {
        facts.push(("connection", "in the agents' configuration; no member that serves it is connected".to_owned()));
    }
    if !system.differing.is_empty() {
        facts.push(("members differ", system.differing.join(", ")));
    }
    facts.push(("made", output::moment(system.created)));
    output::facts(facts);
}

/// How a member reaches a system.
fn connection(it: &ServingView) -> String {
    let connection = &it.served.connection;
    let timeout = match connection.connection_timeout_secs {
        0 => "no connection timeout".to_owned(),
        secs => format!("connection timeout {secs} s"),
    };
    let mut words = vec![
        connection.domain.clone(),
        connection.login_method.clone(),
        if connection.secure_connection { "secure" } else { "NOT SECURE" }.to_owned(),
        if connection.http_compression { "compressed" } else { "not compressed" }.to_owned(),
        timeout,
        format!("log level {}", connection.log_level),
    ];
    if let Some(now) = it.served.now.as_ref().filter(|now| now.log_level_until.is_some()) {
        words.push(format!("now {}", now.log_level));
    }
    if let Some(verdict) = it.served.log_level_verdict {
        words.push(format!("what is wanted to be logged: {verdict}"));
    }
    words.join(", ")
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
