//! A network namespace of the measurement's own, in which the names of the public DHT bootstrap
//! nodes lead to the local DHT. The rival's are fixed in its code, so this is the only way to
//! measure it unpatched. Needs root.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use anyhow::{Context, ensure};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Set for the process inside.
const INSIDE: &str = "KUKURI_BENCH_NETNS";
/// The bootstrap names in the rival's code.
const NAMES: [&str; 4] = [
    "router.bittorrent.com",
    "dht.transmissionbt.com",
    "dht.libtorrent.org",
    "relay.pkarr.org",
];
/// Their ports.
pub const PORTS: [u16; 2] = [6881, 25401];

/// Whether this process runs in a namespace made by [`has_run_inside`].
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this program again inside a fresh namespace, if that is possible and it is not inside yet.
/// True when it has run there: nothing is left to do.
///
/// # Errors
/// The namespace can't be made, or the measurement inside has failed and said why.
pub fn has_run_inside() -> anyhow::Result<bool> {
    if is_inside() || !nix::unistd::geteuid().is_root() {
        return Ok(false);
    }
    let status = run_inside()?;
    ensure!(status.success(), "the measurement has failed");
    Ok(true)
}

/// A namespace; gone when dropped.
struct Namespace {
    name: String,
    etc: PathBuf,
}

/// Runs this program again, with the same arguments, inside a fresh namespace.
fn run_inside() -> anyhow::Result<ExitStatus> {
    let namespace = Namespace::new()?;
    let name = &namespace.name;
    ip(&["-n", name, "link", "set", "lo", "up"])?;
    let program = std::env::current_exe()?;
    // Ctrl-C ends the process inside. This one only stops to be ended by it, so that it lives to
    // remove the namespace.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let _interrupts = signal(SignalKind::interrupt())?;
    // `ip netns exec` puts the files of /etc/netns/NAME in the place of those in /etc.
    Command::new("ip")
        .args(["netns", "exec", name])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, name)
        .status()
        .context("can't run ip (Debian: iproute2)")
}

impl Namespace {
    fn new() -> anyhow::Result<Self> {
        let name = format!("kukuri-bench-{}", std::process::id());
        let etc = PathBuf::from("/etc/netns").join(&name);
        ip(&["netns", "add", &name])?;
        let namespace = Self { name, etc };
        fs::create_dir_all(&namespace.etc)?;
        let local = |name| format!("127.0.0.1 {name}\n");
        let hosts: String = ["localhost"].into_iter().chain(NAMES).map(local).collect();
        fs::write(namespace.etc.join("hosts"), hosts)?;
        // Files only: no name is asked of anybody.
        fs::write(namespace.etc.join("nsswitch.conf"), "hosts: files\n")?;
        fs::write(namespace.etc.join("resolv.conf"), "")?;
        Ok(namespace)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What can't be removed is left behind; the next one has another name.
        let _left = ip(&["netns", "delete", &self.name]);
        let _left = fs::remove_dir_all(&self.etc);
    }
}

fn ip(args: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("ip").args(args).status();
    let status = status.context("can't run ip (Debian: iproute2)")?;
    ensure!(status.success(), "ip {args:?} failed: {status}");
    Ok(())
}
