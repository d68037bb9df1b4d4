//! The files that single sign-on needs on Cockpit's machine.

use std::fmt::Write as _;
use std::path::Path;

use super::elevation::{POLKIT_RULE, POLKIT_RULE_TEXT};
use super::{Elevation, Layout};

/// The socket on which the helper accepts logins from Cockpit's web service.
pub(crate) const SESSION_SOCKET: &str = "/run/jetway/session";
/// The path to which Cockpit's login page sends the browser, and which the module serves.
pub const SIGN_IN_URL: &str = "/.pomerium/cockpit/token";
/// The socket's unit.
pub(crate) const SOCKET_UNIT: &str = "jetway-cockpit-session.socket";
/// Most sessions at a time on one machine: far more than a server has users, and few enough for its memory.
const MAX_SESSIONS: u32 = 1024;
/// The folder for units of administrators.
pub(crate) const UNITS: &str = "/etc/systemd/system";
/// The path at which administrators install the program of the unit.
pub(crate) const HELPER: &str = "/usr/local/libexec/jetway-cockpit-session";
/// The unit of one session.
pub(crate) const SERVICE_UNIT: &str = "jetway-cockpit-session@.service";
/// The helper's configuration.
pub(crate) const SESSION_CONF: &str = "/etc/jetway/cockpit-session.conf";
/// The public keys that the helper trusts.
pub(crate) const SESSION_KEYS: &str = "/etc/jetway/cockpit-session.jwks";
/// Cockpit's configuration.
pub(crate) const COCKPIT_CONF: &str = "/etc/cockpit/cockpit.conf";

/// One line of Cockpit's file: section, key, value.
pub(crate) type Setting = (&'static str, &'static str, &'static str);
/// The setting that lets Cockpit's login page log in to other hosts. Newer releases apply it to all logins to other hosts.
const OTHER_HOSTS: &str = "LoginTo";
/// The settings that Cockpit's file needs.
const SETTINGS: [Setting; 5] = [
    ("WebService", "ProtocolHeader", "X-Forwarded-Proto"),
    ("WebService", "ForwardedForHeader", "X-Forwarded-For"),
    ("WebService", OTHER_HOSTS, "false"),
    ("bearer", "UnixPath", SESSION_SOCKET),
    ("OAuth", "URL", SIGN_IN_URL),
];

const WRITTEN: &str =
    "# Written by `jetway cockpit setup`; `jetway cockpit setup --undo` removes it.\n";
/// Services that connect to the socket.
const WEB_SERVICES: [&str; 2] = [
    "cockpit-wsinstance-http.service",
    "cockpit-wsinstance-https@.service",
];

/// A file that the setup owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnFile {
    /// Absolute.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The parameters of a deployment.
#[derive(Clone, Debug)]
pub(crate) struct Deployment<'a> {
    pub(crate) layout: Layout,
    /// Public hosts of the routes that lead to this Cockpit.
    pub(crate) hosts: &'a [String],
    /// JSON Web Key Set (RFC 7517) with the public half of `signing_key`.
    pub(crate) keys: &'a str,
    /// The program `jetway-cockpit-session`.
    pub(crate) helper: &'a Path,
    /// Whether assertions may name root.
    pub(crate) allow_root: bool,
    /// Whether users may log in to other hosts through this Cockpit.
    pub(crate) other_hosts: bool,
    /// How administrators become root; `None` without any.
    pub(crate) elevation: Option<Elevation>,
}

impl Deployment<'_> {
    /// Returns the settings that Cockpit's file needs.
    pub(crate) fn settings(&self) -> impl Iterator<Item = Setting> {
        let other_hosts = self.other_hosts;
        SETTINGS.into_iter().map(move |(section, key, value)| {
            let value = if key == OTHER_HOSTS && other_hosts {
                "true"
            } else {
                value
            };
            (section, key, value)
        })
    }

    /// Returns all files except `cockpit.conf`, which belongs to the operator.
    pub(crate) fn files(&self) -> Vec<OwnFile> {
        let own = |path: String, text: String| OwnFile {
            path,
            text: format!("{WRITTEN}{text}"),
        };
        let unit = |name: &str| format!("{UNITS}/{name}");
        let mut files = vec![
            OwnFile {
                path: SESSION_KEYS.to_owned(),
                text: format!("{}\n", self.keys),
            },
            own(SESSION_CONF.to_owned(), self.render_session_conf()),
            own(unit(SOCKET_UNIT), self.render_socket()),
            own(unit(SERVICE_UNIT), self.render_service()),
        ];
        if self.layout == Layout::DynamicGroup {
            files.extend(WEB_SERVICES.map(|service| {
                let text = format!("[Unit]\nRequires={SOCKET_UNIT}\nAfter={SOCKET_UNIT}\n");
                own(unit(&format!("{service}.d/jetway.conf")), text)
            }));
        }
        if self.elevation == Some(Elevation::Polkit) {
            files.push(OwnFile {
                path: POLKIT_RULE.to_owned(),
                text: POLKIT_RULE_TEXT.to_owned(),
            });
        }
        files
    }

    fn render_session_conf(&self) -> String {
        format!(
            "# Assertions are accepted for these public hosts only, signed with one of these keys.\n\
             host = {}\n\
             keys_file = {SESSION_KEYS}\n\
             # Single sign-on as root requires `true`.\n\
             allow_root = {}\n",
            self.hosts.join(" "),
            self.allow_root
        )
    }

    fn render_socket(&self) -> String {
        let group = self.layout.group();
        let mut text = String::from("[Unit]\nDescription=Single sign-on into Cockpit by Jetway\n");
        if self.layout == Layout::DynamicGroup {
            // The socket's group exists as long as this service runs.
            text.push_str(
                "PartOf=cockpit.service\n\
                 Requires=cockpit-session-socket-user.service\n\
                 After=cockpit-session-socket-user.service\n",
            );
        }
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[Socket]\n\
             ListenStream={SESSION_SOCKET}\n\
             SocketUser=root\n\
             # Only Cockpit's web service may request a session; the signature of the assertion is the second protection.\n\
             SocketGroup={group}\n\
             SocketMode=0660\n\
             RemoveOnStop=yes\n\
             Accept=yes\n\
             # Each open session has a connection: one user with many must not lock all others out.\n\
             MaxConnections={MAX_SESSIONS}\n\
             # A burst of connections must not stop the socket; Cockpit limits the number of pending logins.\n\
             TriggerLimitIntervalSec=0\n"
        );
        if self.layout == Layout::StaticGroup {
            text.push_str("\n[Install]\nWantedBy=sockets.target\n");
        }
        text
    }

    fn render_service(&self) -> String {
        format!(
            "[Unit]\n\
             Description=Cockpit session of a user who signed in at Jetway\n\
             CollectMode=inactive-or-failed\n\
             \n\
             [Service]\n\
             ExecStart={}\n\
             StandardInput=socket\n\
             StandardOutput=inherit\n\
             StandardError=journal\n\
             # A refused assertion is not a failure of the unit.\n\
             SuccessExitStatus=1 5 127\n",
            self.helper.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(layout: Layout) -> Vec<OwnFile> {
        Deployment {
            layout,
            hosts: &["cockpit.example.com".to_owned()],
            keys: "{\"keys\":[]}",
            helper: Path::new("/usr/local/libexec/jetway-cockpit-session"),
            allow_root: false,
            other_hosts: false,
            elevation: Some(Elevation::Sudo),
        }
        .files()
    }

    #[test]
    fn the_socket_belongs_to_cockpits_group() {
        for (layout, group, count) in [
            (Layout::StaticGroup, "SocketGroup=cockpit-wsinstance\n", 4),
            (
                Layout::DynamicGroup,
                "SocketGroup=cockpit-session-socket\n",
                6,
            ),
        ] {
            let files = files(layout);
            assert_eq!(files.len(), count);
            let socket = files
                .iter()
                .find(|file| file.path.ends_with(SOCKET_UNIT))
                .unwrap();
            assert!(socket.text.contains(group), "{}", socket.text);
            let dynamic = layout == Layout::DynamicGroup;
            assert_eq!(
                socket.text.contains("cockpit-session-socket-user.service"),
                dynamic
            );
            assert_eq!(socket.text.contains("[Install]"), !dynamic);
        }
    }
}
