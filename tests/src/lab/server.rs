//! The NFSv4.1 server, in two kinds, neither of which grants delegations, as EFS does not.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use rustix::mount::mount_bind;

use super::machine::{LAST_LINES, Machine};
use super::network::{self, NFS};
use super::portmapper::Portmapper;
use super::{Ground, Locks, Plan};

/// After a restart the server takes nothing but old clients' claims for so long, in seconds.
const GRACE_SECONDS: u32 = 5;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// NFS-Ganesha, a process here, on a folder. It refuses hard links, as Amazon S3 Files does.
    Ganesha,
    /// The server of the Linux kernel, in a machine of its own, on its disk.
    Kernel,
}

/// The server of a lab.
#[derive(Debug)]
pub struct Server(Inner);

#[derive(Debug)]
enum Inner {
    Ganesha(Ganesha),
    Kernel(Machine),
}

impl Server {
    pub(super) fn start(plan: &Plan, ground: &Ground) -> Self {
        Self(match plan.setting.server {
            Kind::Ganesha => Inner::Ganesha(Ganesha::new(plan, ground)),
            Kind::Kernel => {
                let disk = disk(plan, ground);
                let machine = Machine::server(disk, plan.lease_seconds, ground);
                machine.boot();
                Inner::Kernel(machine)
            }
        })
    }

    pub(super) fn wait_until_up(&self) {
        if let Inner::Kernel(machine) = &self.0 {
            machine.wait_until_up();
        }
    }

    /// Ends it as a power loss would.
    pub fn kill(&self) {
        match &self.0 {
            Inner::Ganesha(ganesha) => ganesha.kill(),
            Inner::Kernel(machine) => machine.crash(),
        }
    }

    /// Starts it again after [`Self::kill`].
    pub fn restart(&self) {
        match &self.0 {
            Inner::Ganesha(ganesha) => ganesha.start(),
            Inner::Kernel(machine) => {
                machine.boot();
                machine.wait_until_up();
            }
        }
    }

    /// Makes it forget a client whose lease has ended. The kernel's server would keep what the client holds, out of
    /// courtesy, until another one wants it.
    ///
    /// # Panics
    /// When it does not know the client.
    #[track_caller]
    pub fn forget(&self, client: &Machine) {
        if let Inner::Kernel(machine) = &self.0 {
            let known = format!(
                r#"grep -l '"{}:' /proc/fs/nfsd/clients/*/info"#,
                client.nfs_address()
            );
            let forget = r#"while read -r info; do echo expire > "${info%info}ctl"; done"#;
            let all = format!("{known} > /run/known && {forget} < /run/known");
            machine.run(&["sh", "-c", &all]);
        }
    }

    /// The exported folder, if it lies on this host.
    pub fn export(&self) -> Option<PathBuf> {
        match &self.0 {
            Inner::Ganesha(ganesha) => Some(ganesha.ground.file("export")),
            Inner::Kernel(_) => None,
        }
    }
}

/// A disk with an empty file system of the planned size, in memory.
fn disk(plan: &Plan, ground: &Ground) -> PathBuf {
    let disk = ground.file("disk");
    let file = File::create(&disk).unwrap();
    file.set_len(u64::from(plan.export_mib) << 20).unwrap();
    let mut make = Command::new("mke2fs");
    let made = make
        .args(["-q", "-t", "ext4", "-E", "lazy_itable_init=1"])
        .arg(&disk)
        .status();
    assert!(
        made.unwrap().success(),
        "the server's disk could not be formatted"
    );
    disk
}

#[derive(Debug)]
struct Ganesha {
    ground: Ground,
    process: Mutex<Option<Child>>,
    _portmapper: Option<Portmapper>,
}

impl Ganesha {
    fn new(plan: &Plan, ground: &Ground) -> Self {
        network::give(NFS, network::SERVER);
        let export = ground.file("export");
        fs::create_dir(&export).unwrap();
        match &plan.export {
            Some(folder) => mount_bind(folder, &export).unwrap(),
            // Not a file system in memory itself: NFS-Ganesha loses its place in folders that have none to go back to.
            None => {
                let disk = disk(plan, ground);
                let mut mount = Command::new("mount");
                let mounted = mount.args(["-o", "loop"]).arg(disk).arg(&export).status();
                assert!(
                    mounted.unwrap().success(),
                    "the export could not be mounted"
                );
            }
        }
        let nfs3 = plan.setting.locks == Locks::InClient;
        let recovery = ground.file("ganesha");
        fs::create_dir(&recovery).unwrap();
        let configuration = include_str!("ganesha.conf")
            .replace("{address}", &NFS.address(network::SERVER))
            .replace("{packages}", &ground.packages.root().display().to_string())
            .replace("{recovery}", &recovery.display().to_string())
            .replace("{export}", &export.display().to_string())
            .replace("{lease}", &plan.lease_seconds.to_string())
            .replace("{grace}", &GRACE_SECONDS.to_string())
            .replace("{protocols}", if nfs3 { "3,4" } else { "4" });
        fs::write(ground.file("ganesha.conf"), configuration).unwrap();
        let ganesha = Self {
            ground: ground.clone(),
            process: Mutex::default(),
            _portmapper: nfs3.then(|| Portmapper::start(ground)),
        };
        ganesha.start();
        ganesha
    }

    fn start(&self) {
        let file = |name: &str| self.ground.file(name);
        let out = File::options()
            .create(true)
            .append(true)
            .open(file("ganesha.out"));
        let child = Command::new(self.ground.packages.root().join("usr/bin/ganesha.nfsd"))
            .arg("-F")
            .arg("-f")
            .arg(file("ganesha.conf"))
            .arg("-L")
            .arg(file("ganesha.log"))
            .arg("-p")
            .arg(file("ganesha.pid"))
            .env("LD_LIBRARY_PATH", self.ground.packages.libraries())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out.unwrap())
            .spawn();
        *self.process.lock().unwrap() = Some(child.unwrap());
    }

    fn kill(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            process.kill().unwrap();
            process.wait().unwrap();
            // It would take the file for another one that runs.
            drop(fs::remove_file(self.ground.file("ganesha.pid")));
        }
    }
}

impl Drop for Ganesha {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.ground.file("ganesha.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the last lines of NFS-Ganesha:");
            let from = lines.len().saturating_sub(LAST_LINES);
            lines
                .iter()
                .skip(from)
                .for_each(|line| eprintln!("    {line}"));
        }
        self.kill();
    }
}
