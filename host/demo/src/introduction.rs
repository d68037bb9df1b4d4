//! The introduction that `jetway-demo` prints when it has started.

use crate::place::Place;
use crate::probe::Finding;
use crate::provider::{ACCOUNTS, Account, Rights};
use crate::route::Upstream;
use crate::unix_accounts::UnixUsers;

/// The contents of the introduction.
pub(crate) struct Introduction<'a> {
    /// Names and addresses.
    pub(crate) place: &'a Place,
    /// The address of Cockpit.
    pub(crate) upstream: &'a Upstream,
    /// The finding of the probe.
    pub(crate) finding: &'a Finding,
    /// The lines that Cockpit needs in its configuration.
    pub(crate) cockpit_conf: &'a str,
    /// SHA-256 of the certificate.
    pub(crate) fingerprint: &'a str,
    /// The Unix users that alice and bob become; without them, Cockpit asks for a password.
    pub(crate) unix_users: Option<UnixUsers<'a>>,
    /// Whether alice and bob become Unix users of their own.
    pub(crate) rights: Rights,
}

impl Introduction<'_> {
    /// Returns the whole text, with a line end.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("\nJetway demo, not for production\n\n");
        let mut paragraph = |title: &str, lines: Vec<String>| {
            for (index, line) in lines.iter().enumerate() {
                let title = if index == 0 { title } else { "" };
                text.push_str(format!("  {title:<10} {line}").trim_end());
                text.push('\n');
            }
        };
        paragraph("Open", vec![self.place.application()]);
        paragraph("Sign in", self.accounts());
        paragraph("Expect", self.expectations());
        paragraph("Cockpit", self.cockpit());
        paragraph("Careful", self.warnings());
        paragraph("Stop", vec!["Ctrl-C".to_owned()]);
        text.push('\n');
        text
    }

    fn accounts(&self) -> Vec<String> {
        let account =
            |account: &Account| format!("{:<20} {}", account.email, account.outcome(self.rights));
        let mut lines: Vec<String> = ACCOUNTS.iter().map(account).collect();
        lines.push(format!(
            "at the demo provider {}, without a password",
            self.place.issuer()
        ));
        lines
    }

    fn expectations(&self) -> Vec<String> {
        let mut lines = vec![
            "a warning about the certificate, for the application and for the demo provider:"
                .to_owned(),
            "it was just created and no authority vouches for it; its SHA-256 fingerprint is"
                .to_owned(),
            self.fingerprint.to_owned(),
        ];
        lines.extend(self.logins());
        lines
    }

    /// Returns how alice and bob get into Cockpit.
    fn logins(&self) -> Vec<String> {
        let Some(users) = self.unix_users else {
            let login = "then Cockpit's own login page: use a Unix account of the machine that runs Cockpit";
            return vec![login.to_owned()];
        };
        let session = format!(
            "{}/.pomerium/ shows it, and signs you out",
            self.place.application()
        );
        let mut lines = vec!["then Cockpit, without a second password:".to_owned()];
        if users.alice == users.bob {
            lines.push(format!("you are the Unix user {}", users.alice));
        } else {
            lines.push(format!(
                "alice is the Unix user {}, with administrative access",
                users.alice
            ));
            lines.push(format!("bob is the Unix user {}, without", users.bob));
        }
        lines.push(session);
        lines
    }

    fn cockpit(&self) -> Vec<String> {
        let upstream = self.upstream.origin();
        match self.finding {
            Finding::Ready => vec![format!("{upstream} answers and accepts {}", self.place.application())],
            Finding::RefusesOrigin => {
                let mut lines = vec![
                    format!("{upstream} answers but would refuse the websockets of {}:", self.place.application()),
                    "the login succeeds and then the page says \"Connection failed\". It needs this:".to_owned(),
                    String::new(),
                ];
                lines.extend(self.cockpit_conf.lines().map(ToOwned::to_owned));
                lines.push(String::new());
                lines.extend(self.way_around());
                lines
            }
            Finding::Unknown(what) => vec![format!("{upstream} answers, but {what}")],
            Finding::Silent(error) => vec![
                format!("nothing answers at {upstream}: {error:#}"),
                "until it is up, permitted users see an error page. Start Cockpit with".to_owned(),
                "`systemctl start cockpit.socket`, or name another with COCKPIT_URL=http://host:9090".to_owned(),
            ],
        }
    }

    /// Returns the alternative for a Cockpit that systemd starts: its socket also accepts TLS, which needs no
    /// configuration.
    fn way_around(&self) -> Vec<String> {
        let origin = self.upstream.origin();
        if origin.tls {
            return Vec::new();
        }
        let secure = format!("https://{}:{}", origin.host, origin.port);
        vec![format!(
            "or, if systemd starts Cockpit, use COCKPIT_URL={secure} instead"
        )]
    }

    fn warnings(&self) -> Vec<String> {
        let place = self.place;
        let mut lines = Vec::new();
        if let Some(users) = self.unix_users {
            let becomes = if users.alice == users.bob {
                format!("the Unix user {}", users.alice)
            } else {
                "an administrator of this machine".to_owned()
            };
            let whose =
                "while the demo runs, your programs on this machine, and those of root, can become";
            lines.push(whose.to_owned());
            lines.push(format!(
                "{becomes} without a password; those of other accounts cannot"
            ));
        }
        if place.is_open_to_others() {
            lines.push(format!(
                "ANYONE who can reach {} can sign in as alice: the demo provider asks",
                place.listen()
            ));
            lines.push("for no password. Only Cockpit's own login protects Cockpit. Stop the demo when you are done.".to_owned());
        }
        if place.is_open_to_others() && place.has_local_name() {
            lines.push(
                "names under .localhost always mean the browser's own machine: add --host NAME"
                    .to_owned(),
            );
        }
        if !place.is_open_to_others() && !place.has_local_name() {
            lines.push(
                "only this machine can connect: add --address 0.0.0.0 to admit others".to_owned(),
            );
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::Introduction;
    use crate::place::Place;
    use crate::probe::Finding;
    use crate::provider::Rights;
    use crate::route::Upstream;
    use crate::unix_accounts::UnixUsers;

    fn text(host: &str, address: &str, finding: &Finding) -> String {
        text_with(host, address, finding, None)
    }

    fn text_with(
        host: &str,
        address: &str,
        finding: &Finding,
        unix_users: Option<UnixUsers<'_>>,
    ) -> String {
        let place = Place::new(host, address.parse().unwrap(), 8444);
        let upstream: Upstream = "http://localhost:9090".parse().unwrap();
        let cockpit_conf = "[WebService]\nOrigins = https://cockpit.localhost:8443\n";
        Introduction {
            place: &place,
            upstream: &upstream,
            finding,
            cockpit_conf,
            fingerprint: "AB:CD",
            unix_users,
            rights: unix_users.map_or(Rights::Shared, |_| Rights::Own),
        }
        .text()
    }

    #[test]
    fn it_names_the_address_the_accounts_and_the_way_out() {
        let text = text("cockpit.localhost", "127.0.0.1:8443", &Finding::Ready);
        for part in [
            "https://cockpit.localhost:8443\n",
            "alice@example.com",
            "mallory@example.com",
            "https://idp.localhost:8444",
            "AB:CD",
            "Ctrl-C",
            "not for production",
        ] {
            assert!(text.contains(part), "`{part}` in {text}");
        }
        assert!(!text.contains("Careful"), "{text}");
    }

    #[test]
    fn a_cockpit_that_would_refuse_is_reported_with_the_lines_to_add() {
        let text = text(
            "cockpit.localhost",
            "127.0.0.1:8443",
            &Finding::RefusesOrigin,
        );
        assert!(
            text.contains("Origins = https://cockpit.localhost:8443\n"),
            "{text}"
        );
        assert!(
            text.contains("COCKPIT_URL=https://localhost:9090"),
            "{text}"
        );
    }

    #[test]
    fn it_says_which_unix_user_each_account_becomes() {
        let users = |alice, bob| Some(UnixUsers { alice, bob });
        let say = |users| {
            text_with(
                "cockpit.localhost",
                "127.0.0.1:8443",
                &Finding::Ready,
                users,
            )
        };
        let text = say(users("a", "b"));
        for part in [
            "alice is the Unix user a, with administrative access\n",
            "bob is the Unix user b, without\n",
            "https://cockpit.localhost:8443/.pomerium/",
            "may use Cockpit as an administrator",
            "an administrator of this machine without a password",
        ] {
            assert!(text.contains(part), "`{part}` in {text}");
        }
        let text = say(users("one", "one"));
        assert!(text.contains("you are the Unix user one\n"), "{text}");
        assert!(!text.contains("administrator of"), "{text}");
    }

    #[test]
    fn a_public_address_is_warned_of() {
        assert!(text("server.example", "0.0.0.0:8443", &Finding::Ready).contains("ANYONE"));
        assert!(text("cockpit.localhost", "0.0.0.0:8443", &Finding::Ready).contains("--host NAME"));
        assert!(
            text("server.example", "127.0.0.1:8443", &Finding::Ready).contains("--address 0.0.0.0")
        );
    }
}
