//! The request and the output of every task kind.

use postern_protocol::TaskRequest;
use postern_protocol::task::{
    disable_user, enable_user, expire_password, import_batch, reset_password, test_connection, validate_user,
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
        ..import_batch::Request::new(import_batch::Format::Csv)
    };
    vec![
        request(&connection, TaskRequest::TestConnection(connection.clone())),
        request(&validate, TaskRequest::ValidateUser(validate.clone())),
        request(&enable, TaskRequest::EnableUser(enable.clone())),
        request(&disable, TaskRequest::DisableUser(disable.clone())),
        request(&reset, TaskRequest::ResetPassword(reset.clone())),
        request(&expire, TaskRequest::ExpirePassword(expire.clone())),
        request(&import, TaskRequest::ImportBatch(import.clone())),
    ]
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
