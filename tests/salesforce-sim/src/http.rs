//! HTTP: connections in, requests read within bounds, replies out.

pub(crate) mod body;
pub(crate) mod reply;
pub(crate) mod request;
mod role_write;
pub(crate) mod server;
pub(crate) mod tls;
