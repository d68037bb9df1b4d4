//! The binary `jetway`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    jetway::main()
}
