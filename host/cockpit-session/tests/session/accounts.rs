//! Which accounts get a session, and the properties of the session.

use std::process::Command;

use anyhow::{Context as _, Result};
use jetway_tests::{UnixUser, output_of};
use serde_json::{Value, json};

use crate::{Login, PamService, Place};

/// Returns the output of `id` for an account.
fn id(option: &str, user: &str) -> Result<Vec<u64>> {
    let text = String::from_utf8(output_of(Command::new("id").args([option, user]))?)?;
    text.split_whitespace()
        .map(|word| Ok(word.parse()?))
        .collect()
}

fn session_of(place: &Place, user: &str) -> Result<(Login, Value)> {
    let mut login = Login::begin(place, &place.key.assertion(user)?)?;
    let report = login.report()?;
    Ok((login, report))
}

fn refusal_of(place: &Place, user: &str, words: &str) -> Result<()> {
    let login = Login::begin(place, &place.key.assertion(user)?)?;
    let ending = login.refused("access-denied", words)?;
    assert!(ending.log.contains("no session: "), "{}", ending.log);
    Ok(())
}

#[test]
fn the_bridge_runs_as_the_user_and_cannot_come_back() -> Result<()> {
    let place = Place::new()?;
    let user = UnixUser::create_with(&["--groups", "games,audio"])?;
    let (mut login, report) = session_of(&place, &user.name)?;
    let (uid, gid) = (id("-u", &user.name)?[0], id("-g", &user.name)?[0]);
    assert_eq!(report["uids"], json!([uid, uid, uid]));
    assert_eq!(report["gids"], json!([gid, gid, gid]));
    let mut groups = id("-G", &user.name)?;
    groups.sort_unstable();
    assert_eq!(groups.len(), 3, "{groups:?}");
    assert_eq!(report["groups"], json!(groups));

    for (way, worked) in report["regained"].as_object().context("ways back")? {
        assert_eq!(worked, false, "root came back by {way}");
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(report["status"][set], "0000000000000000", "{set}");
    }
    // Administrative access by sudo must remain possible.
    assert_eq!(report["status"]["NoNewPrivs"], "0");
    assert_eq!(report["status"]["SigBlk"], "0000000000000000");
    assert_eq!(report["descriptors"], json!([0, 1, 2]));
    assert_eq!(report["arguments"], json!([]));

    let home = format!("/home/{}", user.name);
    assert_eq!(report["cwd"], home);
    let environment = &report["environment"];
    for (name, value) in [
        ("HOME", home.as_str()),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("SHELL", "/bin/bash"),
        ("XDG_SESSION_TYPE", "web"),
        ("XDG_SESSION_CLASS", "user"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    assert!(
        environment["PATH"]
            .as_str()
            .context("PATH")?
            .contains("/usr/bin")
    );
    assert!(
        environment["CARGO_MANIFEST_DIR"].is_null(),
        "the environment is new"
    );

    login.send(b"exit 0\n")?;
    let ending = login.end()?;
    assert_eq!(ending.status, Some(0));
    let expected = format!(
        "\"subject\" (alice@example.com) signs in as \"{}\"",
        user.name
    );
    assert!(ending.log.contains(&expected), "{}", ending.log);
    assert!(
        ending
            .log
            .contains(&format!("session closed for {}", user.name)),
        "{}",
        ending.log
    );
    Ok(())
}

#[test]
fn neither_a_locked_nor_an_expired_password_is_needed() -> Result<()> {
    let place = Place::new()?;
    let user = UnixUser::create()?;
    user.change(&["--lock"])?;
    session_of(&place, &user.name)?;
    user.change(&["--unlock"])?;
    user.expire_password()?;
    session_of(&place, &user.name)?;
    Ok(())
}

#[test]
fn an_expired_account_is_refused_with_the_reason() -> Result<()> {
    let place = Place::new()?;
    let user = UnixUser::create()?;
    user.change(&["--expiredate", "1"])?;
    refusal_of(
        &place,
        &user.name,
        "cannot be used now: Your account has expired",
    )
}

#[test]
fn an_account_without_a_login_shell_is_refused() -> Result<()> {
    let place = Place::new()?;
    for shell in [
        "/usr/sbin/nologin",
        "/bin/false",
        "/bin/true",
        "/nonexistent",
    ] {
        let user = UnixUser::create_with(&["--shell", shell])?;
        refusal_of(&place, &user.name, "has no login shell").context(shell)?;
    }
    Ok(())
}

#[test]
fn the_shell_is_tried_with_nothing_of_root() -> Result<()> {
    let place = Place::new()?;
    let (shell, report) = (place.file("shell"), place.file("report"));
    let script = format!(
        "#!/bin/sh\n(id -u; id -G; pwd) >{}\nexec /bin/sh \"$@\"\n",
        report.display()
    );
    std::fs::write(&shell, script)?;
    std::fs::set_permissions(&shell, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    std::fs::write(&report, "")?;
    std::fs::set_permissions(&report, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    let user = UnixUser::create_with(&["--shell", shell.to_str().context("a path")?])?;
    session_of(&place, &user.name)?;
    let (uid, gid) = (id("-u", &user.name)?[0], id("-g", &user.name)?[0]);
    let expected = format!("{uid}\n{gid}\n/home/{}\n", user.name);
    assert_eq!(std::fs::read_to_string(&report)?, expected);
    Ok(())
}

#[test]
fn a_shell_that_hangs_is_not_waited_for() -> Result<()> {
    let place = Place::new()?;
    let shell = place.file("shell");
    std::fs::write(&shell, "#!/bin/sh\nexec sleep 300\n")?;
    std::fs::set_permissions(&shell, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let user = UnixUser::create_with(&["--shell", shell.to_str().context("a path")?])?;
    refusal_of(&place, &user.name, "has no login shell")
}

#[test]
fn root_is_refused_unless_the_configuration_allows_it() -> Result<()> {
    let no_list = "disallowed_users_file = /nonexistent";
    refusal_of(&Place::with(no_list)?, "root", "root may not be used")?;
    let place = Place::with(&format!("{no_list}\nallow_root = true"))?;
    let (_login, report) = session_of(&place, "root")?;
    assert_eq!(report["uids"], json!([0, 0, 0]));
    Ok(())
}

#[test]
fn disallowed_users_are_refused() -> Result<()> {
    let files = tempfile::tempdir()?;
    let list = files.path().join("list");
    let place = Place::with(&format!("disallowed_users_file = {}", list.display()))?;
    let user = UnixUser::create()?;
    std::fs::write(&list, format!("# nobody\nx{}\n", user.name))?;
    session_of(&place, &user.name)?;
    std::fs::write(&list, format!("root\n{}\n", user.name))?;
    refusal_of(&place, &user.name, "may not use Cockpit")?;
    // A list that other accounts can write is not trusted.
    std::fs::set_permissions(&list, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    let login = Login::begin(&place, &place.key.assertion(&user.name)?)?;
    let ending = login.refused("internal-error", "journal")?;
    assert!(
        ending.log.contains("must not be writable by others"),
        "{}",
        ending.log
    );
    Ok(())
}

#[test]
fn an_account_that_is_not_there_is_refused() -> Result<()> {
    let place = Place::new()?;
    refusal_of(&place, "jetway-nobody", "There is no account jetway-nobody")?;
    for name in ["-x", "../root", "a b", "0"] {
        refusal_of(&place, name, "account")?;
    }
    Ok(())
}

#[test]
fn messages_of_pam_reach_the_user() -> Result<()> {
    let files = tempfile::tempdir()?;
    let service = PamService::create(
        files.path(),
        "account required pam_echo.so Closed for repairs\naccount required pam_deny.so",
    )?;
    let place = Place::with(&service.setting())?;
    let user = UnixUser::create()?;
    refusal_of(&place, &user.name, "cannot be used now: Closed for repairs")?;
    assert_eq!(service.record(), "", "no session is opened");
    Ok(())
}

#[test]
fn a_session_is_opened_and_closed_once_with_the_clients_address() -> Result<()> {
    let files = tempfile::tempdir()?;
    let service = PamService::create(
        files.path(),
        "session required pam_env.so conffile=/dev/null",
    )?;
    let place = Place::with(&service.setting())?;
    let user = UnixUser::create()?;
    let (mut login, _) = session_of(&place, &user.name)?;
    let name = &user.name;
    assert_eq!(
        service.record(),
        format!("open_session {name} 203.0.113.9\n")
    );
    login.send(b"exit 3\n")?;
    assert_eq!(login.end()?.status, Some(3), "the bridge's own status");
    assert_eq!(
        service.record(),
        format!("open_session {name} 203.0.113.9\nclose_session {name} 203.0.113.9\n")
    );

    // Without the claim, the address of the web service is used.
    let token = place
        .key
        .assertion_with(name, |_, claims| claims["rhost"] = Value::Null)?;
    let mut login = Login::connect(&place, place.session.command(), &token)?;
    login.answer(&json!({"response": format!("bearer {token}"), "remote-peer": "2001:db8::7"}))?;
    login.report()?;
    assert!(
        service
            .record()
            .ends_with(&format!("open_session {name} 2001:db8::7\n"))
    );
    Ok(())
}

#[test]
fn a_session_that_pam_refuses_is_not_begun() -> Result<()> {
    let files = tempfile::tempdir()?;
    let service = PamService::create(files.path(), "session requisite pam_deny.so")?;
    let place = Place::with(&service.setting())?;
    let user = UnixUser::create()?;
    let login = Login::begin(&place, &place.key.assertion(&user.name)?)?;
    let ending = login.refused("internal-error", "could not open a session")?;
    assert!(
        ending.log.contains("no session: pam_open_session: "),
        "{}",
        ending.log
    );
    Ok(())
}
