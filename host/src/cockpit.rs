//! Cockpit beside this proxy: which routes lead to it, its configuration file, and single sign-on into it.

mod conf;
mod layout;
mod ownership;
mod route;
mod setup;
mod systemd;
mod units;

pub(crate) use conf::{CockpitConf, Edit};
pub(crate) use layout::Layout;
pub(crate) use ownership::{belongs_to_root, changed_by_others};
pub(crate) use route::{chosen, leads_here, looks_like_cockpit, public_origin};
pub(crate) use setup::{Deed, set_up, undo};
pub(crate) use systemd::systemd_runs;
pub use units::SIGN_IN_URL;
pub(crate) use units::{
    COCKPIT_CONF, Deployment, HELPER, SERVICE_UNIT, SESSION_CONF, SESSION_KEYS, SESSION_SOCKET,
    SOCKET_UNIT, UNITS,
};
