//! Certificates and keys of the file.

use super::Secret;

/// PEM text, or the file that holds it.
#[derive(Clone, Debug)]
pub enum Pem {
    /// Path of a file.
    File(String),
    /// The text itself, which may be a private key.
    Text(Secret),
}

impl PartialEq for Pem {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(left), Self::File(right)) => left == right,
            (Self::Text(left), Self::Text(right)) => left.expose() == right.expose(),
            _ => false,
        }
    }
}
