//! Dropping root for good, in a child process before it becomes another program.

use std::ffi::CStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Gid, Uid, chdir, getresgid, getresuid, setegid, seteuid, setresgid, setresuid};

use crate::account::Account;

/// First descriptor after standard input, output and error.
const FIRST_OTHER: libc::c_uint = 3;

/// Makes `command` run as `account`, in its home folder if there is one, with only the standard descriptors of this
/// process. Supplementary groups are not changed: they must be the account's already.
pub(crate) fn run_as(command: &mut Command, account: &Account) {
    let (uid, gid, home) = (account.uid, account.gid, account.home_path());
    let prepare = move || prepare(uid, gid, &home);
    command.current_dir("/");
    // SAFETY: between fork and exec only system calls may be made, without memory being allocated or locks taken.
    // `prepare` does nothing else: it uses plain numbers and a `CString` made before, and its errors are numbers.
    unsafe {
        command.pre_exec(prepare);
    }
}

fn prepare(uid: Uid, gid: Gid, home: &CStr) -> io::Result<()> {
    give_up_root(uid, gid)?;
    // As the user, because root might not be able to open the home folder. Without one, the session begins in `/`.
    let _ = chdir(home);
    close_on_exec()
}

/// Changes to the account, and verifies that root cannot be regained.
fn give_up_root(uid: Uid, gid: Gid) -> Result<(), Errno> {
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let (users, groups) = (getresuid()?, getresgid()?);
    let changed = [users.real, users.effective, users.saved] == [uid; 3]
        && [groups.real, groups.effective, groups.saved] == [gid; 3];
    let root = (Uid::from_raw(0), Gid::from_raw(0));
    let comes_back = !uid.is_root()
        && (seteuid(root.0).is_ok()
            || setresuid(root.0, root.0, root.0).is_ok()
            || (gid != root.1 && setegid(root.1).is_ok()));
    if changed && !comes_back {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// Marks every descriptor except the standard ones to be closed by exec: PAM modules may have left some open.
fn close_on_exec() -> io::Result<()> {
    // SAFETY: close_range(2) takes three numbers and, with this flag, only marks descriptors of this process, which is
    // about to exec: no code relies on any of them to stay open.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST_OTHER,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
