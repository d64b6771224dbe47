//! What is counted, where it happens; and the names of it and of what is read when somebody asks.
//!
//! No label has a name that somebody chose, or the id of anything: every value is of a list.

postern_health::metric_table! {
    BUILD = Gauge "postern_controller_build_info" ["version"] "Always 1; the version that runs.";
    STARTED = Gauge "postern_controller_start_time_seconds" [] "When the process began, in seconds since 1970.";
    MEMORY = Gauge "postern_controller_resident_memory_bytes" [] "Memory of the process.";
    HEALTH = Gauge "postern_controller_health" ["word"] "1 if the word (live, ready, useful) holds, 0 if something speaks against it.";
    MEMBERS = Gauge "postern_controller_members" ["state"] "Members.";
    CONNECTED = Gauge "postern_controller_sessions" [] "Members that have a session.";
    SESSIONS = Counter "postern_controller_sessions_total" [] "Sessions established.";
    USED_TOKENS = Counter "postern_controller_used_tokens_total" [] "Enrollment tokens that were presented again after they had made a member, with another request.";
    SUPERSEDED = Counter "postern_controller_superseded_certificates_total" [] "Hellos with a certificate that was the member's own and was followed by another.";
    SUBMITTED = Counter "postern_controller_tasks_submitted_total" ["kind"] "Tasks that were taken from submitters.";
    UNFINISHED = Gauge "postern_controller_tasks" ["state"] "Unfinished tasks.";
    WITHOUT_MEMBER = Gauge "postern_controller_tasks_without_member" [] "Queued tasks that no member is there to do: none of their cluster that may be given work, has a session and can do their kind on their system.";
    KEPT = Gauge "postern_controller_finished_tasks" [] "Finished tasks that are kept.";
    FINISHED = Counter "postern_controller_tasks_finished_total" ["kind", "outcome"] "Tasks that got their outcome.";
    DISPATCH = Histogram "postern_controller_dispatch_duration_seconds" ["kind"] "How long tasks waited until they were given to a member for the first time.";
    LAPSES = Counter "postern_controller_leases_lapsed_total" [] "Leases that ran out.";
    DOUBTS = Counter "postern_controller_doubts_total" [] "Tasks of which it was not known any more how far their member got.";
    REPORTS = Counter "postern_controller_reports_total" ["verdict"] "Reports: one that finished a task (finished), came late and is kept (observed), or counts for nothing (one_too_many, not_open, never_leased).";
    REQUESTS = Counter "postern_controller_api_requests_total" ["act", "status"] "Requests that the API answered; `none`: none of its routes, or no token that is good (401), or too many (429).";
    TOKEN_EXPIRY = Gauge "postern_controller_api_token_next_expiry_timestamp_seconds" [] "When the next API token runs out, in seconds since 1970; not there if none does that is still good.";
    CONNECTIONS = Gauge "postern_controller_connections" ["door"] "Connections of agents, and of callers of the API.";
    TURNED_AWAY = Counter "postern_controller_turned_away_total" ["door"] "Connections that were turned away, or ended to make room for another.";
    WAITING = Gauge "postern_controller_requests_waiting" [] "Requests that wait for the owner of the state; at most 1,024.";
    COMMITS = Counter "postern_controller_commits_total" [] "Batches that the store made durable.";
    BARRIERS = Counter "postern_controller_commit_barriers_total" [] "Barriers of the disk that were paid for them.";
    COMMITS_WAITING = Gauge "postern_controller_commits_waiting" [] "Batches that wait for the disk.";
    COMMIT_DURATION = Histogram "postern_controller_commit_duration_seconds" [] "How long the owner of the state waited for a commit.";
    STORE_SIZE = Gauge "postern_controller_store_bytes" [] "Size of the store on disk, without payloads.";
    DISK_FREE = Gauge "postern_controller_disk_free_bytes" [] "Free space on its disk.";
    AUDIT_WAITING = Gauge "postern_controller_audit_lines_waiting" [] "Events that are not yet lines of the audit log.";
    AUDIT_TROUBLE = Gauge "postern_controller_audit_trouble" [] "1 while the audit log cannot be written, or if it was found damaged.";
}

postern_health::counted! {
    sessions: Count = SESSIONS;
    used_tokens: Count = USED_TOKENS;
    superseded: Count = SUPERSEDED;
    submitted: Count = SUBMITTED;
    finished: Count = FINISHED;
    reports: Count = REPORTS;
    requests: Count = REQUESTS;
    dispatch_duration: Durations = DISPATCH;
    commit_duration: Durations = COMMIT_DURATION;
}
