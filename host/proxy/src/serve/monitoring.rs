//! Opens the listeners for metrics, probes and operators.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use anyhow::{Context as _, bail};
use jetway_core::config::{AdminAddress, Monitoring};
use tokio_rustls::TlsAcceptor;

use super::listen::{bind_alone, parse_addresses};
use crate::admin::{AdminListener, AdminSocket, Audience};
use crate::tls::build_metrics_tls;

/// Permissions of the socket for operators: its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// Opens every listener that the configuration names.
///
/// # Errors
/// An address or a certificate cannot be used.
pub(super) fn open_listeners(monitoring: &Monitoring) -> anyhow::Result<Vec<AdminListener>> {
    let mut listeners = Vec::new();
    if let Some(metrics) = &monitoring.metrics {
        let tls = build_metrics_tls(metrics)?.map(TlsAcceptor::from);
        for socket in bind(&metrics.address).context("cannot use `metrics_address`")? {
            listeners.push(AdminListener {
                socket,
                tls: tls.clone(),
                audience: Audience::Metrics(metrics.credentials.clone()),
            });
        }
    }
    if let Some(address) = &monitoring.health {
        let sockets = bind(address).context("cannot use `health_check_addr`")?;
        listeners.extend(sockets.into_iter().map(|socket| AdminListener {
            socket,
            tls: None,
            audience: Audience::Probes,
        }));
    }
    if let Some(address) = &monitoring.admin {
        let sockets = match address {
            AdminAddress::Loopback(address) => bind(&address.to_string()),
            AdminAddress::Unix(path) => bind_path(Path::new(path)).map(|socket| vec![socket]),
        };
        let sockets = sockets.context("cannot use `admin_address`")?;
        listeners.extend(sockets.into_iter().map(|socket| AdminListener {
            socket,
            tls: None,
            audience: Audience::Operators,
        }));
    }
    Ok(listeners)
}

fn bind(address: &str) -> anyhow::Result<Vec<AdminSocket>> {
    let bound = parse_addresses(address)?.into_iter().map(|address| {
        let listener = bind_alone(address);
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        Ok(AdminSocket::Tcp(listener))
    });
    bound.collect()
}

fn bind_path(path: &Path) -> anyhow::Result<AdminSocket> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot listen on `{}`", path.display()))?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    listener.set_nonblocking(true)?;
    Ok(AdminSocket::Unix(listener))
}

/// Removes the socket of a process that has ended. A path at which a process listens, or which is no socket, is an error.
fn remove_stale(path: &Path) -> anyhow::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at `{}`", path.display()));
        }
    };
    if !found.file_type().is_socket() {
        bail!("`{}` exists and is not a socket", path.display());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            remove(path).with_context(|| format!("cannot remove `{}`", path.display()))
        }
        Ok(_) => bail!("another process listens on `{}`", path.display()),
        Err(error) => Err(error).with_context(|| format!("cannot use `{}`", path.display())),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let first = bind_path(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, SOCKET_MODE);
        let refused = bind_path(&path).err().unwrap().to_string();
        assert!(refused.contains("another process"), "{refused}");
        drop(first);
        drop(bind_path(&path).unwrap());
        let file = folder.path().join("file");
        fs::write(&file, "kept").unwrap();
        let refused = bind_path(&file).err().unwrap().to_string();
        assert!(refused.contains("is not a socket"), "{refused}");
        assert_eq!(fs::read(&file).unwrap(), b"kept");
    }
}
