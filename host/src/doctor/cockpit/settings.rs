//! Checks settings of Cockpit's file, and of the route, that other checks do not see from outside.

use std::time::Duration;

use jetway_core::diagnostics::nearest;

use super::local_conf::LocalConf;
use super::restart_cockpit;
use crate::cockpit::CockpitConf;
use crate::doctor::finding::Finding;
use crate::doctor::upstream_probe::UpstreamProbe;

const CHECK: &str = "cockpit-settings";
const HEADERS: &str = "forwarded-headers";
const WEB_SERVICE: &str = "WebService";
/// The sections with a fixed list of keys, as cockpit.conf(5) has them up to release 372. Other sections, such as `bearer`,
/// are named like authentication schemes.
const SECTIONS: [(&str, &[&str]); 4] = [
    (
        WEB_SERVICE,
        &[
            "Origins",
            "ProtocolHeader",
            "ForwardedForHeader",
            "LoginTitle",
            "LoginTo",
            "RequireHost",
            "AllowMultiHost",
            "MaxStartups",
            "AllowUnencrypted",
            "UrlRoot",
            "ClientCertAuthentication",
            "Shell",
            "CustomLoginPage",
            "X-For-CockpitClient",
        ],
    ),
    ("Log", &["Fatal"]),
    ("OAuth", &["URL", "ErrorParam", "TokenParam"]),
    (
        "Session",
        &["Banner", "IdleTimeout", "WarnBeforeConnecting"],
    ),
];
/// Cockpit's default of `MaxStartups`.
const DEFAULT_STARTUPS: u32 = 10;
/// The headers in use whose names begin with `x-forwarded-`.
const FORWARDED: [&str; 19] = [
    "x-forwarded-access-token",
    "x-forwarded-by",
    "x-forwarded-client-cert",
    "x-forwarded-email",
    "x-forwarded-for",
    "x-forwarded-groups",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-preferred-username",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-forwarded-user",
];
/// Most characters of a name or value from a file that are shown.
const MOST_SHOWN: usize = 60;

/// The facts about a route to Cockpit that decide what its settings do.
struct Settings<'a> {
    about: &'a str,
    local: &'a LocalConf,
    /// Whether the route logs users in to Cockpit.
    signs_on: bool,
    /// The idle limit of Jetway's sessions.
    idle: Option<Duration>,
}

/// Checks the settings.
pub(super) fn examine(probe: &UpstreamProbe<'_>, local: &LocalConf) -> Vec<Finding> {
    let settings = Settings {
        about: &probe.about,
        local,
        signs_on: probe.route.cockpit.is_some(),
        idle: probe.subject.config.session.idle,
    };
    let mut findings = local
        .file()
        .map_or_else(Vec::new, |conf| settings.check_file(conf));
    let set = probe.route.request_headers.set.iter();
    findings.extend(
        set.filter_map(|(name, _)| Some((name, find_misspelt_header(name)?)))
            .map(|(name, meant)| report_header(probe, name, meant)),
    );
    findings
}

impl Settings<'_> {
    fn check_file(&self, conf: &CockpitConf) -> Vec<Finding> {
        let mut findings = self.check_names(conf);
        findings.extend(self.check_url_root(conf));
        if self.signs_on {
            findings.extend(self.check_startups(conf));
            findings.extend(self.check_login_page(conf));
            findings.extend(self.check_idle(conf));
        }
        findings
    }

    fn warn(&self, message: String) -> Finding {
        Finding::warning(CHECK, self.about, message)
    }

    /// Checks that Cockpit knows the names of sections and keys.
    fn check_names(&self, conf: &CockpitConf) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (section, key, ..) in conf.entries() {
            let named = |name: &str| name.eq_ignore_ascii_case(section);
            let known = SECTIONS.iter().find(|(name, _)| named(name));
            let (at, wrong, meant) = match known {
                Some((_, keys)) if keys.iter().any(|name| name.eq_ignore_ascii_case(key)) => {
                    continue;
                }
                Some((name, keys)) => (*name, key, nearest(key, keys.iter().copied())),
                None => match nearest(section, SECTIONS.iter().map(|(name, _)| *name)) {
                    Some(meant) => (section, section, Some(meant)),
                    None => continue,
                },
            };
            findings.push(self.report_name((at, key), wrong, meant));
        }
        // A section with a misspelt name has one finding, however many keys it has.
        findings.dedup_by(|one, other| one.message == other.message);
        findings
    }

    fn report_name(
        &self,
        (section, key): (&str, &str),
        wrong: &str,
        meant: Option<&str>,
    ) -> Finding {
        let finding = self
            .warn(format!(
                "Cockpit does not know the name `{}`",
                shorten(wrong)
            ))
            .seen("nothing; Cockpit ignores the line without a message")
            .why("cockpit.conf(5) of release 372 has no such name");
        match meant {
            Some(meant) => finding.change(self.local.change_in(
                section,
                key,
                &format!("write `{meant}` instead"),
            )),
            None => finding.change(self.local.change_in(section, key, "remove the line")),
        }
    }

    /// Checks `UrlRoot`: Cockpit's own addresses begin with two of its values.
    fn check_url_root(&self, conf: &CockpitConf) -> Option<Finding> {
        let written = conf.value(WEB_SERVICE, "UrlRoot")?;
        let root = written.value.trim_matches('/');
        (root == "cockpit" || root.starts_with("cockpit+")).then(|| {
            self.warn(format!(
                "`UrlRoot` is `{}`, which Cockpit reserves",
                shorten(written.value)
            ))
            .seen("an empty page, or \"Not found\"")
            .why("Cockpit's own addresses begin with `/cockpit/` and `/cockpit+`")
            .change(
                self.local
                    .change_in(
                        WEB_SERVICE,
                        "UrlRoot",
                        "and in `prefix` of the route write another one, such as",
                    )
                    .line("UrlRoot = /admin"),
            )
            .change(restart_cockpit())
        })
    }

    /// Checks that several users can log in at the same time.
    fn check_startups(&self, conf: &CockpitConf) -> Option<Finding> {
        const KEY: &str = "MaxStartups";
        let written = conf.value(WEB_SERVICE, KEY)?;
        let (first, _) = written.value.split_once(':').unwrap_or((written.value, ""));
        let is_enough = first
            .trim()
            .parse()
            .is_ok_and(|most: u32| most >= DEFAULT_STARTUPS);
        (!is_enough).then(|| {
            self.warn(format!("`{KEY}` is `{}`", shorten(written.value)))
                .seen("Cockpit's login page with an error, when several users log in at the same time")
                .why("after a restart all users log in at once, and Cockpit refuses more logins at a time than this")
                .change(
                    self.local
                        .change_in(WEB_SERVICE, KEY, "write at least")
                        .line(format!("{KEY} = {DEFAULT_STARTUPS}")),
                )
        })
    }

    /// Checks that the login page is Cockpit's own.
    fn check_login_page(&self, conf: &CockpitConf) -> Option<Finding> {
        const KEY: &str = "CustomLoginPage";
        let written = conf.value(WEB_SERVICE, KEY)?;
        Some(
            self.warn(format!("`{KEY}` is `{}`", shorten(written.value)))
                .seen("the custom page, which may ask for a password")
                .why("Cockpit's own login page brings users to single sign-on, and a custom page may lack that code")
                .change(self.local.change_in(WEB_SERVICE, KEY, "remove the line")),
        )
    }

    /// Checks that Cockpit and Jetway end idle sessions after similar times.
    fn check_idle(&self, conf: &CockpitConf) -> Option<Finding> {
        const KEY: &str = "IdleTimeout";
        let written = conf.value("Session", KEY)?;
        let minutes: u64 = written.value.parse().ok().filter(|minutes| *minutes > 0)?;
        let ours = self.idle?.as_secs() / 60;
        let differs = minutes > ours.saturating_mul(2) || ours > minutes.saturating_mul(2);
        differs.then(|| {
            self.warn(format!(
                "Cockpit ends idle sessions after {minutes} min (`{KEY}`), and Jetway after {ours} min (`cookie_idle_expire`)"
            ))
            .seen("Cockpit logs users out earlier or later than they expect")
            .why("Cockpit counts input in its pages since release 362 for every login, and Jetway counts requests")
            .change(
                self.local
                    .change_in("Session", KEY, "write the same time, in minutes")
                    .line(format!("{KEY} = {ours}")),
            )
        })
    }
}

/// Returns the header that a name of the form `X-Forwarded-*` is a misspelling of.
fn find_misspelt_header(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    if FORWARDED.contains(&name.as_str()) {
        return None;
    }
    let near = nearest(&name, FORWARDED.into_iter());
    near.or_else(|| {
        // Such as `X-Forwarded-For-Proto`.
        let last = name.strip_prefix("x-forwarded-")?.rsplit('-').next()?;
        FORWARDED
            .into_iter()
            .find(|known| known.strip_prefix("x-forwarded-") == Some(last))
    })
}

fn report_header(probe: &UpstreamProbe<'_>, name: &str, meant: &str) -> Finding {
    let message = format!("`set_request_headers` sets `{}`", shorten(name));
    Finding::warning(HEADERS, &probe.about, message)
        .seen("what the application shows without the header")
        .why(format!("this name is not in use; it looks like a misspelling of `{meant}`"))
        .change(probe.in_route("set_request_headers", &format!(
            "write `{meant}`, or remove it: Jetway sets `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` itself"
        )))
}

fn shorten(text: &str) -> String {
    text.chars().take(MOST_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the messages about a file, of a route with single sign-on and an idle limit of an hour.
    fn messages(text: &str) -> Vec<String> {
        let local = LocalConf::parsed(text);
        let settings = Settings {
            about: "",
            local: &local,
            signs_on: true,
            idle: Some(Duration::from_secs(3600)),
        };
        let findings = settings.check_file(local.file().unwrap());
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn settings_that_work_are_not_reported() {
        for text in [
            "",
            "[webservice]\norigins = https://a\nMaxStartups = 10\nUrlRoot = /cockpit-new/\n",
            "[WebService]\nMaxStartups = 20:30:60\n[Session]\nIdleTimeout = 45\n",
            "[Session]\nIdleTimeout = 0\n[bearer]\nUnixPath = /run/x\n[negotiate]\naction = none\n",
        ] {
            assert_eq!(messages(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn unknown_names_are_reported_with_the_known_one() {
        let local = LocalConf::parsed("[WebService]\nForwarderForHeader = X-Forwarded-For\n");
        let settings = Settings {
            about: "",
            local: &local,
            signs_on: false,
            idle: None,
        };
        let findings = settings.check_file(local.file().unwrap());
        let [finding] = findings.as_slice() else {
            panic!("{findings:?}");
        };
        assert!(finding.message.contains("`ForwarderForHeader`"));
        let change = finding.changes.first().unwrap();
        assert_eq!(change.line, Some(2));
        assert!(
            change.what.contains("write `ForwardedForHeader` instead"),
            "{change:?}"
        );
        for (text, name) in [
            ("[WebService]\nColour = blue\n", "`Colour`"),
            ("[WebServce]\nOrigins = https://a\n", "`WebServce`"),
            ("[OAuth]\nUrl = /x\nTokenParm = t\n", "`TokenParm`"),
        ] {
            let found = messages(text);
            assert!(
                found.len() == 1 && found[0].contains(name),
                "{text}: {found:?}"
            );
        }
    }

    #[test]
    fn settings_that_break_single_sign_on_are_reported() {
        for (text, part) in [
            (
                "[WebService]\nUrlRoot = /cockpit\n",
                "`UrlRoot` is `/cockpit`",
            ),
            ("[WebService]\nUrlRoot=/cockpit+new/\n", "`UrlRoot` is"),
            ("[WebService]\nMaxStartups = 2\n", "`MaxStartups` is `2`"),
            ("[WebService]\nMaxStartups = 3:30:60\n", "`MaxStartups` is"),
            (
                "[WebService]\nCustomLoginPage = /x.html\n",
                "`CustomLoginPage` is",
            ),
            ("[Session]\nIdleTimeout = 15\n", "after 15 min"),
            ("[Session]\nIdleTimeout = 240\n", "after 240 min"),
        ] {
            let found = messages(text);
            assert!(
                found.len() == 1 && found[0].contains(part),
                "{text}: {found:?}"
            );
        }
    }

    #[test]
    fn misspelt_headers_are_found() {
        for (name, meant) in [
            ("X-Forwarded-For-Proto", Some("x-forwarded-proto")),
            ("x-forwarded-prto", Some("x-forwarded-proto")),
            ("x-forwarder-for", Some("x-forwarded-for")),
            ("x-forwarded-proto", None),
            ("X-Forwarded-User", None),
            ("x-forwarded-tenant", None),
            ("x-team", None),
        ] {
            assert_eq!(find_misspelt_header(name), meant, "{name}");
        }
    }
}
