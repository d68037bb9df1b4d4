//! The program alone: its command line, and who may start it.

use std::process::Command;

use anyhow::Result;
use jetway_tests::output_of;

use crate::{Login, Place};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jetway-cockpit-session");

#[test]
fn it_says_what_it_is() -> Result<()> {
    let help = String::from_utf8(output_of(Command::new(PROGRAM).arg("--help"))?)?;
    assert!(
        help.contains("[default: /etc/jetway/cockpit-session.conf]"),
        "{help}"
    );
    let version = String::from_utf8(output_of(Command::new(PROGRAM).arg("--version"))?)?;
    assert_eq!(
        version,
        format!("jetway-cockpit-session {}\n", env!("CARGO_PKG_VERSION"))
    );
    let wrong = Command::new(PROGRAM).arg("--confg").output()?;
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("there is no option `--confg`"));
    Ok(())
}

#[test]
fn only_root_can_use_it() -> Result<()> {
    let place = Place::new()?;
    // In a folder where every account can run it, as it is installed.
    let program = place.file("program");
    std::fs::copy(PROGRAM, &program)?;
    // A setuid program has the real user id of its caller.
    for options in [&["--reuid", "65534"][..], &["--ruid", "65534"]] {
        let mut command = Command::new("setpriv");
        command
            .args(options)
            .args(["--clear-groups", "--"])
            .arg(&program)
            .arg("--config")
            .arg(place.session.path("session.conf"));
        let login = Login::connect(&place, command, "")?;
        let ending = login.refused("internal-error", "journal")?;
        assert!(
            ending.log.contains("must be started by root"),
            "{}",
            ending.log
        );
    }
    Ok(())
}
