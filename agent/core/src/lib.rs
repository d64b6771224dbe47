//! What the agent decides: task ledger, leases, outbox, retry, membership. No I/O.
