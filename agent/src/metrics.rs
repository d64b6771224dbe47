//! What is counted, where it happens; and the names of it and of what is read when somebody asks.
//!
//! No label has the name of an account or the id of a task: connected systems are those of the configuration, everything else
//! is of a list.

postern_health::metric_table! {
    BUILD = Gauge "postern_build_info" ["version"] "Always 1; the version that runs.";
    STARTED = Gauge "postern_start_time_seconds" [] "When the process began, in seconds since 1970.";
    MEMORY = Gauge "postern_resident_memory_bytes" [] "Memory of the process.";
    HEALTH = Gauge "postern_health" ["word"] "1 if the word (live, ready, useful) holds, 0 if something speaks against it.";
    SESSION_UP = Gauge "postern_session_up" [] "1 while there is a session with the controller.";
    SESSION_MISSED = Gauge "postern_session_missed_seconds" [] "For how long there has been no session; 0 while there is one.";
    SESSIONS = Counter "postern_sessions_total" [] "Sessions established.";
    SESSION_FAILURES = Counter "postern_session_failures_total" [] "Sessions that ended, or could not be established, and were tried again.";
    MEMBER_STATE = Gauge "postern_member_state" ["state"] "1 for the state that the controller gave this member.";
    OFFERS_REFUSED = Counter "postern_offers_refused_total" ["reason"] "Tasks that were not taken.";
    POLICY_REFUSALS = Counter "postern_policy_refusals_total" ["system"] "What the policy of this host refused: tasks, and entries of imports each time that they are looked at.";
    TASKS = Counter "postern_tasks_total" ["system", "kind", "outcome"] "Tasks that ended here.";
    ATTEMPTS = Counter "postern_attempts_total" ["system", "kind", "result"] "Attempts at tasks: concluded, failed or interrupted.";
    ATTEMPT_DURATION = Histogram "postern_attempt_duration_seconds" ["kind"] "How long attempts took.";
    RUNNING = Gauge "postern_attempts_running" ["system"] "Attempts that run.";
    WAITING = Gauge "postern_tasks_waiting" ["lane"] "Tasks that are held and do not run.";
    LEASES = Gauge "postern_leases" [] "Tasks of the controller whose lease holds.";
    INPUTS = Gauge "postern_dispatcher_inputs_waiting" [] "What happened and was not looked at yet; at most 256.";
    OUTBOX = Gauge "postern_outbox_reports" [] "Reports that the controller has yet to take, those behind results included.";
    OUTBOX_BYTES = Gauge "postern_outbox_bytes" [] "Their bytes.";
    OUTBOX_AGE = Gauge "postern_outbox_oldest_seconds" [] "The age of the oldest of them, as far as this process knows it; 0 if there is none.";
    COMMITS = Counter "postern_commits_total" [] "Batches that the store made durable.";
    BARRIERS = Counter "postern_commit_barriers_total" [] "Barriers of the disk that were paid for them.";
    COMMITS_WAITING = Gauge "postern_commits_waiting" [] "Batches that wait for the disk.";
    COMMIT_DURATION = Histogram "postern_commit_duration_seconds" [] "How long the dispatcher waited for a commit.";
    STORE_SIZE = Gauge "postern_store_bytes" [] "Size of the store on disk, without payloads.";
    DISK_FREE = Gauge "postern_disk_free_bytes" [] "Free space on its disk.";
    AUDIT_WAITING = Gauge "postern_audit_lines_waiting" [] "Events that are not yet lines of the audit log.";
    AUDIT_TROUBLE = Gauge "postern_audit_trouble" [] "1 while the audit log cannot be written, or if it was found damaged.";
    CERTIFICATE_EXPIRY = Gauge "postern_certificate_expiry_timestamp_seconds" [] "Until when the certificate is valid, in seconds since 1970.";
    CERTIFICATES_RENEWED = Counter "postern_certificate_renewals_total" [] "Certificates that took the place of another.";
    CERTIFICATE_TROUBLE = Gauge "postern_certificate_trouble" [] "1 if the last try to renew the certificate came to nothing.";
    CALLS = Counter "postern_salesforce_calls_total" ["system", "family", "answer"] "Calls to Salesforce: what was asked, and what came of it (ok, refused, failed, lost, unsent).";
    SIGN_INS = Counter "postern_salesforce_sign_ins_total" ["system", "answer"] "Sendings of the credentials: accepted, refused, lost or unsent.";
    SIGN_IN_BLOCKED = Gauge "postern_salesforce_sign_in_blocked" ["system"] "1 while the guard against lock-out lets nobody sign in.";
    CALLS_USED = Gauge "postern_salesforce_api_calls_used" ["system"] "API calls that the org made in 24 hours, as its last answer said; nothing if that is older than an hour.";
    CALLS_ALLOWED = Gauge "postern_salesforce_api_calls_allowed" ["system"] "API calls that the org may make in 24 hours; likewise.";
    CALLS_RUNNING = Gauge "postern_salesforce_calls_running" ["system"] "Calls that run now.";
}

postern_health::counted! {
    sessions: Count = SESSIONS;
    session_failures: Count = SESSION_FAILURES;
    offers_refused: Count = OFFERS_REFUSED;
    policy_refusals: Count = POLICY_REFUSALS;
    tasks: Count = TASKS;
    attempts: Count = ATTEMPTS;
    attempt_duration: Durations = ATTEMPT_DURATION;
    commit_duration: Durations = COMMIT_DURATION;
    certificates_renewed: Count = CERTIFICATES_RENEWED;
    calls: Count = CALLS;
    sign_ins: Count = SIGN_INS;
}
