//! The parts of single sign-on on this machine: socket, units, and the helper's file.

use std::ffi::OsString;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use jetway_config_file::file;
use jetway_core::config::Route;
use serde_json::Value;

use super::super::super::Subject;
use super::super::super::finding::{Change, Finding};
use super::super::super::visit::Visit;
use super::{SEEN, program};
use crate::cockpit::{Layout, SESSION_CONF, SESSION_KEYS, SOCKET_UNIT, UNITS, is_systemd_running};

pub(super) const CHECK: &str = "cockpit-session-helper";
/// Bytes of the helper's files, which it reads with the same limit.
const MAX_FILE: u64 = 64 * 1024;

/// Looks at everything that is there.
pub(super) fn examine(subject: &Subject<'_>, visit: &Visit<'_>, socket: &Path) -> Vec<Finding> {
    let layout = Layout::of(Path::new("/")).unwrap_or(Layout::StaticGroup);
    let mut findings = vec![of_socket(socket, layout)];
    findings.extend(of_unit(layout));
    findings.extend(program::examine());
    findings.extend(of_helper(subject, visit));
    findings
}

pub(super) fn set_up() -> Change {
    Change::act("let Jetway write its units and start them")
        .line("jetway cockpit setup -c jetway.yaml")
}

/// Cockpit's account has to be able to open the socket, and nobody else.
fn of_socket(path: &Path, layout: Layout) -> Finding {
    const MODE: u32 = 0o660;
    let about = path.display().to_string();
    let failure = |message: String| Finding::failure(CHECK, &about, message).seen(SEEN);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            return failure(format!("the socket is not there: {error}"))
                .why("systemd makes it when the unit of the socket runs")
                .change(Change::act("start it").line(start(layout)))
                .change(set_up());
        }
    };
    if !metadata.file_type().is_socket() {
        return failure("it is not a socket".to_owned()).change(set_up());
    }
    let mode = metadata.permissions().mode() & 0o777;
    let group = group_name(metadata.gid());
    let expected = layout.group();
    if mode & 0o006 != 0 {
        return Finding::warning(
            CHECK,
            &about,
            format!("everybody on this machine can open the socket (mode {mode:04o})"),
        )
        .seen("nothing; only the signature of the assertion keeps other programs out")
        .change(set_up());
    }
    if mode != MODE || group.as_deref() != Some(expected) || metadata.uid() != 0 {
        let group = group.unwrap_or_else(|| metadata.gid().to_string());
        return failure(format!(
            "Cockpit cannot open the socket: it is user {}, group {group}, mode {mode:04o}",
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
        format!("the socket is there, for the group {expected} alone"),
    )
}

/// The name of a group in /etc/group. Groups that systemd makes for the time that Cockpit runs are not there.
fn group_name(gid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    });
    found.or_else(|| dynamic_group(gid))
}

/// systemd keeps dynamic users as links from the number to the name.
fn dynamic_group(gid: u32) -> Option<String> {
    let target: OsString = std::fs::read_link(format!("/run/systemd/dynamic-uid/direct:{gid}"))
        .ok()?
        .into();
    target.into_string().ok()
}

/// How the socket is started. With newer releases Cockpit's own services do so, and there is nothing to enable.
fn start(layout: Layout) -> String {
    let verb = match layout {
        Layout::StaticGroup => "enable --now",
        Layout::DynamicGroup => "start",
    };
    format!("systemctl {verb} {SOCKET_UNIT}")
}

fn of_unit(layout: Layout) -> Option<Finding> {
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
                Change::act("start it, or see why it does not start")
                    .line(start(layout))
                    .line(format!("systemctl status {SOCKET_UNIT}")),
            )
    })
}

/// The helper has to accept assertions for this host, signed by this file's key.
fn of_helper(subject: &Subject<'_>, visit: &Visit<'_>) -> Vec<Finding> {
    let conf = match read(SESSION_CONF) {
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
    let is_here = |route: &Route| route.shares_upstreams_with(visit.route);
    let wanted = of_cockpits().any(|(route, settings)| is_here(route) && settings.allow_root);
    let strangers: Vec<&str> = of_cockpits()
        .filter(|(route, _)| !is_here(route))
        .map(|(route, _)| route.from.host.as_str())
        .collect();
    let mut findings = vec![of_hosts(&conf, &visit.public.host, &strangers)];
    findings.extend(of_strangers(&conf, &visit.public.host, &strangers));
    findings.extend(of_root(&conf, wanted));
    findings.push(of_keys(
        subject,
        setting(&conf, "keys_file").map_or(SESSION_KEYS, |(value, _)| value),
    ));
    findings
}

/// Root is let in by the route and by the helper, or not at all.
fn of_root(conf: &str, wanted: bool) -> Option<Finding> {
    let (value, line) = setting(conf, "allow_root").unwrap_or(("false", 0));
    let (message, seen) = match (wanted, value == "true") {
        (true, false) => (
            "the route lets somebody be root, and `allow_root` does not",
            SEEN,
        ),
        (false, true) => (
            "`allow_root` lets assertions name root, and no route does",
            "nothing; it is one lock less",
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

/// Assertions for another Cockpit, whose administrators see them, are of no use here.
fn of_strangers(conf: &str, host: &str, strangers: &[&str]) -> Option<Finding> {
    let (value, line) = setting(conf, "host")?;
    let words = value.split_whitespace();
    let others: Vec<&str> = words.filter(|word| strangers.contains(word)).collect();
    if others.is_empty() {
        return None;
    }
    let message = format!(
        "assertions for another Cockpit are accepted: {}",
        others.join(", ")
    );
    Some(
        Finding::warning(CHECK, SESSION_CONF, message)
            .seen("nothing; whoever is root on that machine can log in here with assertions for it")
            .change(
                Change::file(SESSION_CONF, Some(line), "write")
                    .line(hosts_line(value, host, strangers)),
            ),
    )
}

/// The line with this host and without strangers; what else is there stays.
fn hosts_line(value: &str, host: &str, strangers: &[&str]) -> String {
    let words = value.split_whitespace();
    let mut hosts: Vec<&str> = words.filter(|word| !strangers.contains(word)).collect();
    if !hosts.contains(&host) {
        hosts.push(host);
    }
    format!("host = {}", hosts.join(" "))
}

fn of_hosts(conf: &str, host: &str, strangers: &[&str]) -> Finding {
    let (value, line) = setting(conf, "host").unwrap_or_default();
    if value.split_whitespace().any(|word| word == host) {
        return Finding::ok(
            CHECK,
            SESSION_CONF,
            format!("assertions for {host} are accepted"),
        );
    }
    let all = hosts_line(value, host, strangers);
    Finding::failure(
        CHECK,
        SESSION_CONF,
        format!("assertions for {host} are not accepted: `host` is `{value}`"),
    )
    .seen(SEEN)
    .why("an assertion is for one public host, that of its route")
    .change(Change::file(SESSION_CONF, Some(line).filter(|line| *line > 0), "write").line(all))
}

fn of_keys(subject: &Subject<'_>, path: &str) -> Finding {
    let Some(key) = &subject.config.identity.signing_key else {
        return Finding::failure(CHECK, path, "the file has no key to sign assertions with")
            .seen(SEEN)
            .change(
                Change::act("make one").line("jetway keygen --signing-key --out signing-key.pem"),
            )
            .change(
                subject
                    .at_top("signing_key_file", "and write")
                    .line("signing_key_file: signing-key.pem"),
            );
    };
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => {
            return Finding::failure(CHECK, path, error)
                .seen(SEEN)
                .change(set_up());
        }
    };
    let own: Value = serde_json::from_str(&key.key_set()).unwrap_or(Value::Null);
    if !text.trim_start().starts_with('{') {
        return Finding::ok(CHECK, path, "the pinned keys are in PEM, and not compared");
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
        return Finding::ok(
            CHECK,
            path,
            "the pinned key is the one that Jetway signs with",
        );
    }
    Finding::failure(
        CHECK,
        path,
        "the pinned key is not the one that Jetway signs with",
    )
    .seen(SEEN)
    .why("the signing key, or the cookie secret that it follows from, was changed since")
    .change(Change::act("pin the new key").line("jetway cockpit setup -c jetway.yaml"))
}

fn read(path: &str) -> Result<String, String> {
    let bytes = file::read("file", Path::new(path), MAX_FILE).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// A value of the helper's file, and its line.
fn setting<'t>(conf: &'t str, key: &str) -> Option<(&'t str, usize)> {
    conf.lines().enumerate().find_map(|(index, line)| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key && !line.trim_start().starts_with('#'))
            .then(|| (value.trim(), index + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::super::finding::Outcome;
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_host_that_is_missing_is_added_to_the_others() {
        let conf = "# hosts\nhost = a.example\nkeys_file = /k\n";
        assert_eq!(of_hosts(conf, "a.example", &[]).outcome, Outcome::Ok);
        let found = of_hosts(conf, "b.example", &[]);
        assert_eq!(found.outcome, Outcome::Failure);
        assert_eq!(found.changes[0].line, Some(2));
        assert_eq!(found.changes[0].lines, ["host = a.example b.example"]);
        assert_eq!(
            of_hosts("", "b.example", &[]).changes[0].lines,
            ["host = b.example"]
        );
    }

    #[test]
    fn what_is_meant_for_others_is_warned_of() {
        let conf = "allow_root = true\nhost = a.example b.example\n";
        assert_eq!(
            of_strangers(conf, "a.example", &["c.example"]).map(|one| one.message),
            None
        );
        let found = of_strangers(conf, "a.example", &["b.example"]).unwrap();
        assert_eq!(found.outcome, Outcome::Warning);
        assert_eq!(found.changes[0].line, Some(2));
        assert_eq!(found.changes[0].lines, ["host = a.example"]);
        // Both advise the same.
        let conf = "host = b.example\n";
        let missing = of_hosts(conf, "a.example", &["b.example"]);
        let surplus = of_strangers(conf, "a.example", &["b.example"]).unwrap();
        assert_eq!(missing.changes[0].lines, ["host = a.example"]);
        assert_eq!(surplus.changes[0].lines, ["host = a.example"]);
        let conf = "allow_root = true\n";
        let root =
            |conf: &str, wanted| of_root(conf, wanted).map(|one| one.changes[0].lines.concat());
        assert_eq!(root(conf, true), None);
        assert_eq!(root("", false), None);
        assert_eq!(root(conf, false).as_deref(), Some("allow_root = false"));
        assert_eq!(root("", true).as_deref(), Some("allow_root = true"));
    }

    #[test]
    fn sockets_that_cockpit_cannot_open_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session");
        assert!(
            of_socket(&path, Layout::StaticGroup)
                .message
                .contains("is not there")
        );
        let _listener = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let found = of_socket(&path, Layout::StaticGroup);
        assert_eq!(found.outcome, Outcome::Failure);
        assert!(found.message.contains("mode 0600"), "{}", found.message);
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(
            of_socket(&path, Layout::StaticGroup).outcome,
            Outcome::Warning
        );
    }
}
