//! The operating system's functions that need `unsafe`: Linux-PAM, and code between fork and exec. All `unsafe` code is
//! here.
#![allow(
    unsafe_code,
    reason = "foreign functions and code between fork and exec; each block says why it is sound"
)]

pub(crate) mod become_user;
pub(crate) mod pam;
