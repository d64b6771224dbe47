//! What `describe` prints, and its 304.

use serde_json::{Value as Json, json};

use super::field::{Field, Kind, Presence};
use super::{Object, ObjectKind};
use crate::http::reply::Reply;

/// The schema never changes while a simulator runs; clients that ask "since" get 304 after this moment.
const MODIFIED: i64 = 1_767_225_600_000;

/// `GET sobjects`.
pub(crate) fn global(version: &str, profile_replicateable: bool) -> Reply {
    let objects: Vec<Json> =
        ObjectKind::ALL.into_iter().map(|it| Json::Object(summary(version, it, profile_replicateable))).collect();
    Reply::json(200, &json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects}))
}

/// `GET sobjects/{object}`.
pub(crate) fn basic(version: &str, kind: ObjectKind, profile_replicateable: bool) -> Reply {
    Reply::json(200, &json!({"objectDescribe": summary(version, kind, profile_replicateable), "recentItems": []}))
}

/// `GET sobjects/{object}/describe`; 304 if the caller knows it already.
pub(crate) fn full(version: &str, kind: ObjectKind, since: Option<i64>, profile_replicateable: bool) -> Reply {
    let modified = crate::time::format_http(MODIFIED);
    let tag = format!("\"{}-{version}\"", kind.object().name);
    if since.is_some_and(|it| it >= MODIFIED) {
        return Reply::empty(304).with("etag", tag).with("last-modified", modified);
    }
    let object = kind.object();
    let mut description = summary(version, kind, profile_replicateable);
    let fields: Vec<Json> = object.fields.iter().map(field).collect();
    description.insert("fields".to_owned(), Json::Array(fields));
    description.insert("childRelationships".to_owned(), json!([]));
    description.insert("recordTypeInfos".to_owned(), json!([]));
    description.insert("supportedScopes".to_owned(), json!([{"label": "All", "name": "everything"}]));
    Reply::json(200, &description).with("etag", tag).with("last-modified", modified)
}

fn summary(version: &str, kind: ObjectKind, profile_replicateable: bool) -> serde_json::Map<String, Json> {
    let object = kind.object();
    let replicateable = object.replicateable || kind == ObjectKind::Profile && profile_replicateable;
    let mut entry = serde_json::Map::new();
    for (name, value) in [
        ("activateable", false),
        ("createable", object.createable),
        ("custom", false),
        ("customSetting", false),
        ("deepCloneable", false),
        ("deletable", object.deletable),
        ("deprecatedAndHidden", false),
        ("feedEnabled", kind == ObjectKind::User),
        ("hasSubtypes", false),
        ("isInterface", false),
        ("isSubtype", false),
        ("layoutable", kind == ObjectKind::User),
        ("mergeable", false),
        ("mruEnabled", kind == ObjectKind::User),
        ("queryable", true),
        ("replicateable", replicateable),
        ("retrieveable", true),
        ("searchable", kind == ObjectKind::User),
        ("triggerable", kind == ObjectKind::User),
        ("undeletable", false),
        ("updateable", object.updateable),
    ] {
        entry.insert(name.to_owned(), Json::Bool(value));
    }
    for (name, value) in
        [("name", object.name), ("label", object.label), ("labelPlural", object.plural), ("keyPrefix", object.prefix)]
    {
        entry.insert(name.to_owned(), Json::from(value));
    }
    entry.insert("urls".to_owned(), urls(version, kind, object));
    entry
}

fn urls(version: &str, kind: ObjectKind, object: &Object) -> Json {
    let base = format!("/services/data/v{version}/sobjects/{}", object.name);
    let mut urls = json!({
        "sobject": base,
        "describe": format!("{base}/describe"),
        "rowTemplate": format!("{base}/{{ID}}"),
    });
    if let (ObjectKind::User, Json::Object(urls)) = (kind, &mut urls) {
        urls.insert("passwordUtilities".to_owned(), Json::from(format!("{base}/{{ID}}/password")));
    }
    urls
}

fn field(field: &Field) -> Json {
    let parent = field.kind.parent();
    let references: Vec<&str> = parent.iter().map(|(to, _)| to.object().name).collect();
    let relationship = parent.map(|(_, name)| name);
    let choices: Vec<Json> = field.kind.choices().iter().map(|it| choice(*it)).collect();
    // A few texts are filled in as well when not given, and the published reference does not call them so.
    let defaulted = field.presence == Presence::Filled && field.createable && field.kind == Kind::Boolean;
    json!({
        "aggregatable": field.filterable && field.kind != Kind::Boolean,
        "autoNumber": false,
        "byteLength": field.length * 3,
        "calculated": false,
        "caseSensitive": field.case_sensitive,
        "createable": field.createable,
        "custom": false,
        "defaultedOnCreate": defaulted,
        "defaultValue": if field.kind == Kind::Boolean { Json::Bool(false) } else { Json::Null },
        "dependentPicklist": false,
        "deprecatedAndHidden": false,
        "digits": if field.kind == Kind::Int { 9 } else { 0 },
        "externalId": false,
        "filterable": field.filterable,
        "groupable": field.filterable && !matches!(field.kind, Kind::DateTime | Kind::TextArea),
        "htmlFormatted": false,
        "idLookup": field.is_id_lookup(),
        "inlineHelpText": null,
        "label": field.label,
        "length": field.length,
        "name": field.name,
        "nameField": field.name == "Name",
        "namePointing": false,
        "nillable": field.presence == Presence::Optional,
        "permissionable": false,
        "picklistValues": choices,
        "precision": 0,
        "referenceTo": references,
        "relationshipName": relationship,
        "restrictedPicklist": matches!(field.kind, Kind::Picklist(_)),
        "scale": 0,
        "soapType": soap_type(field),
        "sortable": field.sortable,
        "type": field.type_name(),
        "unique": field.unique,
        "updateable": field.updateable,
    })
}

fn choice((value, label): (&str, &str)) -> Json {
    json!({"active": true, "defaultValue": false, "label": label, "validFor": null, "value": value})
}

fn soap_type(field: &Field) -> &'static str {
    match field.kind {
        Kind::Boolean => "xsd:boolean",
        Kind::DateTime => "xsd:dateTime",
        Kind::Id | Kind::Outside | Kind::Reference { .. } => "tns:ID",
        Kind::Int => "xsd:int",
        Kind::Email | Kind::Phone | Kind::Picklist(_) | Kind::Text | Kind::TextArea | Kind::Url => "xsd:string",
    }
}
