use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use postern_protocol::bounded::Text;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use salesforce_sim::{ADMIN, ADMIN_PASSWORD, ADMIN_TOKEN, OrgSeed, Simulator, UserSeed};
use serde_json::{Value as Json, json};

use super::*;
use crate::config::Config;
use crate::connector::salesforce::Salesforce;
use crate::connector::salesforce::schema::describe::{Described, Field};
use crate::connector::{Bucket, Keep, Pending, Visit};

fn field(name: &str, type_name: &str) -> Field {
    Field { name: name.to_owned(), type_name: type_name.to_owned(), filterable: name != "AboutMe", ..Field::default() }
}

fn user() -> Reach {
    let user = Described::new(
        "User",
        vec![
            field("Id", "id"),
            field("IsActive", "boolean"),
            field("Title", "string"),
            field("AboutMe", "string"),
            field("Department", "string"),
            field("NumberOfFailedLogins", "int"),
            field("Score__c", "double"),
            field("Hired__c", "date"),
            field("CreatedDate", "datetime"),
        ],
    );
    Reach::from(user)
}

fn encoded(json: Json) -> Result<String, String> {
    let filter: Filter = serde_json::from_value(json).unwrap();
    encode(&filter, &user()).map_err(|failure| failure.summary.to_string())
}

#[test]
fn parentheses_stand_where_they_are_needed_and_nowhere_else() {
    let a = json!({ "attribute": "title", "equals": "a" });
    let b = json!({ "attribute": "ISACTIVE", "equals": "TRUE" });
    for (json, expected) in [
        (json!({ "and": [a, b] }), "Title = 'a' AND IsActive = true"),
        (json!({ "and": [a, { "and": [b, a] }] }), "Title = 'a' AND IsActive = true AND Title = 'a'"),
        (json!({ "and": [a, { "or": [b, a] }] }), "Title = 'a' AND (IsActive = true OR Title = 'a')"),
        (json!({ "or": [{ "and": [b] }, { "not": a }] }), "IsActive = true OR (NOT Title = 'a')"),
        (json!({ "not": { "or": [a, b] } }), "NOT (Title = 'a' OR IsActive = true)"),
        (json!({ "not": { "not": a } }), "NOT (NOT Title = 'a')"),
    ] {
        assert_eq!(encoded(json).unwrap(), expected);
    }
}

#[test]
fn values_are_written_in_the_type_of_their_field() {
    let test = |attribute: &str, value: &str| encoded(json!({ "attribute": attribute, "equals": value }));
    for (attribute, value, expected) in [
        ("Id", "005000000000001AAA", "Id = '005000000000001AAA'"),
        ("NumberOfFailedLogins", "3", "NumberOfFailedLogins = 3"),
        ("Score__c", "-1.50", "Score__c = -1.50"),
        ("Hired__c", "2026-11-22", "Hired__c = 2026-11-22"),
        ("CreatedDate", "2026-11-22", "CreatedDate = 2026-11-22T00:00:00.000Z"),
        ("CreatedDate", "2026-11-22T11:00:00+01:00", "CreatedDate = 2026-11-22T10:00:00.000Z"),
        ("CreatedDate", "2026-11-22T10:00:00.000+0000", "CreatedDate = 2026-11-22T10:00:00.000Z"),
        ("Title", "50%_off's\\\n", "Title = '50%_off\\'s\\\\\\n'"),
    ] {
        assert_eq!(test(attribute, value).unwrap(), expected);
    }
    for (attribute, value, says) in [
        ("Id", "005' OR Id != '", "an id"),
        ("IsActive", "yes", "`true` or `false`"),
        ("NumberOfFailedLogins", "3 OR Id != NULL", "a whole number"),
        ("Score__c", "inf", "a number"),
        ("Hired__c", "tomorrow", "a day"),
        ("CreatedDate", "now", "a moment"),
        ("AboutMe", "x", "cannot be filtered"),
        ("Titel", "x", "does not have"),
    ] {
        let error = test(attribute, value).unwrap_err();
        assert!(error.contains(says), "{attribute}: {error}");
    }
}

#[test]
fn an_operator_that_does_not_fit_its_field_is_refused() {
    for (json, says) in [
        (json!({ "attribute": "IsActive", "less": true }), "no order"),
        (json!({ "attribute": "IsActive", "is_null": true }), "never without"),
        (json!({ "attribute": "Id", "contains": "5" }), "is no text"),
        (json!({ "attribute": "Title", "contains": "x".repeat(4_000) }), "no room"),
    ] {
        let error = encoded(json).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    let found = encoded(json!({ "attribute": "Title", "contains": "%_'\\" })).unwrap();
    assert_eq!(found, r"Title LIKE '%\%\_\'\\%'");
}

/// What has broken encoders before, and pieces of it.
const NASTY: [&str; 16] =
    ["%", "_", "'", "\\", "\\%", "\\_", "\n", "\t", "😀", "';--", "50%_off's", "Ünï", "a", "b", "\\'", ")"];

/// Texts of a row, by attribute; what is not there is empty.
type Row = BTreeMap<&'static str, String>;

const TEXTS: [&str; 3] = ["Title", "Department", "Division"];

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (number, piece) in NASTY.iter().enumerate() {
        let next = NASTY[(number + 5) % NASTY.len()];
        rows.push([("Title", format!("x{piece}y")), ("Department", format!("{next}z"))].into());
        rows.push([("Title", format!("x{next}{piece}")), ("Division", format!("z{piece}"))].into());
        // A neighbor that a wildcard would find and the text does not.
        rows.push([("Title", "xQy".to_owned()), ("Department", format!("{piece}{piece}z"))].into());
    }
    rows.push(Row::new());
    rows
}

/// The same as Salesforce's, in plain Rust: without regard to case, and nothing is a wildcard.
fn holds(condition: &Condition, row: &Row) -> bool {
    let value = |attribute: &Attribute| row.get(attribute.as_str()).map(|text| text.to_lowercase());
    match condition {
        Condition::All(terms) => terms.iter().all(|term| holds(term, row)),
        Condition::Any(terms) => terms.iter().any(|term| holds(term, row)),
        Condition::Not(term) => !holds(term, row),
        Condition::IsNull(attribute) => value(attribute).is_none(),
        Condition::In(attribute, operands) => {
            value(attribute).is_some_and(|text| operands.iter().any(|it| it.to_lowercase() == text))
        }
        Condition::Compare(attribute, comparison, operand) => {
            let (text, operand) = (value(attribute), operand.to_lowercase());
            match comparison {
                Comparison::NotEquals => text.is_none_or(|text| text != operand),
                Comparison::Equals => text.is_some_and(|text| text == operand),
                Comparison::Less => text.is_some_and(|text| text < operand),
                Comparison::LessOrEqual => text.is_some_and(|text| text <= operand),
                Comparison::Greater => text.is_some_and(|text| text > operand),
                Comparison::GreaterOrEqual => text.is_some_and(|text| text >= operand),
                Comparison::StartsWith => text.is_some_and(|text| text.starts_with(&operand)),
                Comparison::EndsWith => text.is_some_and(|text| text.ends_with(&operand)),
                Comparison::Contains => text.is_some_and(|text| text.contains(&operand)),
            }
        }
    }
}

fn attribute() -> impl Strategy<Value = Attribute> {
    prop::sample::select(&TEXTS).prop_map(|name| Text::new(name).unwrap())
}

/// Short mixes of the nasty pieces, and now and then one as long as a literal may be.
fn operand() -> impl Strategy<Value = Operand> {
    let short = prop::collection::vec(prop::sample::select(&NASTY), 1..4).prop_map(|pieces| pieces.concat());
    let shown = prop::sample::select(rows().into_iter().flat_map(Row::into_values).collect::<Vec<String>>());
    let long = prop::sample::select(&NASTY).prop_map(|piece| piece.chars().cycle().take(3_998).collect::<String>());
    prop_oneof![8 => short, 8 => shown, 1 => long].prop_map(|text| Text::new(text).unwrap())
}

fn condition() -> impl Strategy<Value = Condition> {
    let comparison = prop::sample::select(Comparison::all().collect::<Vec<_>>());
    let leaf = prop_oneof![
        6 => (attribute(), comparison, operand()).prop_map(|(a, c, v)| Condition::Compare(a, c, v)),
        1 => (attribute(), prop::collection::vec(operand(), 1..4)).prop_map(|(a, values)| Condition::In(a, values)),
        1 => attribute().prop_map(Condition::IsNull),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::Any),
            inner.prop_map(|term| Condition::Not(Box::new(term))),
        ]
    })
}

struct Forgetful;

impl Keep for Forgetful {
    fn recall(&self, _: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    fn keep<'a>(&'a self, _: &'a str, _: Vec<u8>) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn forget<'a>(&'a self, _: &'a str) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn bucket(&self, _: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    fn keep_buckets(&self, _: Vec<Bucket>) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn each_bucket(&self, _: &str, _: &mut Visit<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn forget_buckets<'a>(&'a self, _: &'a str) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn delivered(&self, _: postern_protocol::TaskId) -> Result<bool, Failure> {
        Ok(false)
    }

    fn taken_anew(&self, _: postern_protocol::TaskId) -> Result<bool, Failure> {
        Ok(false)
    }

    fn owed(&self, _: postern_protocol::TaskId) -> Result<bool, Failure> {
        Ok(false)
    }
}

/// A connector of an org whose users have those texts.
async fn connector(rows: &[Row], folder: &Path) -> (Simulator, Salesforce) {
    let mut org = OrgSeed::acme(0);
    org.licenses.iter_mut().for_each(|license| license.total = 1_000);
    org.users.extend(rows.iter().enumerate().map(|(number, row)| UserSeed {
        username: format!("row{number}@acme.example"),
        fields: row.iter().map(|(name, text)| ((*name).to_owned(), Json::from(text.as_str()))).collect(),
        ..UserSeed::default()
    }));
    let sim = Simulator::start(salesforce_sim::Config { orgs: vec![org], ..Default::default() }).await.unwrap();
    let password = folder.join("password");
    std::fs::write(&password, format!("{ADMIN_PASSWORD}{ADMIN_TOKEN}")).unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "[[connected_system]]\nname = \"acme\"\nconnector = \"salesforce\"\n[connected_system.salesforce]\n\
         domain = \"{}\"\ninsecure_plain_http = true\nmethod = \"soap\"\nusername = \"{ADMIN}\"\n\
         password = {{ file = \"{}\" }}\n",
        sim.http_url(),
        password.display()
    );
    let config = Config::parse(Path::new("agent.toml"), &text).unwrap();
    let org = Salesforce::build(&config.systems[0], Arc::new(Forgetful)).unwrap();
    (sim, org)
}

/// Leave the two `replace` out of `like`, or use them in `literal`, and this fails: `%` finds what it must not, or
/// Salesforce's parser refuses `\%`.
/// Feature B14.
#[test]
fn a_filter_finds_in_salesforce_what_it_finds_in_plain_rust() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (rows, folder) = (rows(), tempfile::tempdir().unwrap());
    let (_sim, org) = runtime.block_on(connector(&rows, folder.path()));
    let object = Reach::from(runtime.block_on(org.describe("User")).unwrap());
    let mut runner = TestRunner::new(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() });
    let found = runner.run(&condition(), |condition| {
        let Ok(filter) = Filter::new(condition) else { return Ok(()) };
        let soql = encode(&filter, &object).map_err(|failure| TestCaseError::fail(failure.summary.to_string()))?;
        let statement = format!("SELECT Username FROM User WHERE ({soql}) AND Username LIKE 'row%'");
        let (records, _) = runtime
            .block_on(org.query(&statement))
            .map_err(|failure| TestCaseError::fail(format!("{soql:.200}: {}", failure.summary)))?;
        let mut found: Vec<String> =
            records.iter().map(|record| record["Username"].as_str().unwrap().to_owned()).collect();
        let expected = rows.iter().enumerate().filter(|(_, row)| holds(filter.condition(), row));
        let mut expected: Vec<String> = expected.map(|(number, _)| format!("row{number}@acme.example")).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected, "{:.200}", soql);
        Ok(())
    });
    found.unwrap_or_else(|error| panic!("{:.4000}", error.to_string()));
}
