//! The keys of the file: those of Pomerium, each with what becomes of it here, and our own.

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
pub use written::{Written, visit};

#[cfg(test)]
mod tests;
