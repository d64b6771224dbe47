//! Stub.
use postern_protocol::Failure;
use postern_protocol::task::import_batch::Request;

use super::super::Salesforce;
use crate::connector::{AttemptCx, Conclusion};

pub(in super::super) async fn run(_: &Salesforce, _: Request, _: &AttemptCx) -> Result<Conclusion, Failure> {
    Err(crate::connector::stopped())
}
