//! The files of single sign-on on Cockpit's machine.

use std::fmt::Write as _;
use std::path::Path;

use super::Layout;

/// Where Cockpit's web service hands over a login, and the helper waits for one.
pub(crate) const SESSION_SOCKET: &str = "/run/jetway/session";
/// Where Cockpit's login page sends the browser; the module answers.
pub const SIGN_IN_URL: &str = "/.pomerium/cockpit/token";
/// The socket's unit.
pub(crate) const SOCKET_UNIT: &str = "jetway-cockpit-session.socket";
/// Sessions at a time on one machine: far more than a server has people for, and few enough for its memory.
const MAX_SESSIONS: u32 = 1024;
/// Where administrators put units.
pub(crate) const UNITS: &str = "/etc/systemd/system";
/// Where administrators put the program of the unit.
pub(crate) const HELPER: &str = "/usr/local/libexec/jetway-cockpit-session";
/// The unit of one session.
pub(crate) const SERVICE_UNIT: &str = "jetway-cockpit-session@.service";
/// The helper's configuration.
pub(crate) const SESSION_CONF: &str = "/etc/jetway/cockpit-session.conf";
/// The public keys that the helper believes.
pub(crate) const SESSION_KEYS: &str = "/etc/jetway/cockpit-session.jwks";
/// Cockpit's configuration.
pub(crate) const COCKPIT_CONF: &str = "/etc/cockpit/cockpit.conf";

/// One line of Cockpit's file: section, key, value.
pub(crate) type Setting = (&'static str, &'static str, &'static str);
/// Whether Cockpit's login page logs people in to other hosts. Newer releases take it for all logins to them.
const OTHER_HOSTS: &str = "LoginTo";
/// What Cockpit's file has to say.
const SETTINGS: [Setting; 5] = [
    ("WebService", "ProtocolHeader", "X-Forwarded-Proto"),
    ("WebService", "ForwardedForHeader", "X-Forwarded-For"),
    ("WebService", OTHER_HOSTS, "false"),
    ("bearer", "UnixPath", SESSION_SOCKET),
    ("OAuth", "URL", SIGN_IN_URL),
];

const WRITTEN: &str =
    "# Written by `jetway cockpit setup`; `jetway cockpit setup --undo` takes it back.\n";
/// Services that open the socket.
const WEB_SERVICES: [&str; 2] = [
    "cockpit-wsinstance-http.service",
    "cockpit-wsinstance-https@.service",
];

/// A file of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnFile {
    /// Absolute.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What differs between deployments.
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
    /// Whether people may log in to other hosts through this Cockpit.
    pub(crate) other_hosts: bool,
}

impl Deployment<'_> {
    /// What Cockpit's file has to say.
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

    /// Everything but `cockpit.conf`, which is the operator's.
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
            own(SESSION_CONF.to_owned(), self.session_conf()),
            own(unit(SOCKET_UNIT), self.socket()),
            own(unit(SERVICE_UNIT), self.service()),
        ];
        if self.layout == Layout::DynamicGroup {
            files.extend(WEB_SERVICES.map(|service| {
                let text = format!("[Unit]\nRequires={SOCKET_UNIT}\nAfter={SOCKET_UNIT}\n");
                own(unit(&format!("{service}.d/jetway.conf")), text)
            }));
        }
        files
    }

    fn session_conf(&self) -> String {
        format!(
            "# Assertions are accepted for these public hosts only, signed with one of these keys.\n\
             host = {}\n\
             keys_file = {SESSION_KEYS}\n\
             # Nobody becomes root by single sign-on unless this is true.\n\
             allow_root = {}\n",
            self.hosts.join(" "),
            self.allow_root
        )
    }

    fn socket(&self) -> String {
        let group = self.layout.group();
        let mut text = String::from("[Unit]\nDescription=Single sign-on into Cockpit by Jetway\n");
        if self.layout == Layout::DynamicGroup {
            // The socket's group is there as long as this runs.
            text.push_str(
                "PartOf=cockpit.service\n\
                 Requires=cockpit-session-socket-user.service\n\
                 After=cockpit-session-socket-user.service\n",
            );
        }
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "\n[Socket]\n\
             ListenStream={SESSION_SOCKET}\n\
             SocketUser=root\n\
             # Only Cockpit's web service may ask for a session; the signature of the assertion is the second lock.\n\
             SocketGroup={group}\n\
             SocketMode=0660\n\
             RemoveOnStop=yes\n\
             Accept=yes\n\
             # Each open session has a connection: one person with many must not keep everybody else out.\n\
             MaxConnections={MAX_SESSIONS}\n\
             # A burst of connections must not stop the socket; Cockpit limits the logins that have not ended.\n\
             TriggerLimitIntervalSec=0\n"
        );
        if self.layout == Layout::StaticGroup {
            text.push_str("\n[Install]\nWantedBy=sockets.target\n");
        }
        text
    }

    fn service(&self) -> String {
        format!(
            "[Unit]\n\
             Description=Cockpit session of somebody who signed in at Jetway\n\
             CollectMode=inactive-or-failed\n\
             \n\
             [Service]\n\
             ExecStart={}\n\
             StandardInput=socket\n\
             StandardOutput=inherit\n\
             StandardError=journal\n\
             # A refused assertion is no failure of the unit.\n\
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
