//! Message bodies on their way through: streamed as they arrive, never collected.

mod progress;
mod request;
mod response;

pub(crate) use progress::{Overrun, Patience, Progress};
pub(crate) use request::RequestBody;
pub(crate) use response::{Body, Finish};

/// Any error of a body, as hyper wants it.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
