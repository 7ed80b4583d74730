//! The Sluicegate engine as an actix-web gateway: the inference API in the formats that SDKs speak, management under
//! `/api/v1`, and LiteLLM's management calls as a translation of it.
//!
//! Deliberately absent: any rule. Who may do what, what a call may cost and where it goes is the gateway's affair
//! (crate [`sluicegate`]); here are bytes, headers and statuses. [`respond`] holds the only table from
//! [`ErrorKind`](sluicegate::ErrorKind) to HTTP status.

pub mod ask;
pub mod body;
pub mod console;
pub mod cross_origin;
pub mod extract;
pub mod facts;
pub mod known;
pub mod openapi;
pub mod respond;
pub mod routes;
pub mod serve;
pub mod state;
pub mod stream;
pub mod table;
pub mod tls;
mod told;
mod unread;
mod upload;

pub use serve::{Settings, block_on, serve};
