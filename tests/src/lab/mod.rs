//! A real NFSv4.1 lab on one machine: one server, and clients that are Linux kernels of their own.
//!
//! The clients are user-mode Linux machines whose root is this machine's, read-only, so that they run the program
//! under test as it is. The server is NFS-Ganesha on the host or the kernel's own nfsd in one more machine
//! ([`Server`]). A machine can be frozen, killed, cut off and delayed ([`Machine`]), and the server killed and
//! started again. Two networks join them: one carries NFS and suffers the faults, the other carries the orders
//! of the test and its HTTP requests, and does not.
//!
//! A lab lives in network, process and mount namespaces of its own ([`namespace`]): nothing outside is touched, and
//! all of it ends with the test, whatever happens. Debian's packages are unpacked into a cache folder
//! ([`Packages`]); nothing is installed.

mod control;
mod machine;
pub mod namespace;
mod network;
mod packages;
mod portmapper;
mod proxy;
mod rpc;
mod server;
mod serving;
mod setting;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use rustix::mount::{MountFlags, mount};

pub use control::{FileAccess, FileOrder, Order, PORT, Report, State};
pub use machine::{Machine, Mounted};
pub use packages::Packages;
pub use proxy::{Exchange, Proxy, depth};
pub use rpc::RpcCounts;
pub use server::{Kind, Server};
pub use serving::{Process, Serve, Serving};
pub use setting::{Locks, Setting};

/// What a lab consists of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server, and how the clients mount it.
    pub setting: Setting,
    /// The clients' names, a letter each.
    pub clients: Vec<char>,
    /// Memory of each client, in MiB; it is taken as it is used.
    pub client_mib: u32,
    /// The size of the exported file system, in MiB.
    pub export_mib: u32,
    /// A folder of this host that NFS-Ganesha exports instead of an empty file system in memory.
    pub export: Option<PathBuf>,
    /// After how many seconds of silence the server forgets a client.
    pub lease_seconds: u32,
}

impl Plan {
    /// The least lease that the kernel's server takes. EFS has 90 s.
    pub const LEASE_SECONDS: u32 = 10;

    /// A lab with this server and the clients A, B, C and so on.
    pub fn new(setting: Setting, clients: u8) -> Self {
        Self {
            setting,
            clients: (b'A'..b'A' + clients).map(char::from).collect(),
            client_mib: 512,
            export_mib: 4096,
            export: None,
            lease_seconds: Self::LEASE_SECONDS,
        }
    }
}

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    clients: Vec<Machine>,
    server: Server,
    plan: Plan,
}

/// What the parts of a lab need to know of it.
#[derive(Clone, Debug)]
struct Ground {
    packages: Packages,
    /// A file system in memory, of this namespace alone: it vanishes with it.
    run: PathBuf,
    locks: Locks,
}

impl Ground {
    fn lay(setting: Setting) -> Self {
        let packages = Packages::unpacked();
        let run = packages.cache().join("run");
        std::fs::create_dir_all(&run).unwrap();
        mount("lab", &run, "tmpfs", MountFlags::empty(), None).unwrap();
        // NFS-Ganesha keeps a folder there.
        mount("lab", "/run", "tmpfs", MountFlags::empty(), None).unwrap();
        Self {
            packages,
            run,
            locks: setting.locks,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.run.join(name)
    }
}

impl Lab {
    /// Boots the server and the clients. Must run inside [`namespace::enter`]. Nothing is mounted yet.
    ///
    /// # Panics
    /// When something does not start.
    pub fn boot(plan: Plan) -> Self {
        assert!(namespace::inside(), "a lab needs namespaces of its own");
        let ground = Ground::lay(plan.setting);
        network::lay();
        let server = Server::start(&plan, &ground);
        let mut clients: Vec<Machine> = plan
            .clients
            .iter()
            .map(|&name| Machine::client(name, plan.client_mib, &ground))
            .collect();
        for machine in &mut clients {
            machine.boot();
        }
        server.wait_until_up();
        for machine in &clients {
            machine.wait_until_up();
        }
        Self {
            clients,
            server,
            plan,
        }
    }

    /// A lab whose clients have all mounted the export, the first one for writing and the others read-only.
    ///
    /// # Panics
    /// When something does not start.
    pub fn mounted(plan: Plan) -> Self {
        let lab = Self::boot(plan);
        for (position, client) in lab.clients.iter().enumerate() {
            client.mount(if position == 0 {
                Mounted::ReadWrite
            } else {
                Mounted::ReadOnly
            });
        }
        lab
    }

    /// The client of this name.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn client(&self, name: char) -> &Machine {
        let found = self.clients.iter().find(|client| client.name() == name);
        found.unwrap_or_else(|| panic!("there is no client {name}"))
    }

    /// All clients.
    pub fn clients(&self) -> &[Machine] {
        &self.clients
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// How long a client must be silent until the server has certainly forgotten it, which it may notice a lease late.
    /// A server of NFS 3 remembers no client.
    pub fn beyond_lease(&self) -> Duration {
        match self.plan.setting.locks {
            Locks::OnServer => Duration::from_secs(u64::from(2 * self.plan.lease_seconds) + 3),
            Locks::InClient => Duration::ZERO,
        }
    }
}

/// The program under test, for work on the host.
pub fn aquifer() -> PathBuf {
    crate::program::path().to_owned()
}

/// The folder in a client that the export is mounted on.
pub const MOUNT_POINT: &str = "/mnt/efs";

/// Where the indexes of a story lie, in a client.
pub const ROOT: &str = "/mnt/efs/root";
