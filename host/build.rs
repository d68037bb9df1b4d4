//! Builds the proxy-wasm module for `wasm32-wasip1`, and passes its path and the version with the commit to the binary.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

const TARGET: &str = "wasm32-wasip1";
const PACKAGE: &str = "jetway-filter";
const PROFILE: &str = "module";
/// Set to the path of a ready-made module to use that instead (packagers, CI).
const OVERRIDE: &str = "JETWAY_FILTER_WASM";
/// Set to the commit when the sources are no Git checkout (packagers).
const COMMIT: &str = "JETWAY_COMMIT";
/// Set to the time of the build where builds have to be reproducible (packagers): seconds since 1970.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

fn main() {
    if let Err(error) = prepare() {
        println!("cargo::error={error}");
        std::process::exit(1);
    }
}

fn prepare() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_DIR");
    let module = match std::env::var_os(OVERRIDE) {
        Some(path) => std::path::absolute(path)?,
        None => build()?,
    };
    println!("cargo::rerun-if-changed={}", module.display());
    if !module.is_file() {
        return Err(format!("no module at `{}`", module.display()).into());
    }
    println!("cargo::rustc-env=JETWAY_FILTER_MODULE={}", module.display());
    print_version()?;
    print_build(&module)
}

/// Passes to the binary when and of what it is built: the time in seconds since 1970, the digest of the module, and the
/// version of wasmtime.
fn print_build(module: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={EPOCH}");
    let time = match std::env::var(EPOCH) {
        Ok(seconds) => seconds.parse()?,
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    println!("cargo::rustc-env=JETWAY_BUILD_TIME={time}");
    let digest = Sha256::digest(std::fs::read(module)?);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=JETWAY_MODULE_DIGEST={digest}");
    let lock = workspace()?.join("Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let lock = std::fs::read_to_string(lock)?;
    let entry = lock.split_once("name = \"wasmtime\"\nversion = \"");
    let version = entry.and_then(|(_, rest)| rest.split('"').next());
    let version = version.ok_or("wasmtime is not in Cargo.lock")?;
    println!("cargo::rustc-env=JETWAY_WASMTIME={version}");
    Ok(())
}

fn workspace() -> Result<PathBuf, Box<dyn Error>> {
    let host = std::env::var_os("CARGO_MANIFEST_DIR");
    let host = PathBuf::from(host.ok_or("cargo did not set CARGO_MANIFEST_DIR")?);
    let workspace = host.parent().ok_or("the package has no parent folder")?;
    Ok(workspace.to_owned())
}

/// Passes the version with the commit to the binary; without the commit where it is not known.
fn print_version() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={COMMIT}");
    let version = std::env::var("CARGO_PKG_VERSION")?;
    let given = std::env::var(COMMIT).ok();
    let version = match given.or_else(find_commit) {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo::rustc-env=JETWAY_VERSION={version}");
    Ok(())
}

/// Returns the commit of the checkout. Cargo does not run this program again after each commit, which would build the host again
/// without a change of its sources: between two builds from scratch, the version can name an earlier commit.
fn find_commit() -> Option<String> {
    let host = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    let workspace = host.parent()?;
    // Sources that were unpacked inside another checkout are not of its commit.
    if !workspace.join(".git").exists() {
        return None;
    }
    ask_git(workspace, &["rev-parse", "--short=12", "HEAD"])
}

fn ask_git(workspace: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    let output = git.current_dir(workspace).args(arguments).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| line.trim().to_owned())
}

fn build() -> Result<PathBuf, Box<dyn Error>> {
    let workspace = workspace()?;
    watch(&workspace);
    let target_dir = target_dir(&workspace);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&workspace).args([
        "build",
        "--package",
        PACKAGE,
        "--target",
        TARGET,
        "--profile",
        PROFILE,
        "--locked",
    ]);
    cargo.arg("--target-dir").arg(&target_dir);
    clean_environment(&mut cargo);
    let output = cargo
        .output()
        .map_err(|error| format!("cannot run cargo for the module: {error}"))?;
    if !output.status.success() {
        return Err(explain(&String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(target_dir
        .join(TARGET)
        .join(PROFILE)
        .join("jetway_filter.wasm"))
}

/// Returns the module's own target folder: in the outer one, the inner cargo would wait forever for the lock of the outer
/// cargo.
fn target_dir(workspace: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(outer) => workspace.join(outer).join("module"),
        None => workspace.join("target").join("module"),
    }
}

/// Removes the outer build's settings, which are for the outer target.
fn clean_environment(cargo: &mut Command) {
    const KEPT: [&str; 3] = ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_TERM_COLOR"];
    const DROPPED: [&str; 8] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "TARGET",
        "CLIPPY_ARGS",
        "CLIPPY_CONF_DIR",
    ];
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let of_cargo = name.starts_with("CARGO_")
            && !KEPT.contains(&name)
            && !name.starts_with("CARGO_REGISTRIES_");
        if of_cargo || DROPPED.contains(&name) {
            cargo.env_remove(name);
        }
    }
}

/// Rebuilds the module when its sources change.
fn watch(workspace: &Path) {
    for path in [
        "filter/src",
        "filter/Cargo.toml",
        "filter/core/src",
        "filter/core/templates",
        "filter/core/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
        ".cargo/config.toml",
    ] {
        let path = workspace.join(path);
        // A watched path that does not exist causes a rebuild every time.
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
}

fn explain(output: &str) -> String {
    if output.contains("target may not be installed")
        || output.contains("can't find crate for `core`")
    {
        return format!("the Rust target {TARGET} is missing: run `rustup target add {TARGET}`");
    }
    let lines: Vec<&str> = output.lines().collect();
    let last = lines
        .get(lines.len().saturating_sub(40)..)
        .unwrap_or_default();
    format!(
        "building the module failed: {}",
        last.join("\ncargo::error=")
    )
}
