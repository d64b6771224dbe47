//! Where a test may have the controller killed after a commit, see `postern_fail_point`.

use postern_fail_point::Point;
use postern_protocol::message::FromController;

use crate::state::{ToSession, Turn};

/// What the turn decided is durable, and nobody has heard of it.
pub(super) fn after(turn: &Turn) {
    if turn.changes_authority() {
        Point::RootsDurable.reach();
    }
    for word in turn.words() {
        let ToSession::Frame(frame) = word else { continue };
        if matches!(**frame, FromController::Offer(_)) {
            Point::LeaseDurable.reach();
        } else if matches!(**frame, FromController::ReportAck(_)) {
            Point::ReportStored.reach();
        } else if matches!(**frame, FromController::CertIssued(_)) {
            Point::CertificateDurable.reach();
        } else if matches!(**frame, FromController::KeyAck(_)) {
            Point::KeysStored.reach();
        }
    }
}
