//! The request and the output of every task kind.

use postern_protocol::TaskRequest;
use postern_protocol::task::{
    describe_schema, disable_user, enable_user, expire_password, export, import_batch, reset_password, test_connection,
    validate_user,
};

use super::{Sample, list, output, request, text};

pub(crate) fn all() -> Vec<Sample> {
    [requests(), outputs()].into_iter().flatten().collect()
}

fn requests() -> Vec<Sample> {
    let connection = test_connection::Request {};
    let validate = validate_user::Request { account: text("Zoë@acme.example") };
    let enable = enable_user::Request { account: text("enable@acme.example") };
    let disable = disable_user::Request { account: text("désactiver@acme.example") };
    let reset = reset_password::Request {
        account: text("reset@acme.example"),
        source: reset_password::Source::Generated.into(),
    };
    let expire = expire_password::Request { account: text("expire@acme.example") };
    let import = import_batch::Request { format: import_batch::Format::Xml.into() };
    let schema = describe_schema::Request {
        objects: list(vec![text("User"), text("Profile")]),
        add: list(vec![text("User.Größe__c")]),
        custom: true,
    };
    vec![
        request(&connection, TaskRequest::TestConnection(connection.clone())),
        request(&validate, TaskRequest::ValidateUser(validate.clone())),
        request(&enable, TaskRequest::EnableUser(enable.clone())),
        request(&disable, TaskRequest::DisableUser(disable.clone())),
        request(&reset, TaskRequest::ResetPassword(reset.clone())),
        request(&expire, TaskRequest::ExpirePassword(expire.clone())),
        request(&import, TaskRequest::ImportBatch(import.clone())),
        request(&export(), TaskRequest::Export(export())),
        request(&schema, TaskRequest::DescribeSchema(schema.clone())),
    ]
}

fn export() -> export::Request {
    let filter = serde_json::json!({ "and": [
        { "attribute": "Title", "contains": "50%_öff's" },
        { "not": { "attribute": "Department", "in": ["A", "B"] } },
        { "or": [{ "attribute": "ManagerId", "is_null": true }, { "attribute": "Fails", "less_or_equal": "3" }] },
    ] });
    export::Request {
        object: text("User"),
        attributes: list(vec![text("Username"), text("Größe__c")]),
        mandatory: list(vec![text("Email")]),
        filter: Some(serde_json::from_value(filter).unwrap()),
        clause: text("IsActive = true"),
        format: export::RecordFormat::Xml.into(),
        dates: list(vec![export::DateFormat {
            attribute: text("CreatedDate"),
            day: export::DayPattern::Dotted.into(),
            time: export::TimePattern::Twelve.into(),
        }]),
        size_hint: 0x7006,
        content: export::Content::ChangeLog.into(),
        delta: Some(export::Delta {
            cursor: text("nächtlich"),
            mode: export::DeltaMode::AllAttributes.into(),
            restart: true,
        }),
    }
}

fn outputs() -> Vec<Sample> {
    vec![
        output(&test_connection::Output {
            message: text("Verbindung hergestellt – alles gut"),
            instance: text("https://acme.my.salesforce.com"),
            organization: text("00D000000000001EAA"),
            account: text("agent@acme.example"),
            method: text("oauth-jwt"),
            network: text("trusted-ip"),
            warnings: list(vec![text("SOAP login() is going away"), text("la clé expire bientôt")]),
        }),
        output(&validate_user::Output { user: Some(user()) }),
        output(&validate_user::Output {
            user: Some(validate_user::User { frozen: None, locked: None, role: text(""), license: text(""), ..user() }),
        })
        .variant("little_known"),
        output(&validate_user::Output { user: None }).variant("not_found"),
        output(&enable_user::Output { user_id: text("005000000000003AAA") }),
        output(&disable_user::Output { user_id: text("005000000000004AAA") }),
        output(&reset_password::Output { user_id: text("005000000000005AAA") }),
        output(&expire_password::Output {
            user_id: text("005000000000006AAA"),
            message: text("Ein neues Passwort wurde per Mail verschickt; das alte gilt nicht länger"),
        }),
        output(&import_batch::Output {
            entries: 0x7001,
            created: 0x7002,
            modified: 0x7003,
            failed: 0x7004,
            unknown: 0x7005,
        }),
        output(&export::Output {
            records: 0x7007,
            way: export::Way::Bulk.into(),
            since: text("2026-11-21T00:00:00.000Z"),
            until: text("2026-11-22T00:00:00.000Z"),
            warnings: list(vec![text("the org lacks Größe__c"), text("das Objekt")]),
        }),
        output(&describe_schema::Output { objects: 0x7008, attributes: 0x7009, warnings: list(vec![text("fehlt")]) }),
    ]
}

fn user() -> validate_user::User {
    validate_user::User {
        id: text("005000000000002AAA"),
        account: text("Zoë@acme.example"),
        active: true,
        frozen: Some(false),
        locked: Some(true),
        user_type: text("Standard"),
        profile: text("Systemadministrator"),
        role: text("Geschäftsführung"),
        license: text("Salesforce"),
    }
}
