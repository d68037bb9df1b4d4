//! Reads the imports between the modules of a crate and checks that they point one way, from a higher layer to a lower one.
//!
//! Only production code counts: items under `#[cfg(test)]`, and the files of such modules, are left out.
#![forbid(unsafe_code)]

mod check;
mod document;
mod reader;
mod token;

pub use check::{check_layers, find_violations};
pub use document::read_layers;
pub use reader::{Import, Module, SourceTree};

use std::io;
use std::path::Path;

/// Returns the imports between the modules of the crate whose root file (`lib.rs` or `main.rs`) is in the folder `src`.
///
/// # Errors
/// A source file cannot be read.
pub fn imports(src: &Path) -> io::Result<Vec<Import>> {
    Ok(SourceTree::read(src)?.imports)
}
