//! A Salesforce simulator for user administration: SOAP and OAuth sign-in, REST, SOQL, collections, passwords, bulk jobs.
//!
//! Start one with [`Simulator::start`], talk to it like to the real service at [`Simulator::http_url`] or
//! [`Simulator::https_url`], make things go wrong with [`Simulator::inject`], and see what really happened with
//! [`Simulator::counters`] and [`Simulator::user`]. The same can be done from another process below `/__sim`.

mod api;
mod assumptions;
mod bulk;
mod clock;
mod config;
mod counters;
mod csv;
mod fault;
mod http;
mod id;
mod org;
mod problem;
pub mod program;
mod schema;
mod secret;
mod seed;
mod session;
mod simulator;
mod soql;
mod time;
mod user_view;
mod value;
mod world;

pub use assumptions::Assumptions;
pub use config::{Certificate, Config};
pub use counters::{Counters, Effects};
pub use fault::{Fault, Matching, Mishap};
pub use http::tls::TlsError;
pub use org::app::BadCertificate;
pub use org::birth::SeedError;
pub use secret::Secret;
pub use seed::{
    ADMIN, ADMIN_PASSWORD, ADMIN_TOKEN, AppSeed, CONSUMER_KEY, CONSUMER_SECRET, DeviceSeed, LicenseSeed, OrgSeed,
    PasswordPolicy, PermissionSetSeed, ProfileSeed, RefreshSeed, RoleSeed, UserSeed,
};
pub use simulator::{Simulator, StartError, SwitchError, Switches};
pub use soql::understood::read_condition;
pub use user_view::UserView;
