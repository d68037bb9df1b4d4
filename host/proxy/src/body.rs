//! Message bodies, which are streamed as they arrive and never collected.

mod progress;
mod request;

pub(crate) use progress::{Overrun, Patience, Progress};
pub(crate) use request::RequestBody;

/// Any error of a body, in the form that hyper expects.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
