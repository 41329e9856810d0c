//! What can be seen on this machine alone.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use kukuri::contract::{SecretStoreKind, UnixMillis, WallClock};
use kukuri::{Config, is_running, udp_settings, who_is};

use super::super::{keys, since};
use super::Check;

/// Less space than this, in bytes, and posts may soon find none: those of one topic take up to 600 MB.
const LITTLE_SPACE: u64 = 100 * 1024 * 1024;
/// This program is younger: a clock that says less was never set. The start of 2026.
const TOO_EARLY: UnixMillis = UnixMillis(1_767_225_600_000);

/// The data directory, and the space there.
pub fn disk(config: &Config) -> Vec<Check> {
    let dir = match config.data_dir() {
        Ok(dir) => dir,
        Err(error) => return vec![Check::fail("data", error.to_string(), "name one")],
    };
    let shown = dir.display();
    let Some(there) = nearest(&dir) else {
        return vec![Check::fail(
            "data",
            format!("{shown} is nowhere"),
            "name another one",
        )];
    };
    if let Err(error) = tempfile::tempfile_in(&there) {
        let hint = "check the permissions of the directory, or name another with --data-dir";
        return vec![Check::fail(
            "data",
            format!("{shown} can't be written: {error}"),
            hint,
        )];
    }
    let state = match (is_running(&dir), dir.exists()) {
        (true, _) => "a node runs on it",
        (false, true) => "no node runs on it",
        (false, false) => "a first start makes it",
    };
    vec![
        Check::ok("data", format!("{shown} ({state})")),
        space(&there),
    ]
}

/// The directory, or the nearest above it that is there.
fn nearest(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|dir| dir.is_dir()).map(Path::to_owned)
}

#[cfg(unix)]
fn space(dir: &Path) -> Check {
    match rustix::fs::statvfs(dir) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let message = format!("{} MB free", free / 1_000_000);
            match free < LITTLE_SPACE {
                true => Check::warn(
                    "disk",
                    message,
                    "free some space, or lower store.retention_days",
                ),
                false => Check::ok("disk", message),
            }
        }
        Err(error) => Check::warn(
            "disk",
            format!("its space is not known: {error}"),
            "check it",
        ),
    }
}

#[cfg(not(unix))]
fn space(_: &Path) -> Check {
    Check::ok("disk", "its space is not checked on this platform")
}

/// Where the node's keys are, or would be.
pub async fn secrets(config: &Config) -> Check {
    match who_is(config.clone(), keys::prompt()).await {
        Ok(who) if who.info.store == SecretStoreKind::Plaintext => Check::warn(
            "keys",
            format!("in {}", who.store_note),
            "give a passphrase or a key file, and leave out --insecure-plaintext-store",
        ),
        Ok(who) if who.info.store == SecretStoreKind::Memory => Check::ok(
            "keys",
            "in memory: each start is another node, as the config says",
        ),
        Ok(who) => Check::ok(
            "keys",
            format!(
                "of endpoint {}, in {}",
                who.info.endpoint.short(),
                who.store_note
            ),
        ),
        Err(error) => Check::fail("keys", error.to_string(), "do what it says, then try again"),
    }
}

/// Whether the clock was ever set. By how much it is off, only members can tell (the verdict
/// `clock_skewed`).
pub fn clock() -> Check {
    let now = WallClock::system().now();
    let shown = since::format(now);
    match now < TOO_EARLY {
        true => Check::fail(
            "clock",
            format!("it says {shown}"),
            "set it, for example with NTP",
        ),
        false => Check::ok(
            "clock",
            format!("it says {shown}; up to 10 minutes off is fine"),
        ),
    }
}

/// Whether the ports that the config names are free.
pub fn ports(config: &Config) -> Vec<Check> {
    let running = config.data_dir().is_ok_and(|dir| is_running(&dir));
    let udp = |address: SocketAddr| UdpSocket::bind(address).map(drop);
    let tcp = |address: SocketAddr| TcpListener::bind(address).map(drop);
    let mut tried = Vec::new();
    let mut config = config.clone();
    for setting in udp_settings(&mut config).iter().filter(|udp| udp.in_use) {
        let address = setting.bind.address();
        tried.push((setting.field, address, udp(address)));
    }
    if let Some(http) = config.node.http {
        tried.push(("node.http", http, tcp(http)));
    }
    let mut free = Vec::new();
    let mut checks = Vec::new();
    for (field, address, bound) in tried {
        match bound {
            Ok(()) => free.push(format!("{field} {address}")),
            Err(error) if running && error.kind() == std::io::ErrorKind::AddrInUse => {
                free.push(format!("{field} {address} (in use, and a node runs here)"));
            }
            Err(error) => checks.push(Check::fail(
                "ports",
                format!("{field} {address} can't be bound: {error}"),
                "end the program that has it, or choose another port (0: any)",
            )),
        }
    }
    if !free.is_empty() {
        checks.insert(0, Check::ok("ports", free.join(", ")));
    }
    checks
}
