//! The PAM session of an account.

use std::ffi::{CString, OsString};
use std::net::IpAddr;

use nix::unistd::initgroups;

use crate::account::Account;
use crate::login_shell::runs_commands;
use crate::os::pam::{Pam, PamError};
use crate::refusal::Refusal;
use crate::signals::Signals;

/// An open session. Dropping it closes it.
pub(crate) struct Session(Pam);

impl Session {
    /// Checks the account with PAM and with its shell, and opens a session for it. PAM asks for no password: the
    /// assertion has authenticated the user.
    pub(crate) fn open(
        account: &Account,
        service: &str,
        remote_host: Option<IpAddr>,
        signals: &Signals,
    ) -> Result<Self, Refusal> {
        let service = CString::new(service).map_err(|error| Refusal::Fault(error.to_string()))?;
        let mut pam = Pam::start(&service, &account.name).map_err(fault)?;
        if let Some(address) = remote_host {
            pam.set_remote_host(address).map_err(fault)?;
        }
        if let Err(error) = pam.check_account() {
            return Err(unusable(account, &pam, &error));
        }
        if pam.user().map_err(fault)? != account.name {
            return Err(Refusal::Fault(
                "a PAM module has changed the account".into(),
            ));
        }
        let name = account.display_name();
        // For the shell, and before PAM's credentials, which may add further groups. Child processes inherit the
        // groups.
        initgroups(&account.name, account.gid).map_err(|error| {
            Refusal::Fault(format!("the groups of {name} cannot be set: {error}"))
        })?;
        let has_shell = runs_commands(account, signals).map_err(|error| {
            Refusal::Fault(format!("the shell of {name} cannot be tried: {error}"))
        })?;
        if !has_shell {
            return Err(Refusal::account(format!(
                "The account {name} has no login shell"
            )));
        }
        for (variable, value) in [("XDG_SESSION_CLASS", "user"), ("XDG_SESSION_TYPE", "web")] {
            pam.put_variable(variable, value).map_err(fault)?;
        }
        pam.put_variable("HOME", &account.home.to_string_lossy())
            .map_err(fault)?;
        pam.open_session().map_err(fault)?;
        Ok(Self(pam))
    }

    /// Returns the environment that PAM's modules have created.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        self.0.environment()
    }
}

fn fault(error: PamError) -> Refusal {
    Refusal::Fault(error.to_string())
}

/// Returns the messages of the modules, such as that the account has expired, or else PAM's own description.
fn unusable(account: &Account, pam: &Pam, error: &PamError) -> Refusal {
    let name = account.display_name();
    let said = pam.said();
    let why = if said.is_empty() { error.text() } else { &said };
    Refusal::account(format!("The account {name} cannot be used now: {why}"))
}
