//! The portmapper, without which NFS-Ganesha offers no NFS 3.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::mount::mount_bind;

use super::Ground;
use crate::patience::eventually;

/// Where it answers.
const PORT: u16 = 111;
/// Only a broken one takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// The user that Debian's build of it wants to become.
const USER: &str = "_rpc:x:65534:65534::/run/rpcbind:/bin/false";
/// The transports that its library knows; a file of the package libtirpc-common.
const NETCONFIG: &str = "\
udp tpi_clts v inet udp - -
tcp tpi_cots_ord v inet tcp - -
local tpi_cots_ord - loopback - - -
";

/// A running portmapper.
#[derive(Debug)]
pub(super) struct Portmapper(Child);

impl Portmapper {
    /// Starts it, and waits until it answers.
    pub(super) fn start(ground: &Ground) -> Self {
        furnish(&ground.file("etc"));
        fs::create_dir_all("/run/rpcbind").unwrap();
        let log = File::create(ground.file("rpcbind.log")).unwrap();
        let child = Command::new("rpcbind")
            .arg("-f")
            .env("PATH", ground.packages.path())
            .env("LD_LIBRARY_PATH", ground.packages.libraries())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let started = Self(child.unwrap());
        eventually("the portmapper answers", PATIENCE, || {
            TcpStream::connect(("127.0.0.1", PORT)).ok()
        });
        started
    }
}

impl Drop for Portmapper {
    fn drop(&mut self) {
        // It ends with the namespace at the latest.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Covers `/etc`, in this namespace alone, with a copy that has what the portmapper looks for.
fn furnish(copy: &Path) {
    let copied = Command::new("cp").args(["-a", "/etc"]).arg(copy).status();
    assert!(copied.unwrap().success(), "/etc could not be copied");
    let passwd = copy.join("passwd");
    if !fs::read_to_string(&passwd).unwrap().contains("\n_rpc:") {
        let mut passwd = File::options().append(true).open(passwd).unwrap();
        writeln!(passwd, "{USER}").unwrap();
    }
    let netconfig = copy.join("netconfig");
    if !netconfig.exists() {
        fs::write(netconfig, NETCONFIG).unwrap();
    }
    mount_bind(copy, "/etc").unwrap();
}
