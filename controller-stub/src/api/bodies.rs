//! What requests say in their bodies, read without a controller: for whoever has bytes that no caller would send, as the
//! fuzzer has.
//!
//! Nothing is decided here. Each function calls the one reader that a route has, down to what it hands to the state.

use postern_protocol::outbox::OwedReport;

use super::asked::{Both, Nothing, read_body, read_form};
use super::systems::{Add, Associate, Edit, Logged, Said};
use super::{Problem, ca, clusters, members, systems, tasks, tokens};
use crate::console;

/// Reads the body of one route.
pub type Read = fn(&[u8]) -> Result<(), Problem>;

/// The body of every route that takes one.
pub const ROUTES: [Read; 15] = [
    |body| read_body::<Nothing>(body).map(drop),
    |body| read_body::<ca::How>(body).map(drop),
    |body| read_body::<clusters::NewCluster>(body).map(drop),
    |body| read_body::<clusters::TokenInto>(body).map(drop),
    |body| read_body::<members::WhichCertificate>(body).map(drop),
    |body| read_body::<tokens::NewApiToken>(body).map(drop),
    |body| read_body::<OwedReport>(body).map(drop),
    |body| read_form::<Both<Add, Said>>(body).and_then(|Both(add, _)| systems::association(&add.association).map(drop)),
    |body| read_form::<Both<Edit, Said>>(body).map(drop),
    |body| read_body::<Associate>(body).and_then(|it| systems::association(&it.association).map(drop)),
    |body| read_body::<Logged>(body).and_then(|it| it.wanted().map(drop)),
    |body| read_body::<tasks::Sealed>(body).and_then(|it| it.opened().map(drop)),
    |body| read_body::<console::SignIn>(body).map(drop),
    |body| super::read_submission(body).map(drop),
    |body| read_body::<members::Compared>(body).map(drop),
];
