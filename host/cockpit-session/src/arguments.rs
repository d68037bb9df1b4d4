//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::settings::DEFAULT_FILE;

/// The request of the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// Serve the login on standard input and output.
    Serve(PathBuf),
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
}

/// The output of `--help`.
pub(crate) const HELP: &str = "\
Opens a Cockpit session for the user whom Jetway has signed in.

Usage: jetway-cockpit-session [--config FILE]

systemd starts it as root for every connection to the socket that `[bearer] UnixPath` in cockpit.conf names
(Accept=yes, StandardInput=socket, StandardOutput=inherit, StandardError=journal, SuccessExitStatus=1 5 127).

Options:
  --config FILE  configuration file [default: /etc/jetway/cockpit-session.conf]
  --help         print this
  --version      print the version

The configuration file has lines `key = value`, and comments that begin with `#`. It and the keys have to belong to
root and must not be writable by others.

  host                   public host of the route to this Cockpit; several are separated by blanks
  keys_file              the proxy's public keys: https://HOST/.well-known/pomerium/jwks.json as a file, or PEM
  allow_root             whether the account root may be used [default: false]
  disallowed_users_file  accounts that may not be used, one a line [default: /etc/cockpit/disallowed-users]
  pam_service            PAM service whose account and session rules apply [default: cockpit]
  bridge                 the program that becomes the session [default: cockpit-bridge]
  state_directory        where used assertions are recorded [default: /run/jetway/cockpit-session]
  administrators_directory
                         where sessions of administrators are marked, for polkit [default: /run/jetway/administrators]

An account needs no password, and an expired password is accepted. An account that has itself expired, has no login
shell, or is refused by PAM's account rules (/etc/nologin and others) gets no session.
";

impl Arguments {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let mut file = PathBuf::from(DEFAULT_FILE);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--help" | "-h") => return Ok(Self::Help),
                Some("--version" | "-V") => return Ok(Self::Version),
                Some("--config") => {
                    file = arguments
                        .next()
                        .ok_or("`--config` needs a file after it")?
                        .into();
                }
                _ => {
                    let argument = argument.to_string_lossy();
                    return Err(format!("there is no option `{argument}`: try --help"));
                }
            }
        }
        Ok(Self::Serve(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn options_are_understood() {
        assert_eq!(parse(&[]), Ok(Arguments::Serve(DEFAULT_FILE.into())));
        assert_eq!(
            parse(&["--config", "/x"]),
            Ok(Arguments::Serve("/x".into()))
        );
        assert_eq!(parse(&["--config", "/x", "--help"]), Ok(Arguments::Help));
        assert_eq!(parse(&["--version"]), Ok(Arguments::Version));
        assert!(parse(&["--config"]).unwrap_err().contains("needs a file"));
        assert!(parse(&["--confg"]).unwrap_err().contains("`--confg`"));
        assert!(HELP.contains(DEFAULT_FILE));
    }
}
