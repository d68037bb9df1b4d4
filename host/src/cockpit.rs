//! Cockpit behind this proxy: its routes, its configuration file, and single sign-on.

mod conf;
mod elevation;
mod layout;
mod ownership;
mod route;
mod setup;
mod systemd;
mod units;

pub(crate) use conf::{CockpitConf, Edit};
pub(crate) use elevation::{Elevation, POLKIT_RULE, POLKIT_RULE_TEXT, has_polkit};
pub(crate) use layout::Layout;
pub(crate) use ownership::{belongs_to_root, find_changeable};
pub(crate) use route::{leads_here, looks_like_cockpit, public_origin, select_routes};
pub(crate) use setup::{FileChange, set_up, undo};
pub(crate) use systemd::is_systemd_running;
pub use units::SIGN_IN_URL;
pub(crate) use units::{
    COCKPIT_CONF, Deployment, HELPER, SERVICE_UNIT, SESSION_CONF, SESSION_KEYS, SESSION_SOCKET,
    SOCKET_UNIT, UNITS,
};
