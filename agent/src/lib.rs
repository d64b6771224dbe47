//! The Postern agent: administers Salesforce users on behalf of a controller elsewhere.

pub mod connector;
