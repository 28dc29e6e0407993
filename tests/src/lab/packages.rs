//! Debian's packages that the lab takes, unpacked into a cache folder.

use std::path::{Path, PathBuf};

use crate::debian;

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
        let cache = debian::cache(CACHE, "nfs-lab");
        for covered in COVERED {
            assert!(
                !cache.starts_with(covered),
                "the lab's files must not lie below {covered}, which its clients cover: set {CACHE} to another \
                 folder than {}",
                cache.display()
            );
        }
        debian::unpack(&cache, &NAMES);
        Self { cache }
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
}
