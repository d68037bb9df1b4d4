//! The program that systemd starts for every login: Cockpit 287 cannot tell one that does not start from one that refuses.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::SEEN;
use super::machine::{CHECK, set_up};
use crate::cockpit::{SERVICE_UNIT, belongs_to_root};
use crate::doctor::finding::{Change, Finding};
use crate::file;

/// Where `jetway cockpit setup` and administrators put units.
const UNITS: &str = "/etc/systemd/system";
/// Bytes of a unit: ours has some hundred.
const MAX_UNIT: u64 = 64 * 1024;
/// Permissions to run a file.
const EXECUTABLE: u32 = 0o111;

/// Whether the program can be started; `None` where its unit is somewhere else.
pub(super) fn examine() -> Option<Finding> {
    let unit = Path::new(UNITS).join(SERVICE_UNIT);
    let bytes = file::read_whole("unit", &unit, MAX_UNIT).ok()?;
    let program = program_of(&String::from_utf8_lossy(&bytes))?;
    Some(of_program(&program))
}

/// The first word of `ExecStart` (systemd.service(5)).
fn program_of(unit: &str) -> Option<PathBuf> {
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))?;
    line.split_whitespace().next().map(PathBuf::from)
}

fn of_program(path: &Path) -> Finding {
    let about = path.display().to_string();
    let again = || {
        Change::act("put it there").line(format!(
            "install -D -m 755 target/release/jetway-cockpit-session {about}"
        ))
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            return Finding::failure(CHECK, &about, format!("the program is not there: {error}"))
                .seen(SEEN)
                .why(format!("`ExecStart` in {UNITS}/{SERVICE_UNIT} names it"))
                .change(again())
                .change(set_up());
        }
    };
    if !metadata.is_file() || metadata.permissions().mode() & EXECUTABLE == 0 {
        return Finding::failure(CHECK, &about, "the program cannot be run")
            .seen(SEEN)
            .change(again());
    }
    if !belongs_to_root(path) {
        return Finding::warning(
            CHECK,
            &about,
            "others than root can change the program, and root runs it",
        )
        .seen("nothing; whoever can change it can become root")
        .change(again());
    }
    Finding::ok(CHECK, &about, "the program is there, and root's alone")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;
    use std::fs::Permissions;

    #[test]
    fn the_program_is_the_first_word_of_what_is_started() {
        let unit = "[Service]\n# ExecStart=/no\nExecStart=/usr/libexec/program --config /x\n";
        assert_eq!(
            program_of(unit),
            Some(PathBuf::from("/usr/libexec/program"))
        );
        assert_eq!(program_of("[Service]\n"), None);
    }

    #[test]
    fn programs_that_cannot_be_run_or_trusted_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        assert_eq!(of_program(&path).outcome, Outcome::Failure);
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let found = of_program(&path);
        assert!(found.message.contains("cannot be run"), "{}", found.message);
        // The folder for temporary files is everybody's.
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(of_program(&path).outcome, Outcome::Warning);
    }
}
