//! A service manager with one service, as systemd is one: it keeps the listening socket while the program is restarted, passes
//! it on, and gets the messages of the program.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use socket2::{Domain, Socket, Type};
use tokio::net::UnixDatagram;

use crate::{Process, Route, Scene, within};

/// Time for a program to start and to stop while this machine is busy.
const CHANGE: Duration = Duration::from_secs(100);
/// Connections that wait in the socket.
const QUEUE: i32 = 1024;
/// Moves the socket from standard input to the first descriptor for sockets, and starts the program in its own process.
const PASS: &str = r#"exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@""#;
/// The time within which the program has to send a sign of life, in microseconds.
const WATCHDOG: &str = "2000000";

/// A service manager with one service.
pub struct ServiceManager {
    socket: Socket,
    messages: UnixDatagram,
    address: PathBuf,
}

impl ServiceManager {
    /// Listens on the public port of a scene.
    ///
    /// # Errors
    /// Returns an error when the sockets cannot be opened.
    pub fn listen(scene: &Scene) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        // The scene has reserved the port.
        socket.set_reuse_port(true)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, scene.port()));
        socket.bind(&address.into())?;
        socket.listen(QUEUE)?;
        let address = scene.folder().join("notify");
        Ok(Self {
            socket,
            messages: UnixDatagram::bind(&address)?,
            address,
        })
    }

    /// Starts the bundled host on the socket, and waits until it says that it is ready.
    ///
    /// # Errors
    /// Returns an error when it does not start.
    pub async fn start(&self, scene: &Scene, routes: &[Route]) -> Result<Process> {
        let host = scene.host_command(routes)?;
        let mut command = Command::new("sh");
        command
            .args(["-euc", PASS, "sh"])
            .arg(host.get_program())
            .args(host.get_args())
            .env("LISTEN_FDNAMES", "jetway.socket")
            .env("NOTIFY_SOCKET", &self.address)
            .env("WATCHDOG_USEC", WATCHDOG);
        let variables = host.get_envs();
        command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
        let socket = Stdio::from(std::os::fd::OwnedFd::from(self.socket.try_clone()?));
        let process = Process::start_with_input("host", &command, scene.logs(), socket)?;
        self.wait_for("READY=1").await?;
        Ok(process)
    }

    /// Stops the program as systemd does, and waits for its end.
    ///
    /// # Errors
    /// Returns an error when it does not announce its end, does not end in time, or fails.
    pub async fn stop(&self, mut process: Process) -> Result<()> {
        process.terminate();
        self.wait_for("STOPPING=1").await?;
        let status = process.finish(CHANGE).await?;
        if !status.success() {
            bail!("the program ended with {status}:\n{}", process.log());
        }
        Ok(())
    }

    /// Waits for a message with this line, and returns the message.
    ///
    /// # Errors
    /// Returns an error when it does not come.
    pub async fn wait_for(&self, line: &str) -> Result<String> {
        within(line, CHANGE, async {
            loop {
                let mut bytes = [0; 4096];
                let length = self.messages.recv(&mut bytes).await?;
                let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
                if message.lines().any(|other| other == line) {
                    return Ok(message);
                }
            }
        })
        .await
    }
}
