//! Where a test may have the agent killed around a commit, see `postern_fail_point`.

use postern_agent_core::{Mark, Write};
use postern_fail_point::Point;

/// These writes are about to be made durable.
pub(super) fn before(writes: &[Write]) {
    for write in writes {
        match write {
            Write::PutTask(..) => Point::OfferTaken.reach(),
            Write::PutReport(_) => Point::OutcomeKnown.reach(),
            Write::DeleteReport(_) => Point::ReportAcknowledged.reach(),
            Write::PutState(..)
            | Write::PutJournal(..)
            | Write::PutAudit(_)
            | Write::DeleteTask(_)
            | Write::PutTombstone(_)
            | Write::DeleteTombstone(_)
            | Write::PutSession(_)
            | Write::PutMembership(_) => (),
        }
    }
}

/// They are durable, and nobody has heard of it.
pub(super) fn after(writes: &[Write]) {
    for write in writes {
        match write {
            Write::PutTask(..) => Point::OfferDurable.reach(),
            Write::PutJournal(_, _, entry) if entry.mark == Mark::Intent => Point::IntentDurable.reach(),
            Write::PutReport(_) => Point::ReportDurable.reach(),
            Write::PutState(..)
            | Write::PutJournal(..)
            | Write::PutAudit(_)
            | Write::DeleteTask(_)
            | Write::DeleteReport(_)
            | Write::PutTombstone(_)
            | Write::DeleteTombstone(_)
            | Write::PutSession(_)
            | Write::PutMembership(_) => (),
        }
    }
}
