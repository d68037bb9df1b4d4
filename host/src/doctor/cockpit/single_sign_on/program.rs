//! Checks the program that systemd starts for every login: in Cockpit 287, a program that does not start looks like one that
//! refuses.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::SEEN;
use super::machine::{CHECK, set_up};
use crate::cockpit::{HELPER, SERVICE_UNIT, find_changeable, is_systemd_running};
use crate::doctor::finding::{Change, Finding};

/// The permissions to run a file.
const EXECUTABLE: u32 = 0o111;

/// Checks that the program can be started; returns `None` where systemd does not run or does not know the unit.
pub(super) fn examine() -> Option<Finding> {
    if !is_systemd_running() {
        return None;
    }
    // An instance is used, because the unit itself is a template. systemd applies the drop-in files.
    let instance = SERVICE_UNIT.replace('@', "@doctor");
    let asked = Command::new("systemctl")
        .args(["show", "--property=ExecStart", "--value", &instance])
        .output()
        .ok()?;
    let program = parse_exec_start(&String::from_utf8_lossy(&asked.stdout))?;
    Some(check_program(&program))
}

/// Returns the path in `{ path=/usr/libexec/program ; argv[]=/usr/libexec/program ; …}`.
fn parse_exec_start(shown: &str) -> Option<PathBuf> {
    let (_, rest) = shown.split_once("{ path=")?;
    let (path, _) = rest.split_once(" ; ")?;
    Some(PathBuf::from(path))
}

fn check_program(path: &Path) -> Finding {
    let about = path.display().to_string();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            return Finding::failure(
                CHECK,
                &about,
                format!("the program does not exist: {error}"),
            )
            .seen(SEEN)
            .why(explain_source())
            .change(install(&about))
            .change(set_up());
        }
    };
    if !metadata.is_file() || metadata.permissions().mode() & EXECUTABLE == 0 {
        return Finding::failure(CHECK, &about, "the program cannot be run")
            .seen(SEEN)
            .change(install(&about));
    }
    match find_changeable(path) {
        Ok(None) => Finding::ok(
            CHECK,
            &about,
            "the program exists, and only root can change it",
        ),
        Ok(Some(place)) => report_changeable(path, &place),
        Err(error) => Finding::warning(
            CHECK,
            &about,
            format!("cannot check who can change the program: {error}"),
        ),
    }
}

/// Reports that users other than root can change the program, or a folder on the path to it.
fn report_changeable(program: &Path, place: &Path) -> Finding {
    let message = format!(
        "users other than root can change {}, and root runs the program",
        place.display()
    );
    let finding = Finding::warning(CHECK, &program.display().to_string(), message)
        .seen("nothing; those users can become root")
        .why(explain_source());
    if place == program {
        finding.change(install(&program.display().to_string()))
    } else {
        // The folder may need its permissions, such as /tmp.
        finding.change(install(HELPER)).change(set_up())
    }
}

fn explain_source() -> String {
    format!("`systemctl cat {SERVICE_UNIT}` shows the `ExecStart` that names it")
}

/// Creates the instruction to install the program there, owned by root.
fn install(path: &str) -> Change {
    Change::act("install it from the folder in which it was built").line(format!(
        "install -D -o root -g root -m 755 target/release/jetway-cockpit-session {path}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;
    use std::fs::Permissions;

    #[test]
    fn the_program_is_read_from_systemds_output() {
        let shown = "{ path=/usr/libexec/my program ; argv[]=/usr/libexec/my program --x ; ignore_errors=no ; pid=0 }\n";
        assert_eq!(
            parse_exec_start(shown),
            Some(PathBuf::from("/usr/libexec/my program"))
        );
        assert_eq!(parse_exec_start("\n"), None);
    }

    #[test]
    fn programs_that_cannot_be_run_or_trusted_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        assert_eq!(check_program(&path).outcome, Outcome::Failure);
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let found = check_program(&path);
        assert!(found.message.contains("cannot be run"), "{}", found.message);
        // All users can write to the folder for temporary files.
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let found = check_program(&path);
        assert_eq!(found.outcome, Outcome::Warning);
        assert!(found.changes[0].lines[0].ends_with(HELPER));
    }

    #[test]
    fn a_program_that_others_can_change_is_installed_again() {
        let program = Path::new("/opt/program");
        let found = report_changeable(program, program);
        assert!(found.changes[0].lines[0].ends_with(" /opt/program"));
    }
}
