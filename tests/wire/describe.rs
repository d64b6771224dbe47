//! Values as JSON: what a decoder in another language must find under each field's name.
//!
//! Every struct is taken apart with all its fields named, so a field more does not compile until it is here.

use std::fmt::Write as _;

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::code::{Code, CodeSet};
use postern_protocol::enrollment::v1::{Enroll, EnrollRefused, Enrolled, Recover};
use postern_protocol::filter::{Filter, FilterNode};
use postern_protocol::id::{Incarnation, TokenId};
use postern_protocol::message::v1;
use postern_protocol::seal::{KeyId, SealedField, SealedOutput, SealingPublicKey, WrappedKey};
use postern_protocol::signature::TaskSignature;
use postern_protocol::task::{
    collect, deprovision_user, describe_schema, disable_user, enable_user, expire_password, export, freeze_user,
    import_batch, one_account, reset_password, restore_user, test_connection, unfreeze_user, unlock_user,
    validate_user,
};
use postern_protocol::version::Revisions;
use postern_protocol::{ClusterName, Epoch, Failure, MemberId, ReportNo, SessionNo, StreamId, SystemName, TaskId};
use serde_json::{Map, Value, json};

/// A value that can be compared with what another decoder found.
pub(crate) trait Describe {
    /// Numbers as numbers, texts as texts, bytes and ids in hexadecimal, structs as objects.
    fn describe(&self) -> Value;
}

/// `bytes` in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

macro_rules! describe_as {
    ($($type:ty: |$value:ident| $json:expr;)*) => {
        $(impl Describe for $type {
            fn describe(&self) -> Value {
                let $value = self;
                Value::from($json)
            }
        })*
    };
}

describe_as! {
    u8: |it| *it;
    u16: |it| *it;
    u32: |it| *it;
    u64: |it| *it;
    bool: |it| *it;
    Epoch: |it| it.0;
    SessionNo: |it| it.0;
    ReportNo: |it| it.0;
    TaskId: |it| hex(it.as_bytes());
    MemberId: |it| hex(it.as_bytes());
    TokenId: |it| hex(it.as_bytes());
    StreamId: |it| hex(it.as_bytes());
    Incarnation: |it| hex(it.as_bytes());
    KeyId: |it| it.to_string();
    SealingPublicKey: |it| hex(&it.0);
    ClusterName: |it| it.as_str();
    SystemName: |it| it.as_str();
}

impl<const N: usize> Describe for [u8; N] {
    fn describe(&self) -> Value {
        hex(self).into()
    }
}

impl<const MAX: usize> Describe for Text<MAX> {
    fn describe(&self) -> Value {
        self.as_str().into()
    }
}

impl<const MAX: usize> Describe for Bytes<MAX> {
    fn describe(&self) -> Value {
        hex(self).into()
    }
}

impl<E: CodeSet> Describe for Code<E> {
    fn describe(&self) -> Value {
        self.number().into()
    }
}

impl<T: Describe, const MAX: usize> Describe for List<T, MAX> {
    fn describe(&self) -> Value {
        self.iter().map(Describe::describe).collect()
    }
}

impl<T: Describe> Describe for Option<T> {
    fn describe(&self) -> Value {
        self.as_ref().map_or(Value::Null, Describe::describe)
    }
}

impl<T: Describe> Describe for Box<T> {
    fn describe(&self) -> Value {
        self.as_ref().describe()
    }
}

macro_rules! describe {
    ($($type:path { $($field:ident),* $(,)? })*) => {
        $(impl Describe for $type {
            fn describe(&self) -> Value {
                let Self { $($field),* } = self;
                let fields: [(&str, Value); _] = [$((stringify!($field), $field.describe())),*];
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
            }
        })*
    };
}

describe! {
    v1::Extension { kind, critical, bytes }
    v1::ServedSystem { name, connector, kinds, connection }
    v1::Connection { domain, login_method, secure, compression, connect_timeout_secs, log_level }
    v1::Condition { reports, report_bytes, oldest_report_ms, systems, ext }
    v1::SystemCondition {
        name, running, interactive, provisioning, batch, sign_in, log_level, log_level_left_ms,
    }
    v1::SetLogLevel { number, system, level, for_ms }
    v1::LogLevelSet { number, system, verdict }
    v1::AnnouncedKey { id, public }
    v1::Held { journaled, started, reported }
    v1::Hello {
        agent_version, host, incarnation, last_session, revisions, systems, sealing_keys, next_report, held, ext,
    }
    v1::Welcome {
        session, member, state, member_epoch, hard, heartbeat_ms, lease_ttl_ms, acked_report, observed_address, controller_version,
        revisions, ext,
    }
    v1::Refused { reason, message, retry_after_ms, ext }
    v1::Confirm { session, member_epoch }
    v1::Ping { nonce }
    v1::Pong { nonce }
    v1::Credit { offers }
    v1::GoAway { reason, message, reconnect_after_ms }
    v1::ProtocolError { tag, message }
    v1::MemberState { state, epoch, hard }
    v1::MemberStateAck { epoch }
    v1::Drain { reason }
    v1::Drained { left }
    v1::CertRenew { csr }
    v1::CertIssued { request, certificate }
    v1::CertRefused { request, reason, message }
    v1::KeyAnnounce { keys }
    v1::KeyAck { newest }
    v1::TrustBundle { number, roots }
    v1::TrustBundleAck { number }
    v1::StreamRef { id, length, sha256 }
    v1::Observation { member, epoch, outcome, certainty }
    v1::Offer {
        task, kind, kind_rev, epoch, lease_ttl_ms, deadline_ms, priority, system, target, mode, attempt, reconcile,
        alone_since, alone_ms, observations, params, sealed, streams, requester, signature, ext,
    }
    v1::Accept { task, epoch }
    v1::Reject { task, epoch, reason, message, retry_after_ms }
    v1::Started { task, epoch, attempt }
    v1::Progress { task, done, total, phase }
    v1::Report {
        number, task, epoch, attempt, outcome, certainty, changed, failure, output, sealed, streams, ext,
    }
    v1::ReportAck { upto }
    v1::LeaseRef { task, epoch }
    v1::Renew { nonce, leases }
    v1::RenewedLease { lease, verdict }
    v1::Renewed { nonce, ttl_ms, leases }
    v1::Cancel { task }
    v1::CancelAck { task, verdict }
    v1::InventoryAsk { nonce }
    v1::HeldTask { lease, state }
    v1::Inventory { nonce, last, tasks }
    v1::StreamOpen { task, stream }
    v1::StreamOpenAck { stream, durable }
    v1::Chunk { stream, index, bytes }
    v1::ChunkAck { stream, durable }
    v1::StreamClose { stream }
    v1::StreamReset { stream, fault }
    Revisions { tag, min, max }
    WrappedKey { key, enc, wrapped }
    SealedField { name, ciphertext, keys }
    TaskSignature { key, deadline_ms, bytes }
    SealedOutput { name, enc, ciphertext }
    Failure { class, code, summary, next_step }
    Enroll { token, incarnation, host, agent_version, sealing_key, csr, proof }
    Recover { member, serial, sealing_key, csr, proof }
    Enrolled { cluster, member, certificate, trust, approved }
    EnrollRefused { reason, message }
    one_account::Request { account }
    disable_user::Request { account, if_refused }
    expire_password::Request { account, repeat_if_unknown }
    reset_password::Request { account, source, repeat_if_unknown }
    import_batch::Rule { attribute, difference, encrypted, audited }
    import_batch::Variable { name, value }
    import_batch::Request {
        format, delimiter, all_or_none, dry_run, bulk_threshold, attributes, audit_key, dynamic_system, system_variable,
        variables, account_id, login_id,
    }
    import_batch::License { name, total, used, needed }
    test_connection::Output {
        message, instance, organization, account, method, network, source_address, trusted, api_calls_used, api_calls_limit, warnings,
    }
    validate_user::Output { user }
    validate_user::User {
        id, account, active, frozen, locked, user_type, profile, role, license, email, last_login,
    }
    enable_user::Output { user_id }
    disable_user::Output { user_id, frozen_instead }
    reset_password::Output { user_id, message }
    expire_password::Output { user_id, message }
    import_batch::Output { dry_run, entries, created, modified, unchanged, failed, unknown, licenses }
    freeze_user::Output { user_id }
    unfreeze_user::Output { user_id }
    unlock_user::Output { user_id }
    deprovision_user::Request { account, new_name, email }
    deprovision_user::Output { user_id, account, stage, email_pending, password_replaced }
    restore_user::Request { account, name, email }
    restore_user::Output { user_id, account, email_pending, password_set }
    export::Request { object, attributes, mandatory, filter, clause, format, dates, size_hint, content, delta }
    export::Delta { cursor, mode, restart, incidental }
    export::DateFormat { attribute, day, time }
    describe_schema::Request { objects, add, custom }
    describe_schema::Output { objects, attributes, warnings }
    collect::Request { name, user_status, logins }
    collect::Output { users, removed, started, ended, since, warnings }
    export::Output { records, way, since, until, warnings }
    FilterNode { operator, operands, attribute, values }
}

impl Describe for Filter {
    fn describe(&self) -> Value {
        self.nodes().describe()
    }
}

impl Describe for test_connection::Request {
    fn describe(&self) -> Value {
        let Self {} = self;
        json!({})
    }
}
