//! The same bytes to the host and to Envoy, and what each answers and forwards.

mod answers;
mod client;
mod deployment;
mod generate;
mod head;
mod http2;
mod known;
mod observation;
mod recorder;
mod request;
mod rig;
mod sessions;

pub use known::{KNOWN, Known, Pair};
pub use observation::{Answered, Forwarded, Outcome};
pub use request::{Conversation, Early, Protocol, Request};
pub use rig::{Plan, compare};
