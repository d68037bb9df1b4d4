//! Checks the parts of single sign-on on this machine: socket, units, and the helper's file.

use std::ffi::OsString;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use jetway_config_file::file;
use jetway_core::config::Route;
use serde_json::Value;

use super::{SEEN, administrators, program};
use crate::cockpit::{Layout, SESSION_CONF, SESSION_KEYS, SOCKET_UNIT, UNITS, is_systemd_running};
use crate::doctor::Subject;
use crate::doctor::finding::{Change, Finding};
use crate::doctor::upstream_probe::UpstreamProbe;

pub(super) const CHECK: &str = "cockpit-session-helper";
/// Most bytes of the helper's files, which it reads with the same limit.
const MAX_FILE: u64 = 64 * 1024;

/// Checks all parts.
pub(super) fn examine(probe: &UpstreamProbe<'_>, socket: &Path) -> Vec<Finding> {
    let layout = Layout::of(Path::new("/")).unwrap_or(Layout::StaticGroup);
    let mut findings = vec![check_socket(socket, layout)];
    findings.extend(check_unit(layout));
    findings.extend(program::examine());
    findings.extend(check_helper(probe));
    findings.extend(administrators::examine(probe.route));
    findings
}

pub(super) fn set_up() -> Change {
    Change::act("run the setup, which writes the units and starts them")
        .line("jetway cockpit setup -c jetway.yaml")
}

/// Checks that only Cockpit's account can open the socket.
fn check_socket(path: &Path, layout: Layout) -> Finding {
    const MODE: u32 = 0o660;
    let about = path.display().to_string();
    let failure = |message: String| Finding::failure(CHECK, &about, message).seen(SEEN);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            return failure(format!("the socket does not exist: {error}"))
                .why("systemd creates it when the unit of the socket runs")
                .change(Change::act("start it").line(start_command(layout)))
                .change(set_up());
        }
    };
    if !metadata.file_type().is_socket() {
        return failure("it is not a socket".to_owned()).change(set_up());
    }
    let mode = metadata.permissions().mode() & 0o777;
    let group = find_group_name(metadata.gid());
    let expected = layout.group();
    if mode & 0o006 != 0 {
        return Finding::warning(
            CHECK,
            &about,
            format!("all users of this machine can open the socket (mode {mode:04o})"),
        )
        .seen("nothing; only the signature of the assertion protects the login")
        .change(set_up());
    }
    if mode != MODE || group.as_deref() != Some(expected) || metadata.uid() != 0 {
        let group = group.unwrap_or_else(|| metadata.gid().to_string());
        return failure(format!(
            "Cockpit cannot open the socket, which has user {}, group {group}, mode {mode:04o}",
            metadata.uid()
        ))
        .why(format!("Cockpit's web service is in the group {expected}"))
        .change(
            Change::file(
                format!("{UNITS}/{SOCKET_UNIT}"),
                None,
                "in the section [Socket] write",
            )
            .line(format!("SocketGroup={expected}"))
            .line("SocketMode=0660"),
        );
    }
    Finding::ok(
        CHECK,
        &about,
        format!("the socket exists, and only the group {expected} can open it"),
    )
}

/// Returns the name of a group, from /etc/group or of a dynamic user of systemd, which is not in that file.
fn find_group_name(gid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    });
    found.or_else(|| find_dynamic_group(gid))
}

/// Returns the name of a dynamic user, which systemd keeps as a link from the number to the name.
fn find_dynamic_group(gid: u32) -> Option<String> {
    let target: OsString = std::fs::read_link(format!("/run/systemd/dynamic-uid/direct:{gid}"))
        .ok()?
        .into();
    target.into_string().ok()
}

/// Returns the command that starts the socket. In newer releases Cockpit's own services start it, so that it is not enabled.
fn start_command(layout: Layout) -> String {
    let verb = match layout {
        Layout::StaticGroup => "enable --now",
        Layout::DynamicGroup => "start",
    };
    format!("systemctl {verb} {SOCKET_UNIT}")
}

fn check_unit(layout: Layout) -> Option<Finding> {
    if !is_systemd_running() {
        return None;
    }
    let asked = Command::new("systemctl")
        .args(["is-active", "--quiet", SOCKET_UNIT])
        .status()
        .ok()?;
    Some(if asked.success() {
        Finding::ok(CHECK, SOCKET_UNIT, "the unit is active")
    } else {
        Finding::failure(CHECK, SOCKET_UNIT, "the unit is not active")
            .seen(SEEN)
            .change(
                Change::act("start it, or find out why it does not start")
                    .line(start_command(layout))
                    .line(format!("systemctl status {SOCKET_UNIT}")),
            )
    })
}

/// Checks that the helper accepts assertions for this host, signed by this file's key.
fn check_helper(probe: &UpstreamProbe<'_>) -> Vec<Finding> {
    let subject = probe.subject;
    let conf = match read_text(SESSION_CONF) {
        Ok(text) => text,
        Err(error) => {
            return vec![
                Finding::failure(CHECK, SESSION_CONF, error)
                    .seen(SEEN)
                    .change(set_up()),
            ];
        }
    };
    let of_cockpits = || {
        let routes = subject.config.routes.iter();
        routes.filter_map(|route| Some((route, route.cockpit.as_ref()?)))
    };
    let is_here = |route: &Route| route.shares_upstreams_with(probe.route);
    let wanted = of_cockpits().any(|(route, settings)| is_here(route) && settings.allow_root);
    let foreign: Vec<&str> = of_cockpits()
        .filter(|(route, _)| !is_here(route))
        .map(|(route, _)| route.from.host.as_str())
        .collect();
    let mut findings = vec![check_hosts(&conf, &probe.public.host, &foreign)];
    findings.extend(check_foreign_hosts(&conf, &probe.public.host, &foreign));
    findings.extend(check_root(&conf, wanted));
    findings.push(check_pinned_keys(
        subject,
        find_setting(&conf, "keys_file").map_or(SESSION_KEYS, |(value, _)| value),
    ));
    findings
}

/// Checks that the route and the helper agree about logins as root.
fn check_root(conf: &str, wanted: bool) -> Option<Finding> {
    let (value, line) = find_setting(conf, "allow_root").unwrap_or(("false", 0));
    let (message, seen) = match (wanted, value == "true") {
        (true, false) => (
            "the route allows logins as root, and `allow_root` does not",
            SEEN,
        ),
        (false, true) => (
            "`allow_root` accepts assertions for root, and no route allows them",
            "nothing; one protection is missing",
        ),
        _ => return None,
    };
    let change = Change::file(SESSION_CONF, Some(line).filter(|line| *line > 0), "write")
        .line(format!("allow_root = {wanted}"));
    Some(
        Finding::warning(CHECK, SESSION_CONF, message)
            .seen(seen)
            .change(change),
    )
}

/// Checks that assertions for another Cockpit, whose administrators can read them, are not accepted.
fn check_foreign_hosts(conf: &str, host: &str, foreign: &[&str]) -> Option<Finding> {
    let (value, line) = find_setting(conf, "host")?;
    let words = value.split_whitespace();
    let others: Vec<&str> = words.filter(|word| foreign.contains(word)).collect();
    if others.is_empty() {
        return None;
    }
    let message = format!(
        "assertions for another Cockpit are accepted: {}",
        others.join(", ")
    );
    Some(
        Finding::warning(CHECK, SESSION_CONF, message)
            .seen("nothing; root on that machine can log in here with assertions for it")
            .change(
                Change::file(SESSION_CONF, Some(line), "write")
                    .line(render_hosts(value, host, foreign)),
            ),
    )
}

/// Renders the line with this host and without those of other Cockpits; all other hosts are kept.
fn render_hosts(value: &str, host: &str, foreign: &[&str]) -> String {
    let words = value.split_whitespace();
    let mut hosts: Vec<&str> = words.filter(|word| !foreign.contains(word)).collect();
    if !hosts.contains(&host) {
        hosts.push(host);
    }
    format!("host = {}", hosts.join(" "))
}

fn check_hosts(conf: &str, host: &str, foreign: &[&str]) -> Finding {
    let (value, line) = find_setting(conf, "host").unwrap_or_default();
    if value.split_whitespace().any(|word| word == host) {
        return Finding::ok(
            CHECK,
            SESSION_CONF,
            format!("assertions for {host} are accepted"),
        );
    }
    let all = render_hosts(value, host, foreign);
    Finding::failure(
        CHECK,
        SESSION_CONF,
        format!("assertions for {host} are not accepted: `host` is `{value}`"),
    )
    .seen(SEEN)
    .why("an assertion is valid for one public host, that of its route")
    .change(Change::file(SESSION_CONF, Some(line).filter(|line| *line > 0), "write").line(all))
}

fn check_pinned_keys(subject: &Subject<'_>, path: &str) -> Finding {
    let Some(key) = &subject.config.identity.signing_key else {
        return Finding::failure(CHECK, path, "the file has no key that signs assertions")
            .seen(SEEN)
            .change(
                Change::act("generate one")
                    .line("jetway keygen --signing-key --out signing-key.pem"),
            )
            .change(
                subject
                    .at_top("signing_key_file", "and write")
                    .line("signing_key_file: signing-key.pem"),
            );
    };
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) => {
            return Finding::failure(CHECK, path, error)
                .seen(SEEN)
                .change(set_up());
        }
    };
    let own: Value = serde_json::from_str(&key.key_set()).unwrap_or(Value::Null);
    if !text.trim_start().starts_with('{') {
        return Finding::ok(
            CHECK,
            path,
            "the pinned keys are in PEM, and are not compared",
        );
    }
    let pinned: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let same = |other: &Value| {
        ["x", "y"]
            .iter()
            .all(|name| other[*name] == own["keys"][0][*name])
    };
    if pinned["keys"]
        .as_array()
        .is_some_and(|keys| keys.iter().any(same))
    {
        return Finding::ok(CHECK, path, "the pinned key is Jetway's signing key");
    }
    Finding::failure(CHECK, path, "the pinned key is not Jetway's signing key")
        .seen(SEEN)
        .why("the signing key, or the cookie secret from which it is derived, was changed since")
        .change(Change::act("pin the new key").line("jetway cockpit setup -c jetway.yaml"))
}

fn read_text(path: &str) -> Result<String, String> {
    let bytes = file::read("file", Path::new(path), MAX_FILE).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// Returns a value of the helper's file, and its line.
fn find_setting<'t>(conf: &'t str, key: &str) -> Option<(&'t str, usize)> {
    conf.lines().enumerate().find_map(|(index, line)| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key && !line.trim_start().starts_with('#'))
            .then(|| (value.trim(), index + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;
    use std::fs::Permissions;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_host_that_is_missing_is_added_to_the_others() {
        let conf = "# hosts\nhost = a.example\nkeys_file = /k\n";
        assert_eq!(check_hosts(conf, "a.example", &[]).outcome, Outcome::Ok);
        let found = check_hosts(conf, "b.example", &[]);
        assert_eq!(found.outcome, Outcome::Failure);
        assert_eq!(found.changes[0].line, Some(2));
        assert_eq!(found.changes[0].lines, ["host = a.example b.example"]);
        assert_eq!(
            check_hosts("", "b.example", &[]).changes[0].lines,
            ["host = b.example"]
        );
    }

    #[test]
    fn settings_for_other_machines_are_reported() {
        let conf = "allow_root = true\nhost = a.example b.example\n";
        assert_eq!(
            check_foreign_hosts(conf, "a.example", &["c.example"]).map(|one| one.message),
            None
        );
        let found = check_foreign_hosts(conf, "a.example", &["b.example"]).unwrap();
        assert_eq!(found.outcome, Outcome::Warning);
        assert_eq!(found.changes[0].line, Some(2));
        assert_eq!(found.changes[0].lines, ["host = a.example"]);
        // Both suggest the same line.
        let conf = "host = b.example\n";
        let missing = check_hosts(conf, "a.example", &["b.example"]);
        let surplus = check_foreign_hosts(conf, "a.example", &["b.example"]).unwrap();
        assert_eq!(missing.changes[0].lines, ["host = a.example"]);
        assert_eq!(surplus.changes[0].lines, ["host = a.example"]);
        let conf = "allow_root = true\n";
        let root =
            |conf: &str, wanted| check_root(conf, wanted).map(|one| one.changes[0].lines.concat());
        assert_eq!(root(conf, true), None);
        assert_eq!(root("", false), None);
        assert_eq!(root(conf, false).as_deref(), Some("allow_root = false"));
        assert_eq!(root("", true).as_deref(), Some("allow_root = true"));
    }

    #[test]
    fn sockets_that_cockpit_cannot_open_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session");
        assert!(
            check_socket(&path, Layout::StaticGroup)
                .message
                .contains("does not exist")
        );
        let _listener = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let found = check_socket(&path, Layout::StaticGroup);
        assert_eq!(found.outcome, Outcome::Failure);
        assert!(found.message.contains("mode 0600"), "{}", found.message);
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(
            check_socket(&path, Layout::StaticGroup).outcome,
            Outcome::Warning
        );
    }
}
