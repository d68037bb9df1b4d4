//! The keys of the file: Pomerium's, each with how Jetway supports it, and Jetway's own.

mod global;
mod nested;
mod route;
mod written;

pub use global::GLOBAL;
pub use nested::{
    CERTIFICATE, COCKPIT, DOWNSTREAM_MTLS, HEADER_REWRITE, ISSUER_FORMATS, MTLS_ENFORCEMENTS,
    REDIRECT, RESPONSE,
};
pub use route::ROUTE;
pub(super) use written::is_off;
pub use written::{Written, visit};

#[cfg(test)]
mod tests;
