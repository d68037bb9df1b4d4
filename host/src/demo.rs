//! What `jetway demo` consists of: a demo provider, a throw-away certificate and the configuration that ties them to the
//! proxy.

mod certificate;
mod introduction;
mod place;
mod probe;
mod provider;
mod route;
mod session_socket;
mod unix_account;

pub(crate) use certificate::ThrowAway;
pub(crate) use introduction::Introduction;
pub(crate) use place::Place;
pub(crate) use probe::{Finding, probe};
pub(crate) use provider::{ACCOUNTS, Account, Client, Listening, Provider};
pub(crate) use route::{Upstream, configuration};
pub(crate) use session_socket::SessionSocket;
pub(crate) use unix_account::UnixAccount;
