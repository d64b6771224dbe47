//! The request and the output of every task kind.

use postern_protocol::TaskRequest;
use postern_protocol::task::{
    collect, deprovision_user, describe_schema, disable_user, enable_user, expire_password, export, freeze_user,
    import_batch, reset_password, restore_user, test_connection, unfreeze_user, unlock_user, validate_user,
};

use super::{Sample, list, output, request, text};

pub(crate) fn all() -> Vec<Sample> {
    [requests(), outputs()].into_iter().flatten().collect()
}

fn requests() -> Vec<Sample> {
    let connection = test_connection::Request {};
    let validate = validate_user::Request { account: text("Zoë@acme.example") };
    let enable = enable_user::Request { account: text("enable@acme.example") };
    let disable = disable_user::Request {
        account: text("désactiver@acme.example"),
        if_refused: disable_user::IfRefused::Freeze.into(),
    };
    let reset = reset_password::Request {
        account: text("reset@acme.example"),
        source: reset_password::Source::Generated.into(),
        repeat_if_unknown: false,
    };
    let expire = expire_password::Request { account: text("expire@acme.example"), repeat_if_unknown: true };
    let import = import_batch::Request {
        delimiter: import_batch::Delimiter::Semicolon.into(),
        all_or_none: true,
        dry_run: false,
        bulk_threshold: 0x6001,
        attributes: list(vec![
            import_batch::Rule {
                attribute: text("Straße__c"),
                difference: import_batch::Difference::AddDiffWithTarget.into(),
                encrypted: true,
                audited: false,
            },
            import_batch::Rule {
                attribute: text("Title"),
                difference: import_batch::Difference::Replace.into(),
                encrypted: false,
                audited: true,
            },
        ]),
        audit_key: text("Personalnummer__c"),
        dynamic_system: import_batch::DynamicSystem::GlobalVariable.into(),
        system_variable: text("zielsystem"),
        variables: list(vec![import_batch::Variable { name: text("zielsystem"), value: text("acme-prod") }]),
        account_id: text("Personalnummer__c"),
        login_id: text("FederationIdentifier"),
        ..import_batch::Request::new(import_batch::Format::Csv)
    };
    let freeze = freeze_user::Request { account: text("freeze@acme.example") };
    let unfreeze = unfreeze_user::Request { account: text("unfreeze@acme.example") };
    let unlock = unlock_user::Request { account: text("unlock@acme.example") };
    let deprovision = deprovision_user::Request {
        account: text("gone@acme.example"),
        new_name: text("gone@acme.example.gelöscht"),
        email: text("dead.letters@acme.example"),
    };
    let restore = restore_user::Request {
        account: text("back@acme.example.deleted"),
        name: text("back@acme.example"),
        email: text("zurück@acme.example"),
    };
    let schema = describe_schema::Request {
        objects: list(vec![text("User"), text("Profile")]),
        add: list(vec![text("User.Größe__c")]),
        custom: true,
    };
    let collect =
        collect::Request { name: text("nächtlich"), user_status: collect::UserStatus::Inactive.into(), logins: 0x4e };
    vec![
        request(&connection, TaskRequest::TestConnection(connection.clone())),
        request(&validate, TaskRequest::ValidateUser(validate.clone())),
        request(&enable, TaskRequest::EnableUser(enable.clone())),
        request(&disable, TaskRequest::DisableUser(disable.clone())),
        request(&reset, TaskRequest::ResetPassword(reset.clone())),
        request(&expire, TaskRequest::ExpirePassword(expire.clone())),
        request(&import, TaskRequest::ImportBatch(import.clone())),
        request(&freeze, TaskRequest::FreezeUser(freeze.clone())),
        request(&unfreeze, TaskRequest::UnfreezeUser(unfreeze.clone())),
        request(&unlock, TaskRequest::UnlockUser(unlock.clone())),
        request(&deprovision, TaskRequest::DeprovisionUser(deprovision.clone())),
        request(&restore, TaskRequest::RestoreUser(restore.clone())),
        request(&export(), TaskRequest::Export(export())),
        request(&schema, TaskRequest::DescribeSchema(schema.clone())),
        request(&collect, TaskRequest::Collect(collect.clone())),
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
            incidental: Some(list(vec![text("LastLoginDate")])),
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
            source_address: text("203.0.113.7"),
            trusted: Some(false),
            api_calls_used: Some(13_007),
            api_calls_limit: Some(15_011),
            warnings: list(vec![text("SOAP login() is going away"), text("la clé expire bientôt")]),
        }),
        output(&validate_user::Output { user: Some(user()) }),
        output(&validate_user::Output {
            user: Some(validate_user::User { frozen: None, locked: None, role: text(""), license: text(""), ..user() }),
        })
        .variant("little_known"),
        output(&validate_user::Output { user: None }).variant("not_found"),
        output(&enable_user::Output { user_id: text("005000000000003AAA") }),
        output(&disable_user::Output { user_id: text("005000000000004AAA"), frozen_instead: true }),
        output(&reset_password::Output { user_id: text("005000000000005AAA"), message: text("Un mail est parti") }),
        output(&expire_password::Output {
            user_id: text("005000000000006AAA"),
            message: text("Ein neues Passwort wurde per Mail verschickt; das alte gilt nicht länger"),
        }),
        output(&import_batch::Output {
            dry_run: true,
            entries: 0x7001,
            created: 0x7002,
            modified: 0x7003,
            unchanged: 0x7006,
            failed: 0x7004,
            unknown: 0x7005,
            licenses: list(vec![import_batch::License {
                name: text("Salesforce – Platform"),
                total: 0x7007,
                used: 0x7008,
                needed: 0x7009,
            }]),
        }),
        output(&freeze_user::Output { user_id: text("005000000000008AAA") }),
        output(&unfreeze_user::Output { user_id: text("005000000000009AAA") }),
        output(&unlock_user::Output { user_id: text("005000000000010AAA") }),
        output(&deprovision_user::Output {
            user_id: text("005000000000011AAA"),
            account: text("gone@acme.example.gelöscht"),
            stage: deprovision_user::Stage::WaitingForConfirmation.into(),
            email_pending: true,
            password_replaced: false,
        }),
        output(&restore_user::Output {
            user_id: text("005000000000012AAA"),
            account: text("zurück@acme.example"),
            email_pending: false,
            password_set: true,
        }),
        output(&export::Output {
            records: 0x7007,
            way: export::Way::Bulk.into(),
            since: text("2026-11-21T00:00:00.000Z"),
            until: text("2026-11-22T00:00:00.000Z"),
            warnings: list(vec![text("the org lacks Größe__c"), text("das Objekt")]),
        }),
        output(&describe_schema::Output { objects: 0x7008, attributes: 0x7009, warnings: list(vec![text("fehlt")]) }),
        output(&collect::Output {
            users: 0x700a,
            removed: 0x700b,
            started: text("2026-11-22T02:30:00.000Z"),
            ended: text("2026-11-22T02:31:00.000Z"),
            since: text("2026-11-21T02:30:00.000Z"),
            warnings: list(vec![text("keine Geräte")]),
        }),
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
        email: text("zoë@acme.example"),
        last_login: text("2026-11-25T17:03:00Z"),
    }
}
