//! The introduction that `jetway-demo` prints when it has started.

use crate::place::Place;
use crate::probe::Finding;
use crate::provider::{ACCOUNTS, Account};
use crate::route::Upstream;

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
    /// The Unix user that alice and bob become; without one, Cockpit asks for a password.
    pub(crate) unix_user: Option<&'a str>,
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
        let account = |account: &Account| format!("{:<20} {}", account.email, account.outcome);
        let mut lines: Vec<String> = ACCOUNTS.iter().map(account).collect();
        lines.push(format!(
            "at the demo provider {}, without a password",
            self.place.issuer()
        ));
        lines
    }

    fn expectations(&self) -> Vec<String> {
        let next = match self.unix_user {
            Some(user) => {
                format!("then Cockpit, without a second password: you are the Unix user {user}")
            }
            None => {
                "then Cockpit's own login page: use a Unix account of the machine that runs Cockpit"
                    .to_owned()
            }
        };
        vec![
            "a warning about the certificate, for the application and for the demo provider:"
                .to_owned(),
            "it was just created and no authority vouches for it; its SHA-256 fingerprint is"
                .to_owned(),
            self.fingerprint.to_owned(),
            next,
        ]
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
        if let Some(user) = self.unix_user {
            lines.push(format!(
                "anyone on this machine can sign in as alice and become {user} while the demo runs"
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
    use crate::route::Upstream;

    fn text(host: &str, address: &str, finding: &Finding) -> String {
        let place = Place::new(host, address.parse().unwrap(), 8444);
        let upstream: Upstream = "http://localhost:9090".parse().unwrap();
        let cockpit_conf = "[WebService]\nOrigins = https://cockpit.localhost:8443\n";
        Introduction {
            place: &place,
            upstream: &upstream,
            finding,
            cockpit_conf,
            fingerprint: "AB:CD",
            unix_user: None,
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
    fn a_public_address_is_warned_of() {
        assert!(text("server.example", "0.0.0.0:8443", &Finding::Ready).contains("ANYONE"));
        assert!(text("cockpit.localhost", "0.0.0.0:8443", &Finding::Ready).contains("--host NAME"));
        assert!(
            text("server.example", "127.0.0.1:8443", &Finding::Ready).contains("--address 0.0.0.0")
        );
    }
}
