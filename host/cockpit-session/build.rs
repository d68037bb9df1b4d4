//! Lets the linker find Linux-PAM without its development files: every system with PAM has `libpam.so.0`, few have the
//! `libpam.so` of the package `libpam0g-dev` or `pam-devel`, which is only another name for it.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::var("OUT_DIR")?;
    std::fs::write(
        Path::new(&folder).join("libpam.so"),
        "INPUT(-l:libpam.so.0)\n",
    )?;
    println!("cargo:rustc-link-search=native={folder}");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
