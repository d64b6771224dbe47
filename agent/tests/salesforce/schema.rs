//! The schema: which attributes records have, and what the org says of it.

use postern_protocol::{Outcome, TaskOutput};
use salesforce_sim::Mishap;
use serde_json::json;

use crate::lab::{Lab, describe_schema, export};

/// Feature B16.
#[tokio::test]
async fn the_schema_is_refreshed_from_the_org_and_what_that_lacks_is_named() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task =
        describe_schema(json!({ "add": ["User.AboutMe", "User.No_Such__c", "Profile.Name", "User.userrole.name"] }));
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!(conclusion.outcome, Outcome::Succeeded);
    let Some(TaskOutput::DescribeSchema(output)) = conclusion.output else { panic!("no output of a schema") };
    let warned = |words: &str| output.warnings.iter().any(|warning| warning.contains(words));
    assert!(warned("User of this org lacks these attributes, so they are left out") && warned("No_Such__c"));
    assert!(warned("PermissionsViewAgentConsole"), "{:?}", output.warnings);

    let xml = task.payload();
    assert_eq!(u32::try_from(xml.matches("<attribute ").count()), Ok(output.attributes));
    assert_eq!(u32::try_from(xml.matches("<object ").count()), Ok(output.objects));
    assert!(xml.contains(
        "<attribute name=\"AboutMe\" type=\"textarea\" multivalued=\"false\" required=\"false\" search=\"false\""
    ));
    assert!(!xml.contains("PermissionsViewAgentConsole"));
    assert!(xml.contains("<attribute name=\"UserRole.Name\" type=\"string\" multivalued=\"false\" required=\"false\""));

    let mut task = describe_schema(json!({ "objects": ["Account"] }));
    assert_eq!(task.attempt(&connector).await.unwrap_err().code.as_str(), "unknown_object");
}

/// An object that the account may not see is left out of a schema; what has another reason is no reason to leave it out.
#[tokio::test]
async fn only_what_says_that_an_object_is_hidden_hides_it() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    for (code, hidden) in [("NOT_FOUND", true), ("API_DISABLED_FOR_ORG", false)] {
        let refusal =
            Mishap::Respond { status: 403, code: Some(code.to_owned()), message: Some("on purpose".to_owned()) };
        lab.fault("GET", "/sobjects/User/describe", refusal, 1);
        let attempt = describe_schema(json!({ "objects": ["User", "Profile"] })).attempt(&connector).await;
        assert_eq!(attempt.is_ok(), hidden, "{code}: {attempt:?}");
    }
}

/// Leave the schema of the configuration out of the plan of an export, and this fails.
#[tokio::test]
async fn the_schema_of_the_configuration_decides_what_is_exported() {
    let lab = Lab::start().await;
    let attributes = "<attribute name=\"loginId\"/><attribute name=\"Postal Code\"/><attribute name=\"AboutMe\"/>";
    lab.write("schema.xml", &format!("<schema><object name=\"User\">{attributes}</object></schema>"));
    let settings = |file: &str| format!("{}schema = \"{}\"\n", lab.settings("oauth-jwt"), lab.path(file));
    let connector = lab.connector_with(&settings("schema.xml"));
    let mut task = export(json!({ "object": "User", "format": "csv" }));
    task.attempt(&connector).await.unwrap();
    assert!(task.payload().starts_with("Id,Username,PostalCode,AboutMe\n"));
    let mut task = export(json!({ "object": "Profile", "format": "csv" }));
    assert_eq!(task.attempt(&connector).await.unwrap_err().code.as_str(), "unknown_object");

    lab.write("broken.xml", "<schema><object name=\"User\">");
    let error = lab.try_connector_with(&settings("broken.xml")).err().unwrap();
    assert!(error.contains("`schema`") && error.contains("breaks off"), "{error}");
    let error = lab.try_connector_with(&settings("absent.xml")).err().unwrap();
    assert!(error.contains("postern schema --system acme reset"), "{error}");
}
