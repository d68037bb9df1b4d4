//! The parts of HTTP that decisions depend on: requests, header fields, cookies, paths, replies and pages.

pub(crate) mod caching;
pub mod client_certificate;
pub mod colour;
pub mod cookie;
pub mod edit;
pub mod forwarded;
pub mod head_size;
pub mod header;
pub mod log_line;
pub mod page;
pub mod path;
pub mod reply;
pub mod request;
pub mod request_line;
pub mod template;
pub mod upstream_failure;
pub mod websocket;
