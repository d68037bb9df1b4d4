//! Whole-system tests: built programs and real peers, driven over the network as a user would.
//!
//! A scenario is a function `async fn name(scene: &mut Scene) -> anyhow::Result<()>`, written once.
//! [`on_both_proxies!`] runs it against the bundled host and against Envoy, from the same configuration file. A
//! [`Scene`] owns the parts of a scenario (folder, ports, certificate, OpenID provider) and stops all that it has
//! started. `tests/setup.sh` installs the peers.

mod assertion;

mod browser;
mod canary;
mod certificate;
mod cockpit;
mod cockpit_session;
mod deadline;
mod dialer;
mod dice;
pub mod differential;
mod doctor;
mod form;
mod glewlwyd;
mod hostile_provider;
mod installed;
mod load;
mod machine;
mod port;
mod private_file;
mod process;
mod provider;
mod proxy;
mod raw;
mod run;
mod scene;
mod seen;
mod service_manager;
mod session_key;
mod settings;
mod single_sign_on;
mod socket;
mod stub;
mod unix_user;
mod upstream;
mod user_agent;

pub use assertion::{Assertion, Parties};
pub use browser::{Browser, BrowserRun, Page, Task};
pub use canary::Canary;
pub use certificate::{Authority, Certificate, Issued, inline};
pub use cockpit::{Cockpit, CockpitSetup, Reached};
pub use cockpit_session::CockpitSession;
pub use deadline::{eventually, within};
pub use dialer::{Dialer, Response, Stream};
pub use dice::Dice;
pub use doctor::{Diagnosis, ensure_mentions};
pub use form::Form;
pub use glewlwyd::Glewlwyd;
pub use hostile_provider::{
    Asked, HostileProvider, ProviderKeys, SignedBy, ending, json_answer, part, redirect_to,
    seconds, text_answer,
};
pub use installed::Installed;
pub use load::Load;
pub use machine::{Machine, Release};
pub use port::Port;
pub use private_file::write_private;
pub use process::{Process, output_of};
pub use provider::{Client, Provider, Told};
pub use proxy::{Proxy, ProxyKind};
pub use run::{run, run_for, run_without_proxy};
pub use scene::{APP, COCKPIT, HOSTS, OTHER, Registration, Scene, WILD};
pub use seen::{Seen, SeenTls};
pub use service_manager::ServiceManager;
pub use session_key::SessionKey;
pub use settings::{Placement, Route, Secrets, Settings};
pub use single_sign_on::{DUMMY, Person};
pub use socket::{Channel, Upgrade};
pub use stub::{Answer, Answers, Ending, Stub};
pub use unix_user::UnixUser;
pub use upstream::{Manner, Upstream};
pub use user_agent::{ALICE, BOB, CAROL, CONNECTIONS, DORA, MALLORY, UserAgent};

/// Makes two tests of each scenario, `NAME::host` and `NAME::envoy`.
#[macro_export]
macro_rules! on_both_proxies {
    ($($scenario:ident),+ $(,)?) => {
        $(
            mod $scenario {
                #[test]
                fn host() -> anyhow::Result<()> {
                    jetway_tests::run(stringify!($scenario), jetway_tests::ProxyKind::Host, super::$scenario)
                }

                #[test]
                fn envoy() -> anyhow::Result<()> {
                    jetway_tests::run(stringify!($scenario), jetway_tests::ProxyKind::Envoy, super::$scenario)
                }
            }
        )+
    };
}
