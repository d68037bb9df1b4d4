//! Reading single criteria.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::Value;

use super::matchers::{read_certificate_matcher, read_each, read_list_matcher, read_matcher};
use super::{each_once, suggestion};
use crate::diagnostics::{Findings, Place};
use crate::policy::address::read_network;
use crate::policy::time::{DateWindow, TimeWindow, Weekdays, read_instant, read_time};
use crate::policy::words::{CRITERIA, IMPOSSIBLE};
use crate::policy::{Criterion, StringMatcher};

/// The claim that names a visitor's groups.
const GROUPS_CLAIM: &str = "groups";

pub(super) fn read_criterion(
    value: &Value,
    place: &Place,
    findings: &mut Findings,
) -> Option<Criterion> {
    let single = match value {
        Value::Object(object) if object.len() == 1 => object.iter().next(),
        _ => None,
    };
    let Some((key, argument)) = single else {
        findings
            .problem(place, "a criterion must be an object with exactly one key")
            .help("write one criterion per list item, for example `- domain: {is: example.com}`");
        return None;
    };
    let place = place.key(key);
    // The first slash ends the name; a claim's name may hold more of them.
    let (name, sub_path) = key.split_once('/').unwrap_or((key, ""));
    let lower = name.to_ascii_lowercase();
    read_named(&lower, sub_path, argument, &place, findings).unwrap_or_else(|| {
        unknown_criterion(key, &lower, &place, findings);
        None
    })
}

/// `None` for an unknown name, `Some(None)` for a known one whose argument cannot be read.
fn read_named(
    name: &str,
    sub_path: &str,
    argument: &Value,
    place: &Place,
    findings: &mut Findings,
) -> Option<Option<Criterion>> {
    let mut text = |fold, make: fn(StringMatcher) -> Criterion| {
        read_matcher(argument, place, findings, fold).map(make)
    };
    Some(match name {
        "accept" => {
            if *argument == Value::Bool(false) {
                findings
                    .warning(place, "`accept: false` accepts all the same")
                    .help("write `reject: true` to refuse");
            }
            Some(Criterion::Accept)
        }
        "reject" => Some(Criterion::Reject),
        "authenticated_user" => Some(Criterion::AuthenticatedUser),
        "cors_preflight" => Some(Criterion::CorsPreflight),
        "invalid_client_certificate" => Some(Criterion::InvalidClientCertificate),
        "pomerium_routes" => {
            findings
                .warning(place, "`pomerium_routes` never holds: the proxy's own pages are not judged by policies")
                .help("take it out");
            Some(Criterion::PomeriumRoutes)
        }
        "email" => {
            let criterion = text(
                |email| email,
                |matcher| Criterion::Email(matcher.about_addresses()),
            );
            warn_of_loose_end(argument, place, findings);
            criterion
        }
        "domain" => {
            let criterion = text(|domain| domain.to_ascii_lowercase(), Criterion::Domain);
            warn_of_loose_end(argument, place, findings);
            criterion
        }
        "user" => text(|user| user, Criterion::User),
        "http_method" => text(|method| method, Criterion::HttpMethod),
        "http_path" => text(|path| path, Criterion::HttpPath),
        "claim" => read_claim(sub_path, argument, place, findings),
        "groups" => read_list_matcher(argument, place, findings)
            .map(|matcher| Criterion::Groups(GROUPS_CLAIM.to_owned(), matcher)),
        "source_ip" => read_source_ip(argument, place, findings),
        "client_certificate" => {
            read_certificate_matcher(argument, place, findings).map(Criterion::ClientCertificate)
        }
        "date" => read_date(argument, place, findings),
        "day_of_week" => read_day_of_week(argument, place, findings),
        "time_of_day" => read_time_of_day(argument, place, findings),
        _ => return None,
    })
}

fn unknown_criterion(key: &str, name: &str, place: &Place, findings: &mut Findings) {
    if let Some((_, why)) = IMPOSSIBLE.iter().find(|(known, _)| *known == name) {
        findings
            .problem(place, format!("criterion `{key}` cannot be judged"))
            .help(*why);
    } else {
        findings
            .problem(place, format!("unknown criterion `{key}`"))
            .help(suggestion(
                name,
                &CRITERIA,
                "for example `email`, `domain`, `groups`, `claim/NAME` or `source_ip`",
            ));
    }
}

/// `ends_with: example.com` also fits `evil-example.com`.
fn warn_of_loose_end(argument: &Value, place: &Place, findings: &mut Findings) {
    let end = argument.get("ends_with").and_then(Value::as_str);
    if let Some(end) = end
        && !end.starts_with(['@', '.'])
    {
        findings
            .warning(
                &place.key("ends_with"),
                format!("`{end}` also ends longer names that are not meant"),
            )
            .help(format!(
                "write `@{end}` for addresses, or `domain: {{is: {end}}}`"
            ));
    }
}

fn read_claim(
    name: &str,
    argument: &Value,
    place: &Place,
    findings: &mut Findings,
) -> Option<Criterion> {
    if name.is_empty() {
        findings
            .warning(place, "no claim is named, so this never holds")
            .help("write `claim/NAME`");
    } else if name.contains('/') && !name.contains("://") && !name.contains('.') {
        findings
            .warning(
                place,
                format!("`{name}` is taken as one name: nested claims are joined by dots"),
            )
            .help(format!(
                "write `claim/{}` for a nested claim",
                name.replace('/', ".")
            ));
    }
    read_list_matcher(argument, place, findings)
        .map(|matcher| Criterion::Claim(name.to_owned(), matcher))
}

fn read_source_ip(argument: &Value, place: &Place, findings: &mut Findings) -> Option<Criterion> {
    let networks = read_each(argument, read_network);
    if networks.is_none() {
        findings
            .problem(
                place,
                "`source_ip` takes an address, a network, or a list of them",
            )
            .help("write for example `10.0.0.0/8` or `[192.0.2.1, 2001:db8::/32]`");
    }
    networks.map(Criterion::SourceIp)
}

/// The members `after`, `before` and `timezone` of an object, each a text when it is there.
struct Window<'v> {
    after: Option<&'v str>,
    before: Option<&'v str>,
    zone: Option<TimeZone>,
    /// Whether there was nothing to complain about.
    sound: bool,
}

impl<'v> Window<'v> {
    fn read(argument: &'v Value, place: &Place, findings: &mut Findings) -> Option<Self> {
        let Value::Object(object) = argument else {
            findings
                .problem(place, "an object is needed")
                .help("write `{after: …, before: …}`");
            return None;
        };
        let mut window = Self {
            after: None,
            before: None,
            zone: None,
            sound: true,
        };
        let count = findings.problem_count();
        for (name, value) in each_once(object, place, findings) {
            let place = place.key(name);
            match (name.to_ascii_lowercase().as_str(), value.as_str()) {
                ("after", Some(text)) => window.after = Some(text),
                ("before", Some(text)) => window.before = Some(text),
                ("timezone", Some(text)) => window.zone = read_zone(text, &place, findings),
                ("after" | "before" | "timezone", None) => {
                    findings
                        .problem(&place, format!("`{name}` takes a text"))
                        .help("put the value in quotes");
                }
                _ => {
                    findings
                        .problem(&place, format!("unknown condition `{name}`"))
                        .help("write `after`, `before` or `timezone`");
                }
            }
        }
        window.sound = findings.problem_count() == count;
        Some(window)
    }
}

fn read_zone(name: &str, place: &Place, findings: &mut Findings) -> Option<TimeZone> {
    let zone = TimeZoneDatabase::bundled().get(name).ok();
    if zone.is_none() {
        findings
            .problem(place, format!("`{name}` is not a time zone"))
            .help("write a name of the IANA database, for example `Europe/Berlin` or `UTC`");
    }
    zone
}

fn read_date(argument: &Value, place: &Place, findings: &mut Findings) -> Option<Criterion> {
    let window = Window::read(argument, place, findings)?;
    let zone = window.zone.clone().unwrap_or(TimeZone::UTC);
    let mut read = |name: &str, text: Option<&str>| match text.map(|text| read_instant(text, &zone))
    {
        None => Some(None),
        Some(Some(instant)) => Some(Some(instant)),
        Some(None) => {
            findings
                .problem(&place.key(name), "this is not a date")
                .help("write for example `2026-01-31T16:20:00` or `2026-01-31T16:20:00+01:00`");
            None
        }
    };
    let (after, before) = (read("after", window.after), read("before", window.before));
    window.sound.then_some(())?;
    Some(Criterion::Date(DateWindow {
        after: after?,
        before: before?,
    }))
}

fn read_day_of_week(argument: &Value, place: &Place, findings: &mut Findings) -> Option<Criterion> {
    let days = argument.as_str().and_then(Weekdays::read);
    if days.is_none() {
        findings
            .problem(place, "these are not days of the week")
            .help("write `*`, `mon,wed` or `mon-fri`; days begin at midnight UTC");
    }
    days.map(Criterion::DayOfWeek)
}

fn read_time_of_day(argument: &Value, place: &Place, findings: &mut Findings) -> Option<Criterion> {
    let window = Window::read(argument, place, findings)?;
    // A zone that cannot be read has its own problem.
    if window.zone.is_none() && window.sound {
        findings
            .problem(place, "`time_of_day` needs a `timezone`")
            .help("add for example `timezone: Europe/Berlin`");
    }
    let mut read = |name: &str, text: Option<&str>| match text.map(read_time) {
        None => Some(None),
        Some(Some(time)) => Some(Some(time)),
        Some(None) => {
            findings
                .problem(&place.key(name), "this is not a time of day")
                .help("write for example `17:30` or `5:30 PM`");
            None
        }
    };
    let (after, before) = (read("after", window.after), read("before", window.before));
    Some(Criterion::TimeOfDay(TimeWindow {
        zone: window.zone.filter(|_| window.sound)?,
        after: after?,
        before: before?,
    }))
}
