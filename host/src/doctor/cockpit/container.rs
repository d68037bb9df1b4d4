//! Recognises Cockpit's container `cockpit/ws` by its login page and by what is missing on this machine.
//!
//! Without privileges it is a bastion: its default file has `RequireHost = true`, each user names a host, and it connects there
//! by SSH. With privileges it logs users in to the machine of the container, whose files it has below `/host`.

use super::local_conf::LocalConf;
use super::login_page::LoginPage;
use super::restart_cockpit;
use crate::cockpit::SESSION_SOCKET;
use crate::doctor::finding::{Change, Finding};
use crate::doctor::upstream_probe::UpstreamProbe;

const CHECK: &str = "cockpit-container";
/// The folder in which the privileged container has the files of its machine.
const MACHINE: &str = "/host";

/// How Cockpit is run, as far as it is visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CockpitKind {
    /// It connects to hosts that users name.
    Bastion,
    /// It is not installed on this machine, and answers there.
    Container,
    /// It is a package, or runs on another machine.
    Usual,
}

/// Checks that the route fits the way in which Cockpit is run.
pub(super) fn examine(
    probe: &UpstreamProbe<'_>,
    page: &LoginPage,
    local: &LocalConf,
) -> Option<Finding> {
    judge(probe, page, local, probe.route.cockpit.is_some())
}

/// As [`examine`]; `signs_on` says whether the route logs users in.
fn judge(
    probe: &UpstreamProbe<'_>,
    page: &LoginPage,
    local: &LocalConf,
    signs_on: bool,
) -> Option<Finding> {
    let kind = match (page.requires_host, local.is_container()) {
        (true, _) => CockpitKind::Bastion,
        (false, true) => CockpitKind::Container,
        (false, false) => CockpitKind::Usual,
    };
    let about = probe.about.as_str();
    match (kind, signs_on) {
        (CockpitKind::Usual, _) => None,
        (CockpitKind::Bastion, false) => Some(Finding::ok(
            CHECK,
            about,
            "Cockpit requires a host (`RequireHost`), like the unprivileged container cockpit/ws: users log in to that host by SSH",
        )),
        (CockpitKind::Bastion, true) => Some(report_bastion(probe, local)),
        (CockpitKind::Container, false) => Some(Finding::ok(
            CHECK,
            about,
            "Cockpit is not installed on this machine and answers there: it runs in a container, with a cockpit.conf of its own",
        )),
        (CockpitKind::Container, true) => check_socket(probe, local),
    }
}

fn report_bastion(probe: &UpstreamProbe<'_>, local: &LocalConf) -> Finding {
    Finding::warning(
        CHECK,
        &probe.about,
        "Cockpit logs users in to other machines only (`RequireHost`), like the unprivileged container cockpit/ws",
    )
    .seen("Cockpit's login page, which asks for a host to connect to")
    .why("single sign-on logs users in on the machine of Cockpit's web service, and nothing is to be managed in an unprivileged container")
    .change(probe.in_route(
        "cockpit",
        "for such a container, replace the key `cockpit` by `allow_websockets: true` and `preserve_host_header: true`",
    ))
    .change(
        local
            .change_in("WebService", "RequireHost", "or, if Cockpit shall manage its own machine, write")
            .line("RequireHost = false"),
    )
    .change(restart_cockpit())
}

/// Checks that a container with single sign-on reaches the socket of the machine.
fn check_socket(probe: &UpstreamProbe<'_>, local: &LocalConf) -> Option<Finding> {
    let conf = local.file()?;
    let path = conf.value("bearer", "UnixPath");
    if path.is_some_and(|written| written.value.starts_with(MACHINE)) {
        return None;
    }
    Some(
        Finding::warning(
            CHECK,
            &probe.about,
            "Cockpit runs in a container, and `UnixPath` does not lead to this machine's socket",
        )
        .seen("Cockpit's login page with an error, after the sign-in")
        .why(format!(
            "the privileged container cockpit/ws has the files of its machine below {MACHINE}"
        ))
        .change(
            local
                .change_in("bearer", "UnixPath", "write")
                .line(format!("UnixPath = {MACHINE}{SESSION_SOCKET}")),
        )
        .change(Change::act("then restart the container").line("podman restart cockpit-ws")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;
    use crate::doctor::testing;

    fn judged(signs_on: bool, requires_host: bool, local: &LocalConf) -> Option<Finding> {
        let page = LoginPage {
            requires_host,
            ..LoginPage::default()
        };
        testing::with_probe("allow_websockets: true", |probe| {
            judge(probe, &page, local, signs_on)
        })
    }

    #[test]
    fn a_bastion_is_recognised_and_cannot_have_single_sign_on() {
        let local = LocalConf::parsed("");
        let bastion = judged(false, true, &local).unwrap();
        assert_eq!(bastion.outcome, Outcome::Ok);
        let with_key = judged(true, true, &local).unwrap();
        assert_eq!(with_key.outcome, Outcome::Warning);
        assert!(
            with_key.changes[1]
                .lines
                .contains(&"RequireHost = false".to_owned())
        );
        assert!(judged(true, false, &local).is_none());
    }

    #[test]
    fn a_container_needs_the_socket_of_the_machine() {
        let local = LocalConf::in_container("[bearer]\nUnixPath = /run/jetway/session\n");
        let found = judged(true, false, &local).unwrap();
        assert_eq!(found.outcome, Outcome::Warning);
        assert_eq!(
            found.changes[0].lines,
            ["UnixPath = /host/run/jetway/session"]
        );
        let local = LocalConf::in_container("[bearer]\nUnixPath = /host/run/jetway/session\n");
        assert!(judged(true, false, &local).is_none());
        let found = judged(false, false, &local).unwrap();
        assert_eq!(found.outcome, Outcome::Ok);
    }
}
