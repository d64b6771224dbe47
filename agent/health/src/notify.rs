//! What systemd is told: lines over the datagram socket that it names (`sd_notify(3)`).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// What whoever started the program put into its environment. Read where the environment is.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    /// `NOTIFY_SOCKET`.
    pub socket: Option<OsString>,
    /// `WATCHDOG_USEC`.
    pub watchdog_usec: Option<String>,
    /// `WATCHDOG_PID`: whom the watchdog is for.
    pub watchdog_pid: Option<String>,
}

impl Supervisor {
    /// The names of the variables.
    pub const VARIABLES: [&'static str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

    /// From an environment.
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let [socket, usec, pid] = Self::VARIABLES;
        let text = |name| variable(name).and_then(|it| it.into_string().ok());
        Self {
            socket: variable(socket).filter(|it| !it.is_empty()),
            watchdog_usec: text(usec),
            watchdog_pid: text(pid),
        }
    }

    /// How long it waits for a sign of life before it starts the program anew; `None`: it does not.
    pub fn patience(&self) -> Option<Duration> {
        let is_ours = self.watchdog_pid.as_ref().is_none_or(|it| it.parse() == Ok(std::process::id()));
        let usec: u64 = self.watchdog_usec.as_ref()?.parse().ok()?;
        (is_ours && usec > 0 && self.socket.is_some()).then(|| Duration::from_micros(usec))
    }
}

/// The way to whoever supervises the program, if somebody does.
#[derive(Debug, Default)]
pub struct Notify(Option<(UnixDatagram, SocketAddr)>);

impl Notify {
    /// To the socket that was named.
    pub fn to(supervisor: &Supervisor) -> io::Result<Self> {
        let Some(name) = &supervisor.socket else { return Ok(Self(None)) };
        let address = address(name)?;
        let socket = UnixDatagram::unbound()?;
        // Who supervises must not be able to hold up whom it supervises.
        socket.set_nonblocking(true)?;
        Ok(Self(Some((socket, address))))
    }

    /// The program can take work. Whether that was said: a supervisor that is busy has no room for it.
    pub fn ready(&self) -> bool {
        self.tell("READY=1")
    }

    /// What it is doing, for `systemctl status`. Whether that was said.
    pub fn status(&self, sentence: &str) -> bool {
        self.tell(&format!("STATUS={}", sentence.replace('\n', " ")))
    }

    /// All of its parts move.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// It was asked to stop.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Stopping");
    }

    fn tell(&self, lines: &str) -> bool {
        let Some((socket, address)) = &self.0 else { return true };
        let sent = socket.send_to_addr(lines.as_bytes(), address);
        if let Err(error) = &sent {
            tracing::debug!(%error, "the supervisor could not be told");
        }
        sent.is_ok()
    }
}

/// A path, or a name in the abstract namespace, which begins with `@`.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(by: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = by.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn supervisor(socket: &OsStr) -> Supervisor {
        Supervisor { socket: Some(socket.to_owned()), ..Supervisor::default() }
    }

    #[test]
    fn systemd_is_told_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("postern-{}", folder.path().display());
        let sockets = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap()).unwrap(),
                format!("@{abstract_name}").into(),
            ),
        ];
        for (socket, name) in sockets {
            let notify = Notify::to(&supervisor(&name)).unwrap();
            notify.ready();
            notify.status("two\nlines");
            notify.alive();
            notify.stopping();
            assert_eq!(heard(&socket), "READY=1");
            assert_eq!(heard(&socket), "STATUS=two lines");
            assert_eq!(heard(&socket), "WATCHDOG=1");
            assert_eq!(heard(&socket), "STOPPING=1\nSTATUS=Stopping");
        }
    }

    #[test]
    fn nobody_is_told_if_nobody_asked() {
        Notify::to(&Supervisor::default()).unwrap().ready();
    }

    /// Block when it is full, and a supervisor that hangs stops the program.
    #[test]
    fn a_supervisor_that_does_not_listen_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(&supervisor(path.as_os_str())).unwrap();
        (0..10_000).for_each(|_| notify.alive());
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        let ours = std::process::id().to_string();
        let patience = |usec: &str, pid: Option<&str>| {
            let socket = Some("/run/systemd/notify".into());
            let (watchdog_usec, watchdog_pid) = (Some(usec.to_owned()), pid.map(str::to_owned));
            Supervisor { socket, watchdog_usec, watchdog_pid }.patience()
        };
        assert_eq!(patience("3000000", None), Some(Duration::from_secs(3)));
        assert_eq!(patience("3000000", Some(&ours)), Some(Duration::from_secs(3)));
        assert_eq!(patience("3000000", Some("1")), None);
        assert_eq!((patience("0", None), patience("x", None)), (None, None));
    }
}
