//! The program that systemd starts for every login: Cockpit 287 cannot tell one that does not start from one that refuses.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::SEEN;
use super::machine::{CHECK, set_up};
use crate::cockpit::{HELPER, SERVICE_UNIT, find_changeable, is_systemd_running};
use crate::doctor::finding::{Change, Finding};

/// Permissions to run a file.
const EXECUTABLE: u32 = 0o111;

/// Whether the program can be started; `None` where systemd does not run or does not know the unit.
pub(super) fn examine() -> Option<Finding> {
    if !is_systemd_running() {
        return None;
    }
    // Of an instance, because the unit itself is a template. systemd knows what its drop-in files change.
    let instance = SERVICE_UNIT.replace('@', "@doctor");
    let asked = Command::new("systemctl")
        .args(["show", "--property=ExecStart", "--value", &instance])
        .output()
        .ok()?;
    let program = program_of(&String::from_utf8_lossy(&asked.stdout))?;
    Some(of_program(&program))
}

/// The path in `{ path=/usr/libexec/program ; argv[]=/usr/libexec/program ; …}`.
fn program_of(shown: &str) -> Option<PathBuf> {
    let (_, rest) = shown.split_once("{ path=")?;
    let (path, _) = rest.split_once(" ; ")?;
    Some(PathBuf::from(path))
}

fn of_program(path: &Path) -> Finding {
    let about = path.display().to_string();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            return Finding::failure(CHECK, &about, format!("the program is not there: {error}"))
                .seen(SEEN)
                .why(named())
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
        Ok(None) => Finding::ok(CHECK, &about, "the program is there, and root's alone"),
        Ok(Some(place)) => of_open_place(path, &place),
        Err(error) => Finding::warning(
            CHECK,
            &about,
            format!("who can change the program cannot be told: {error}"),
        ),
    }
}

/// Others can change the program, or a folder on the way to it.
fn of_open_place(program: &Path, place: &Path) -> Finding {
    let message = format!(
        "others than root can change {}, and root runs the program",
        place.display()
    );
    let finding = Finding::warning(CHECK, &program.display().to_string(), message)
        .seen("nothing; whoever can change it can become root")
        .why(named());
    if place == program {
        finding.change(install(&program.display().to_string()))
    } else {
        // The folder may be as somebody needs it, such as /tmp.
        finding.change(install(HELPER)).change(set_up())
    }
}

fn named() -> String {
    format!("`systemctl cat {SERVICE_UNIT}` shows where `ExecStart` names it")
}

/// Writes a new file there, which is root's, whatever was there before.
fn install(path: &str) -> Change {
    Change::act("put it there, from where it was built").line(format!(
        "install -D -o root -g root -m 755 target/release/jetway-cockpit-session {path}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;
    use std::fs::Permissions;

    #[test]
    fn systemd_tells_which_program_it_starts() {
        let shown = "{ path=/usr/libexec/my program ; argv[]=/usr/libexec/my program --x ; ignore_errors=no ; pid=0 }\n";
        assert_eq!(
            program_of(shown),
            Some(PathBuf::from("/usr/libexec/my program"))
        );
        assert_eq!(program_of("\n"), None);
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
        let found = of_program(&path);
        assert_eq!(found.outcome, Outcome::Warning);
        assert!(found.changes[0].lines[0].ends_with(HELPER));
    }

    #[test]
    fn a_program_that_others_can_change_is_put_there_anew() {
        let program = Path::new("/opt/program");
        let found = of_open_place(program, program);
        assert!(found.changes[0].lines[0].ends_with(" /opt/program"));
    }
}
