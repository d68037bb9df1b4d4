//! Linux-PAM: an account check, credentials and a session, without a password.

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_void};
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::ptr;

use libpam_sys as sys;
use nix::libc;

/// Most bytes that are kept of the modules' messages.
const MAX_SAID: usize = 512;

/// An error that PAM returns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {text}")]
pub(crate) struct PamError {
    step: &'static str,
    code: c_int,
    text: String,
}

impl PamError {
    /// Returns PAM's description of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// Messages of modules for the user. Modules cannot ask questions.
#[derive(Default)]
struct Conversation {
    said: String,
}

/// A PAM transaction. Dropping it reverts what it has done.
pub(crate) struct Pam {
    handle: *mut sys::pam_handle,
    /// Boxed, because PAM has a pointer to it.
    conversation: *mut Conversation,
    /// PAM's last result, which `pam_end` needs.
    last: c_int,
    has_credentials: bool,
    has_session: bool,
}

impl Pam {
    /// Begins a transaction for an account.
    pub(crate) fn start(service: &CStr, user: &CStr) -> Result<Self, PamError> {
        let conversation = Box::into_raw(Box::new(Conversation::default()));
        let mut callback = sys::pam_conv {
            conv: converse,
            appdata_ptr: conversation.cast(),
        };
        let mut handle = ptr::null_mut();
        // SAFETY: the strings end with a zero byte and outlive the call, which copies them; PAM copies `callback` too.
        // `conversation` outlives the handle: `drop` frees it after `pam_end`.
        let code = unsafe {
            sys::pam_start(
                service.as_ptr(),
                user.as_ptr(),
                &raw mut callback,
                &raw mut handle,
            )
        };
        let mut pam = Self {
            handle,
            conversation,
            last: code,
            has_credentials: false,
            has_session: false,
        };
        pam.answer("pam_start", code)?;
        Ok(pam)
    }

    /// Sets the address of the client.
    pub(crate) fn set_remote_host(&mut self, address: IpAddr) -> Result<(), PamError> {
        let text = c_string(address.to_string());
        // SAFETY: the handle is valid until `drop`; PAM_RHOST is a string, which PAM copies.
        let code = unsafe { sys::pam_set_item(self.handle, sys::PAM_RHOST, text.as_ptr().cast()) };
        self.answer("pam_set_item", code)
    }

    /// Checks whether the account may be used now. An expired password is accepted, as no password is used.
    pub(crate) fn check_account(&mut self) -> Result<(), PamError> {
        // SAFETY: the handle is valid until `drop`.
        let code = unsafe { sys::pam_acct_mgmt(self.handle, 0) };
        match code {
            sys::PAM_NEW_AUTHTOK_REQD => Ok(()),
            code => self.answer("pam_acct_mgmt", code),
        }
    }

    /// Returns the account's name, which a module may have changed.
    pub(crate) fn user(&mut self) -> Result<CString, PamError> {
        let mut item = ptr::null();
        // SAFETY: the handle is valid until `drop`; PAM writes one pointer.
        let code = unsafe { sys::pam_get_item(self.handle, sys::PAM_USER, &raw mut item) };
        self.answer("pam_get_item", code)?;
        if item.is_null() {
            return Ok(CString::default());
        }
        // SAFETY: PAM_USER is a string that belongs to PAM; it is copied before the next call of PAM.
        Ok(unsafe { CStr::from_ptr(item.cast()) }.to_owned())
    }

    /// Sets a variable of the session's environment.
    pub(crate) fn put_variable(&mut self, name: &str, value: &str) -> Result<(), PamError> {
        let assignment = c_string(format!("{name}={value}"));
        // SAFETY: the handle is valid until `drop`; PAM copies the string.
        let code = unsafe { sys::pam_putenv(self.handle, assignment.as_ptr()) };
        self.answer("pam_putenv", code)
    }

    /// Gives the process the account's credentials (more groups, a keyring) and opens the session.
    pub(crate) fn open_session(&mut self) -> Result<(), PamError> {
        self.set_credentials("pam_setcred", sys::PAM_ESTABLISH_CRED)?;
        self.has_credentials = true;
        // SAFETY: the handle is valid until `drop`.
        let code = unsafe { sys::pam_open_session(self.handle, 0) };
        self.answer("pam_open_session", code)?;
        self.has_session = true;
        // Some modules need an open session for their part.
        self.set_credentials("pam_setcred again", sys::PAM_REINITIALIZE_CRED)
    }

    fn set_credentials(&mut self, step: &'static str, flag: c_int) -> Result<(), PamError> {
        // SAFETY: the handle is valid until `drop`.
        let code = unsafe { sys::pam_setcred(self.handle, flag) };
        self.answer(step, code)
    }

    /// Returns the session's environment.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        // SAFETY: the handle is valid until `drop`.
        let list = unsafe { sys::pam_getenvlist(self.handle) };
        let mut variables = Vec::new();
        if list.is_null() {
            return variables;
        }
        let mut place = list;
        loop {
            // SAFETY: the list ends with a null pointer, at which the loop ends.
            let entry = unsafe { *place };
            if entry.is_null() {
                break;
            }
            // SAFETY: every entry is a string that now belongs to the caller. It is copied, then freed, once.
            let assignment = unsafe {
                let copy = CStr::from_ptr(entry).to_bytes().to_vec();
                libc::free(entry.cast());
                copy
            };
            variables.extend(split(assignment));
            // SAFETY: `place` was not the last one.
            place = unsafe { place.add(1) };
        }
        // SAFETY: the list belongs to the caller too, and its entries are freed.
        unsafe { libc::free(list.cast()) };
        variables
    }

    /// Returns the messages of modules up to now, such as the contents of `/etc/nologin`.
    pub(crate) fn said(&self) -> String {
        // SAFETY: only `converse` changes the conversation, and only while a function of PAM runs, which `&self` rules out.
        unsafe { &*self.conversation }.said.trim().to_owned()
    }

    fn answer(&mut self, step: &'static str, code: c_int) -> Result<(), PamError> {
        self.last = code;
        if code == sys::PAM_SUCCESS {
            return Ok(());
        }
        // SAFETY: Linux-PAM does not look at the handle, and returns a string that lives as long as the program.
        let text = unsafe {
            let text = sys::pam_strerror(self.handle, code);
            if text.is_null() {
                c"unknown error"
            } else {
                CStr::from_ptr(text)
            }
        };
        Err(PamError {
            step,
            code,
            text: text.to_string_lossy().into_owned(),
        })
    }
}

impl Drop for Pam {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: the handle is valid, and nothing uses it after `pam_end`.
            unsafe {
                if self.has_session {
                    self.last = sys::pam_close_session(self.handle, 0);
                }
                if self.has_credentials {
                    self.last = sys::pam_setcred(self.handle, sys::PAM_DELETE_CRED);
                }
                sys::pam_end(self.handle, self.last);
            }
        }
        // SAFETY: it came from `Box::into_raw` in `start`, and PAM, which had the other pointer to it, has ended.
        drop(unsafe { Box::from_raw(self.conversation) });
    }
}

/// Stores the messages of modules, and refuses their questions.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *const *const sys::pam_message,
    responses: *mut *mut sys::pam_response,
    conversation: *mut c_void,
) -> c_int {
    let Ok(length) = usize::try_from(count) else {
        return sys::PAM_CONV_ERR;
    };
    if length == 0 || messages.is_null() || responses.is_null() || conversation.is_null() {
        return sys::PAM_CONV_ERR;
    }
    // SAFETY: the pointer is the one given to `pam_start`, to a conversation that no other code uses while PAM runs.
    let conversation = unsafe { &mut *conversation.cast::<Conversation>() };
    // SAFETY: Linux-PAM passes an array of `count` pointers to messages, which live during the call.
    let messages = unsafe { std::slice::from_raw_parts(messages, length) };
    for message in messages {
        // SAFETY: as above.
        let Some(message) = (unsafe { message.as_ref() }) else {
            return sys::PAM_CONV_ERR;
        };
        match message.msg_style {
            sys::PAM_ERROR_MSG | sys::PAM_TEXT_INFO => conversation.keep(message.msg),
            _ => return sys::PAM_CONV_ERR,
        }
    }
    // SAFETY: calloc has no conditions. PAM frees the array with free(3), which excludes Rust's allocator, and all zero
    // bytes are a valid response without an answer.
    let array = unsafe { libc::calloc(length, size_of::<sys::pam_response>()) };
    if array.is_null() {
        return sys::PAM_BUF_ERR;
    }
    // SAFETY: `responses` is not null, and PAM expects the array there.
    unsafe { *responses = array.cast() };
    sys::PAM_SUCCESS
}

impl Conversation {
    fn keep(&mut self, text: *const c_char) {
        if text.is_null() || self.said.len() >= MAX_SAID {
            return;
        }
        // SAFETY: a message is a string that lives during the call.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
        let room = MAX_SAID - self.said.len();
        self.said.extend(text.chars().take(room));
        self.said.push(' ');
    }
}

/// Returns a string without zero bytes. No caller passes one that has any.
fn c_string(text: String) -> CString {
    CString::new(text).unwrap_or_default()
}

fn split(assignment: Vec<u8>) -> Option<(OsString, OsString)> {
    let equals = assignment.iter().position(|byte| *byte == b'=')?;
    let (name, value) = assignment.split_at_checked(equals)?;
    let value = value.get(1..)?;
    Some((
        OsString::from_vec(name.to_vec()),
        OsString::from_vec(value.to_vec()),
    ))
}
