//! The configuration file: `key = value` lines, and comments that begin with `#`.

use std::path::{Path, PathBuf};

use crate::trusted_file::{FileError, read_trusted};

/// The file's default path.
pub(crate) const DEFAULT_FILE: &str = "/etc/jetway/cockpit-session.conf";

/// The operator's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `host`: public hosts of the routes to this Cockpit.
    pub(crate) hosts: Vec<String>,
    /// `keys_file`: the proxy's public keys, PEM or a JSON Web Key Set.
    pub(crate) keys_file: PathBuf,
    /// `allow_root`: whether `root` may be used. Other names of user id 0 are always refused.
    pub(crate) allow_root: bool,
    /// `bridge`: the program that runs the session; a name without a slash is searched in [`crate::bridge::PATH`].
    pub(crate) bridge: PathBuf,
    /// `pam_service`: the PAM service whose account and session rules apply.
    pub(crate) pam_service: String,
    /// `disallowed_users_file`: accounts that may not use Cockpit, one a line.
    pub(crate) disallowed_users_file: PathBuf,
    /// `state_directory`: where used assertions are recorded.
    pub(crate) state_directory: PathBuf,
    /// `administrators_directory`: where sessions of administrators are marked, for polkit.
    pub(crate) administrators_directory: PathBuf,
}

/// All keys, for messages.
const KEYS: &str = "host, keys_file, allow_root, bridge, pam_service, disallowed_users_file, state_directory, administrators_directory";

/// The reason why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read or trusted.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line is invalid.
    #[error("`{file}`, line {line}: {problem}")]
    Line {
        /// The file.
        file: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The problem and how to solve it.
        problem: String,
    },
    /// A required key is missing.
    #[error("`{file}`: `{key}` is missing: add `{key} = {example}`")]
    Missing {
        /// The file.
        file: PathBuf,
        /// The key.
        key: &'static str,
        /// An example value.
        example: &'static str,
    },
}

impl Settings {
    /// Reads a file, which must belong to root.
    pub(crate) fn read(file: &Path) -> Result<Self, SettingsError> {
        Self::parse(file, &read_trusted(file)?)
    }

    /// Parses the contents of a file; `file` is its name for messages.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, SettingsError> {
        let mut draft = Draft::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            draft.take(line).map_err(|problem| SettingsError::Line {
                file: file.to_owned(),
                line: index + 1,
                problem,
            })?;
        }
        draft.finish(file)
    }
}

/// The settings that have been read so far.
#[derive(Default)]
struct Draft {
    host: Option<Vec<String>>,
    keys_file: Option<PathBuf>,
    allow_root: Option<bool>,
    bridge: Option<PathBuf>,
    pam_service: Option<String>,
    disallowed_users_file: Option<PathBuf>,
    state_directory: Option<PathBuf>,
    administrators_directory: Option<PathBuf>,
}

impl Draft {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("`{line}` has no `=`: write `key = value`"))?;
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() {
            return Err(format!(
                "`{key}` has no value: give it one, or remove the line"
            ));
        }
        match key {
            "host" => set(&mut self.host, key, hosts(value)?),
            "keys_file" => set(&mut self.keys_file, key, absolute(key, value)?),
            "allow_root" => set(&mut self.allow_root, key, boolean(key, value)?),
            "bridge" => set(&mut self.bridge, key, program(value)?),
            "pam_service" => set(&mut self.pam_service, key, service(value)?),
            "disallowed_users_file" => {
                set(&mut self.disallowed_users_file, key, absolute(key, value)?)
            }
            "state_directory" => set(&mut self.state_directory, key, absolute(key, value)?),
            "administrators_directory" => set(
                &mut self.administrators_directory,
                key,
                absolute(key, value)?,
            ),
            _ => Err(format!("unknown key `{key}`: the keys are {KEYS}")),
        }
    }

    fn finish(self, file: &Path) -> Result<Settings, SettingsError> {
        let missing = |key, example| SettingsError::Missing {
            file: file.to_owned(),
            key,
            example,
        };
        Ok(Settings {
            hosts: self
                .host
                .ok_or_else(|| missing("host", "cockpit.example.com"))?,
            keys_file: self
                .keys_file
                .ok_or_else(|| missing("keys_file", "/etc/jetway/cockpit-session.jwks"))?,
            allow_root: self.allow_root.unwrap_or(false),
            bridge: self.bridge.unwrap_or_else(|| "cockpit-bridge".into()),
            pam_service: self.pam_service.unwrap_or_else(|| "cockpit".into()),
            disallowed_users_file: self
                .disallowed_users_file
                .unwrap_or_else(|| "/etc/cockpit/disallowed-users".into()),
            state_directory: self
                .state_directory
                .unwrap_or_else(|| "/run/jetway/cockpit-session".into()),
            administrators_directory: self
                .administrators_directory
                .unwrap_or_else(|| "/run/jetway/administrators".into()),
        })
    }
}

fn set<T>(place: &mut Option<T>, key: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("duplicate key `{key}`: remove one line")),
    }
}

fn hosts(value: &str) -> Result<Vec<String>, String> {
    let host = |word: &str| {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        if word.bytes().all(plain) {
            Ok(word.to_owned())
        } else {
            Err(format!(
                "`{word}` is not a host name: write the host of the route's `from`, in lower case, without `https://` and port"
            ))
        }
    };
    value.split_whitespace().map(host).collect()
}

fn absolute(key: &str, value: &str) -> Result<PathBuf, String> {
    if value.starts_with('/') && !value.contains(char::is_whitespace) {
        Ok(value.into())
    } else {
        Err(format!(
            "`{key}` must be an absolute path without blanks, not `{value}`"
        ))
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{key}` must be `true` or `false`, not `{value}`")),
    }
}

fn program(value: &str) -> Result<PathBuf, String> {
    if value.starts_with('/') || !value.contains('/') {
        Ok(value.into())
    } else {
        Err(format!(
            "`bridge` must be a name or an absolute path, not `{value}`"
        ))
    }
}

/// Parses the name of a file in `/etc/pam.d`.
fn service(value: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if value.bytes().all(plain) {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "`pam_service` must be the name of a file in /etc/pam.d, not `{value}`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = "host = cockpit.example.com\nkeys_file = /etc/jetway/keys\n";

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(Path::new("/c"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn two_lines_are_enough() {
        let settings = parse(SHORT).unwrap();
        assert_eq!(settings.hosts, ["cockpit.example.com"]);
        assert!(!settings.allow_root);
        assert_eq!(settings.bridge, Path::new("cockpit-bridge"));
        assert_eq!(settings.pam_service, "cockpit");
        assert_eq!(
            settings.disallowed_users_file,
            Path::new("/etc/cockpit/disallowed-users")
        );
        assert_eq!(
            settings.state_directory,
            Path::new("/run/jetway/cockpit-session")
        );
        assert_eq!(
            settings.administrators_directory,
            Path::new("/run/jetway/administrators")
        );
    }

    #[test]
    fn every_key_can_be_set() {
        let settings = parse(
            "# a comment\n\n host=a.example b-2.example\nkeys_file = /k\n\tallow_root = true\r\nbridge = /opt/bridge\n\
             pam_service = jetway\ndisallowed_users_file = /d\nstate_directory = /s\nadministrators_directory = /a",
        )
        .unwrap();
        let expected = Settings {
            hosts: vec!["a.example".into(), "b-2.example".into()],
            keys_file: "/k".into(),
            allow_root: true,
            bridge: "/opt/bridge".into(),
            pam_service: "jetway".into(),
            disallowed_users_file: "/d".into(),
            state_directory: "/s".into(),
            administrators_directory: "/a".into(),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn mistakes_are_named_with_line_and_key() {
        for (text, expected) in [
            (
                "hosts = a",
                "`/c`, line 3: unknown key `hosts`: the keys are host, keys_file, ",
            ),
            (
                "allow_root",
                "`/c`, line 3: `allow_root` has no `=`: write `key = value`",
            ),
            ("allow_root =", "`/c`, line 3: `allow_root` has no value"),
            (
                "allow_root = yes",
                "`/c`, line 3: `allow_root` must be `true` or `false`, not `yes`",
            ),
            ("host = b.example", "`/c`, line 3: duplicate key `host`"),
            (
                "pam_service = ../x",
                "line 3: `pam_service` must be the name of a file in /etc/pam.d, not `../x`",
            ),
            (
                "bridge = ./x",
                "line 3: `bridge` must be a name or an absolute path, not `./x`",
            ),
            ("keys_file_ = /k", "line 3: unknown key `keys_file_`"),
            (
                "state_directory = /x # y",
                "line 3: `state_directory` must be an absolute path without blanks, not `/x # y`",
            ),
            (
                "state_directory = x",
                "line 3: `state_directory` must be an absolute path without blanks, not `x`",
            ),
        ] {
            let error = parse(&format!("{SHORT}{text}\n")).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for host in ["https://a.example", "a.example:443", "A.example", "*"] {
            let error = parse(&format!("host = {host}")).unwrap_err();
            assert!(error.contains("is not a host name"), "{error}");
        }
        for (text, key) in [
            ("keys_file = /k", "host"),
            ("host = a", "keys_file"),
            ("", "host"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.contains(&format!("`/c`: `{key}` is missing: add `{key} = ")),
                "{error}"
            );
        }
    }
}
