//! The program under real PAM with real accounts, as root: a socket pair replaces Cockpit's web service, and a script
//! that reports its own properties replaces the bridge.

mod accounts;
mod assertions;
mod endings;
mod login;
mod pam_service;
mod place;
mod programs;
mod settings;

use login::Login;
use pam_service::PamService;
use place::Place;
