//! HTTP as the decisions see it: requests, header fields, cookies, paths, replies and pages.

pub mod client_certificate;
pub mod colour;
pub mod cookie;
pub mod forwarded;
pub mod head_size;
pub mod header;
pub mod page;
pub mod path;
pub(crate) mod reply;
pub mod request;
pub mod template;
pub mod upstream_failure;
pub mod websocket;
