//! Debian's packages, unpacked into a cache folder. Nothing is installed, and nothing of the system's is written.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program;

/// A kernel that runs as a process, both NFS servers, and what configures networks. What they depend on and the host
/// lacks comes along.
const NAMES: [&str; 4] = [
    "user-mode-linux",
    "nfs-ganesha",
    "nfs-ganesha-vfs",
    "iproute2",
];

/// Names another folder than the one in the target folder.
const CACHE: &str = "AQUIFER_LAB_CACHE";

/// Folders that a client covers with file systems of its own, so that it would not find the host's files there.
const COVERED: [&str; 5] = ["/dev", "/mnt", "/proc", "/run", "/sys"];

/// The unpacked packages.
#[derive(Clone, Debug)]
pub struct Packages {
    cache: PathBuf,
}

impl Packages {
    /// Unpacks them, unless that was done before.
    ///
    /// # Panics
    /// When they cannot be had.
    pub fn unpacked() -> Self {
        let cache = folder();
        for covered in COVERED {
            assert!(
                !cache.starts_with(covered),
                "the lab's files must not lie below {covered}, which its clients cover: set {CACHE} to another \
                 folder than {}",
                cache.display()
            );
        }
        fs::create_dir_all(&cache).unwrap();
        let packages = Self { cache };
        // Several stories may start at once.
        let lock = File::create(packages.cache.join("lock")).unwrap();
        lock.lock().unwrap();
        let done = packages.cache.join("unpacked");
        let wanted = NAMES.join(" ");
        if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
            return packages;
        }
        packages.download();
        fs::write(done, wanted).unwrap();
        packages
    }

    pub(super) fn cache(&self) -> &Path {
        &self.cache
    }

    /// The folder they are unpacked into.
    pub(super) fn root(&self) -> PathBuf {
        self.cache.join("root")
    }

    /// Where the loader finds their libraries.
    pub(super) fn libraries(&self) -> String {
        let folders = [
            "usr/lib/ganesha",
            "usr/lib/x86_64-linux-gnu",
            "lib/x86_64-linux-gnu",
        ];
        let folders = folders.map(|folder| self.root().join(folder).display().to_string());
        folders.join(":")
    }

    /// Where programs are found: the system's first.
    pub(super) fn path(&self) -> String {
        let root = self.root();
        let own = ["usr/sbin", "usr/bin", "sbin", "bin"]
            .map(|folder| root.join(folder).display().to_string());
        format!(
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{}",
            own.join(":")
        )
    }

    fn download(&self) {
        let lists = self.cache.join("lists");
        let archives = self.cache.join("archives");
        for folder in [&lists, &archives] {
            fs::create_dir_all(folder.join("partial")).unwrap();
        }
        let apt = |arguments: &[&str]| {
            let mut command = Command::new("apt-get");
            command
                .args([
                    "-qq",
                    "-o",
                    "APT::Sandbox::User=root",
                    "-o",
                    "Debug::NoLocking=1",
                ])
                .args([
                    "-o",
                    "Dir::Cache::pkgcache=",
                    "-o",
                    "Dir::Cache::srcpkgcache=",
                ])
                .arg("-o")
                .arg(format!("Dir::State::lists={}", lists.display()))
                .arg("-o")
                .arg(format!("Dir::Cache::archives={}", archives.display()))
                .args(arguments);
            expect(command);
        };
        apt(&["update"]);
        let download = [
            "install",
            "--yes",
            "--reinstall",
            "--no-install-recommends",
            "--download-only",
        ];
        apt(&[&download[..], &NAMES[..]].concat());
        for archive in fs::read_dir(&archives).unwrap() {
            let archive = archive.unwrap().path();
            if archive
                .extension()
                .is_some_and(|extension| extension == "deb")
            {
                let mut command = Command::new("dpkg");
                command.arg("-x").arg(&archive).arg(self.root());
                expect(command);
            }
        }
        fs::remove_dir_all(&lists).unwrap();
        fs::remove_dir_all(&archives).unwrap();
    }
}

/// In the target folder that this program lies in, so that what removes it removes the cache too.
fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os(CACHE) {
        return std::path::absolute(folder).unwrap();
    }
    program::target().join("nfs-lab")
}

#[track_caller]
fn expect(mut command: Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
