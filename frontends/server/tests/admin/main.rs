//! Administration as a client meets it, without a socket: roles, sign-in, audit, over the routes of a gateway in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod audit;
mod bulk;
mod bulk_people;
mod channel;
mod invitation;
mod jwt;
mod list;
mod litellm;
mod named;
mod oidc;
mod once;
mod provider;
mod query;
mod registration;
mod report;
mod rig;
mod roles;
mod safety;
mod session;
mod setting;
mod sight;
mod spend_list;
mod tenant;
