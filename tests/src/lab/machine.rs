//! A Linux kernel as a process: booted, frozen, killed, cut off, delayed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::control::{self, FileOrder, Order, Report};
use super::network::{self, CONTROL, NFS};
use super::rpc::{self, RpcCounts};
use super::serving::{Process, Serve};
use super::{Ground, Locks, MOUNT_POINT};
use crate::patience::eventually;

/// How long booting may take. Only a broken machine takes that long.
const BOOT: Duration = Duration::from_secs(600);
/// How long a command may take where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long is waited for what only helps to understand.
const GLANCE: Duration = Duration::from_secs(5);
/// Lines of a log that are shown when a story fails.
pub(super) const LAST_LINES: usize = 10;

/// What AWS tells to mount EFS with.
const EFS_OPTIONS: &str = "rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport";

/// Where the server answers clients of NFS 3 that ask for the export.
const MOUNT_PORT: u16 = 20048;

/// How the export is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounted {
    /// As a writer has it.
    ReadWrite,
    /// As a reader has it.
    ReadOnly,
    /// For writing, through a proxy at this port of the host.
    Through(u16),
    /// Read-only, through a proxy at this port of the host.
    ReadOnlyThrough(u16),
}

/// One machine of a lab.
#[derive(Debug)]
pub struct Machine {
    name: char,
    mib: u32,
    role: Role,
    ground: Ground,
    process: Mutex<Option<Child>>,
}

#[derive(Clone, Debug)]
enum Role {
    Client,
    /// The kernel's NFS server, with its disk and the lease it grants.
    Server {
        disk: PathBuf,
        lease_seconds: u32,
    },
}

impl Machine {
    pub(super) fn client(name: char, mib: u32, ground: &Ground) -> Self {
        Self::new(name, mib, Role::Client, ground)
    }

    pub(super) fn server(disk: PathBuf, lease_seconds: u32, ground: &Ground) -> Self {
        let role = Role::Server {
            disk,
            lease_seconds,
        };
        Self::new('S', 512, role, ground)
    }

    fn new(name: char, mib: u32, role: Role, ground: &Ground) -> Self {
        for network in [NFS, CONTROL] {
            network.plug_new(name);
        }
        Self {
            name,
            mib,
            role,
            ground: ground.clone(),
            process: Mutex::default(),
        }
    }

    /// Its letter.
    pub fn name(&self) -> char {
        self.name
    }

    fn number(&self) -> u8 {
        match self.role {
            Role::Client => network::number(self.name),
            Role::Server { .. } => network::SERVER,
        }
    }

    /// Its address for orders and HTTP.
    pub fn address(&self) -> String {
        CONTROL.address(self.number())
    }

    /// The address that it mounts from.
    pub(super) fn nfs_address(&self) -> String {
        NFS.address(self.number())
    }

    pub(super) fn log(&self) -> PathBuf {
        self.ground.file(&format!("{}.console", self.name))
    }

    /// Whether its locks keep other machines out.
    pub fn has_locks(&self) -> bool {
        self.ground.locks == Locks::OnServer
    }

    /// Switches it on; [`Self::wait_until_up`] waits for it.
    ///
    /// # Panics
    /// When it is on.
    pub fn boot(&self) {
        assert!(
            self.process.lock().unwrap().is_none(),
            "{} is on",
            self.name
        );
        let packages = &self.ground.packages;
        let folder = self.ground.run.display();
        let interface = |number: u8, network: network::Network| {
            let tap = network.tap(self.name);
            let mac = format!("52:54:00:{:02x}:00:{:02x}", 0x90 + number, self.number());
            // Without `gro=0` large frames need memory that a full page cache does not leave.
            format!("vec{number}:transport=tap,ifname={tap},depth=64,gro=0,mac={mac}")
        };
        let mut command = Command::new("setsid");
        command
            .arg(packages.root().join("usr/bin/linux.uml"))
            .args([
                format!("mem={}M", self.mib),
                format!("umid={}", self.name),
                format!("uml_dir={folder}/"),
                interface(0, NFS),
                interface(1, CONTROL),
            ])
            .args(["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"])
            // In this order: the other one loses what init says.
            .args(["con0=null,fd:1", "con=null", "ssl=null", "panic=1"])
            .arg(format!("init={}", crate::program::lab_machine().display()))
            // The kernel gives init what it does not know as environment.
            .arg(format!("LAB_NAME={}", self.name))
            .arg(format!("LAB_PACKAGES={}", packages.root().display()))
            .arg(format!("LAB_LIBRARIES={}", packages.libraries()))
            .arg(format!("LAB_PATH={}", packages.path()))
            .arg(format!("LAB_NFS={}", self.nfs_address()))
            .arg(format!("LAB_CONTROL={}", CONTROL.address(self.number())));
        if let Role::Server {
            disk,
            lease_seconds,
        } = &self.role
        {
            command
                .arg(format!("ubd0={}", disk.display()))
                .arg(format!("LAB_LEASE={lease_seconds}"));
        }
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.unwrap();
        let child = command
            // What it takes for memory is a mapped file there.
            .env("TMPDIR", &self.ground.run)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        *self.process.lock().unwrap() = Some(child.unwrap());
    }

    /// Waits until it takes orders.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_until_up(&self) {
        eventually(&format!("{} is up", self.name), BOOT, || {
            let nothing = Order::Run {
                command: vec!["true".into()],
            };
            control::give(&self.address(), &nothing, Duration::from_secs(5)).ok()
        });
    }

    /// Stops the whole machine where it is.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen machine go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.lock().unwrap();
        let process = process
            .as_ref()
            .unwrap_or_else(|| panic!("{} is off", self.name));
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// Cuts its power.
    pub fn crash(&self) {
        let Some(mut process) = self.process.lock().unwrap().take() else {
            return;
        };
        // It is several processes, which would otherwise keep its network plugs. It leads their session.
        for member in session(process.id()) {
            // They end each other, so that some are gone already.
            let _gone = kill_process(member, Signal::KILL);
        }
        process.wait().unwrap();
    }

    /// Pulls its NFS cable.
    pub fn cut(&self) {
        NFS.unplug(self.name);
    }

    /// Puts the cable back.
    pub fn mend(&self) {
        NFS.plug(self.name);
    }

    /// Adds so many milliseconds to each round trip to the NFS server; zero is none.
    pub fn delay(&self, milliseconds: u32) {
        let delay = format!("{milliseconds}ms");
        let netem = ["netem", "delay", &delay, "limit", "10000"];
        self.run(
            &[
                &["tc", "qdisc", "replace", "dev", "vec0", "root"][..],
                &netem,
            ]
            .concat(),
        );
    }

    /// Mounts the export on [`MOUNT_POINT`], with the options that AWS recommends for EFS.
    ///
    /// # Panics
    /// When mounting fails.
    #[track_caller]
    pub fn mount(&self, how: Mounted) {
        self.mount_folder("/", how);
    }

    /// The same with a folder of the export alone, which is then the root of the mount.
    ///
    /// # Panics
    /// When mounting fails.
    #[track_caller]
    pub fn mount_folder(&self, folder: &str, how: Mounted) {
        let own = self.nfs_address();
        let (server, port) = match how {
            Mounted::ReadWrite | Mounted::ReadOnly => (NFS.address(network::SERVER), 2049),
            Mounted::Through(port) | Mounted::ReadOnlyThrough(port) => {
                (NFS.address(network::HERE), port)
            }
        };
        let access = match how {
            Mounted::ReadWrite | Mounted::Through(_) => "rw",
            Mounted::ReadOnly | Mounted::ReadOnlyThrough(_) => "ro",
        };
        let (kind, version) = match self.ground.locks {
            Locks::OnServer => ("nfs4", format!("vers=4.1,clientaddr={own}")),
            Locks::InClient => ("nfs", without_locks()),
        };
        let options =
            format!("{access},{version},proto=tcp,port={port},addr={server},{EFS_OPTIONS}");
        let source = format!("{server}:{folder}");
        self.run(&[
            "mount",
            "-i",
            "-t",
            kind,
            "-o",
            &options,
            &source,
            MOUNT_POINT,
        ]);
    }

    /// Unmounts the export, and with it forgets all that the machine remembers of it.
    #[track_caller]
    pub fn unmount(&self) {
        self.run(&["umount", MOUNT_POINT]);
    }

    /// Makes the machine forget the contents of files, so that they are read from the server again.
    #[track_caller]
    pub fn forget_files(&self) {
        self.run(&["sh", "-c", "echo 3 > /proc/sys/vm/drop_caches"]);
    }

    /// The names in a folder below [`super::ROOT`], in order.
    #[track_caller]
    pub fn names(&self, folder: &str) -> Vec<String> {
        let folder = format!("{}/{folder}", super::ROOT);
        let listed = self.run(&["ls", "-A", &folder]);
        listed.lines().map(str::to_owned).collect()
    }

    /// Runs a command that must succeed; gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn run(&self, command: &[&str]) -> String {
        let (code, out, err) = self.try_run(command);
        assert_eq!(
            code,
            Some(0),
            "{} in {}: {out}{err}",
            command.join(" "),
            self.name
        );
        out
    }

    /// Runs a command; gives its exit status, standard output and standard error.
    ///
    /// # Panics
    /// When the machine does not answer.
    #[track_caller]
    pub fn try_run(&self, command: &[&str]) -> (Option<i32>, String, String) {
        let command = command.iter().copied().map(str::to_owned).collect();
        match self.order(&Order::Run { command }) {
            Report::Ran { code, out, err } => (code, out, err),
            other => panic!("{}: {other:?}", self.name),
        }
    }

    /// Makes a call of the index's file layer on the mount; gives its text or `errno`.
    #[track_caller]
    pub fn file(&self, order: FileOrder) -> Result<String, i32> {
        match self.order(&Order::File(order.clone())) {
            Report::File(outcome) => outcome,
            other => panic!("{order:?} in {}: {other:?}", self.name),
        }
    }

    /// Runs `aquifer` on the mount's [`super::ROOT`]; gives its exit status, standard output and standard error.
    #[track_caller]
    pub fn aquifer(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let command = aquifer(arguments);
        self.try_run(&command.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts `aquifer` on the mount's [`super::ROOT`], with this in its environment.
    #[track_caller]
    pub fn start_aquifer(
        &self,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Process<'_> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let environment = environment.iter().map(owned).collect();
        Process::start(self, name, aquifer(arguments), environment)
    }

    /// Starts a program of the host.
    #[track_caller]
    pub fn start(&self, name: &str, command: &[&str]) -> Process<'_> {
        let command = command.iter().copied().map(str::to_owned).collect();
        Process::start(self, name, command, BTreeMap::new())
    }

    /// A server process that is about to be started in this machine.
    pub fn serve(&self) -> Serve<'_> {
        Serve::new(self)
    }

    /// The RPCs that the machine's NFS client has completed on its mount until now.
    #[track_caller]
    pub fn rpc_total(&self) -> RpcCounts {
        rpc::parse(&self.run(&["cat", "/proc/self/mountstats"]), MOUNT_POINT)
    }

    /// What `act` gives, and the RPCs that the machine made meanwhile and in the second after it.
    #[track_caller]
    pub fn rpc_counts<T>(&self, act: impl FnOnce() -> T) -> (T, RpcCounts) {
        let before = self.rpc_total();
        let outcome = act();
        std::thread::sleep(Duration::from_secs(1));
        (outcome, self.rpc_total() - before)
    }

    /// What a command prints, if the machine is in a state to tell.
    pub(super) fn glance(&self, command: &[&str]) -> Option<String> {
        let command = command.iter().copied().map(str::to_owned).collect();
        let order = Order::Run { command };
        match control::give(&self.address(), &order, GLANCE) {
            Ok(Report::Ran { out, .. }) => Some(out),
            _ => None,
        }
    }

    #[track_caller]
    pub(super) fn order(&self, order: &Order) -> Report {
        match control::give(&self.address(), order, PATIENCE) {
            Ok(report) => report,
            Err(error) => panic!("{} did not carry out {order:?}: {error}", self.name),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let console = std::fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = console.lines().collect();
            let from = lines.len().saturating_sub(LAST_LINES);
            eprintln!("the last lines of the console of {}:", self.name);
            lines
                .iter()
                .skip(from)
                .for_each(|line| eprintln!("    {line}"));
        }
        self.crash();
    }
}

/// The options of a mount whose locks stay in the machine. The server itself is asked for the export, also where the
/// rest goes through a proxy.
fn without_locks() -> String {
    let server = NFS.address(network::SERVER);
    format!("vers=3,nolock,mountproto=tcp,mountaddr={server},mountport={MOUNT_PORT}")
}

fn aquifer(arguments: &[&str]) -> Vec<String> {
    let root = format!("AQUIFER_ROOT={}", super::ROOT);
    let program = crate::program::path().display().to_string();
    let command = ["env", &root, &program];
    command
        .iter()
        .chain(arguments)
        .map(|&word| word.to_owned())
        .collect()
}

/// The processes of a session, from `/proc/PID/stat`: the sixth field.
fn session(leader: u32) -> Vec<Pid> {
    let leader = leader.to_string();
    let belongs = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name, in parentheses, may hold anything.
        let after = stat
            .rsplit_once(')')
            .map(|(_, after)| after)
            .unwrap_or_default();
        after.split_whitespace().nth(3) == Some(leader.as_str())
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(belongs)
        .filter_map(Pid::from_raw)
        .collect()
}
