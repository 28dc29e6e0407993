//! Programs that may use no more than so much memory.
//!
//! Where this process may make memory cgroups (v1 or v2), the kernel counts what a program really uses and kills it when
//! it takes more, as in a function. Elsewhere the program's private memory is limited (`RLIMIT_DATA`), which a program
//! that takes too much meets as a failed allocation. [`Confined::new`] says which of the two it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

/// Where memory cgroups are: the folder, the file with the limit, with the most that was used, with the count of kills.
const KINDS: [(&str, &str, &str, &str); 2] = [
    (
        "/sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.max_usage_in_bytes",
        "memory.oom_control",
    ),
    (
        "/sys/fs/cgroup",
        "memory.max",
        "memory.peak",
        "memory.events",
    ),
];

/// A limit of memory for programs that are started within it.
#[derive(Debug)]
pub struct Confined {
    mib: u64,
    group: Option<Group>,
    descriptors: Option<u32>,
    scripts: TempDir,
}

#[derive(Debug)]
struct Group {
    folder: PathBuf,
    peak: &'static str,
    kills: &'static str,
}

impl Confined {
    /// A limit of so many MiB for all programs together that are started in it.
    ///
    /// # Panics
    /// When no file can be written.
    pub fn new(mib: u64) -> Self {
        let group = KINDS.iter().find_map(|kind| Group::new(kind, mib));
        match &group {
            Some(group) => println!("{mib} MiB: enforced by {}", group.folder.display()),
            None => println!("{mib} MiB: no memory cgroup can be made here: RLIMIT_DATA instead"),
        }
        let scripts = TempDir::new().unwrap();
        Self {
            mib,
            group,
            descriptors: None,
            scripts,
        }
    }

    /// Bounds the open files of each program as well.
    #[must_use]
    pub fn with_descriptors(mut self, descriptors: u32) -> Self {
        self.descriptors = Some(descriptors);
        self
    }

    /// A program that starts `program` within the limit, in its own process.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn program(&self, program: &Path) -> PathBuf {
        let enter = match &self.group {
            Some(group) => format!("echo $$ > {}/cgroup.procs", group.folder.display()),
            None => format!("ulimit -d {}", self.mib * 1024),
        };
        let files = self
            .descriptors
            .map_or_else(String::new, |limit| format!("ulimit -n {limit}\n"));
        let text = format!(
            "#!/bin/sh\nset -e\n{enter}\n{files}exec {} \"$@\"\n",
            program.display()
        );
        let script = self.scripts.path().join(program.file_name().unwrap());
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        script
    }

    /// Bytes that were used at the most, where the kernel tells.
    pub fn peak_bytes(&self) -> Option<u64> {
        let group = self.group.as_ref()?;
        let text = fs::read_to_string(group.folder.join(group.peak)).ok()?;
        text.trim().parse().ok()
    }

    /// How often the kernel has killed a program for taking more.
    pub fn kills(&self) -> u64 {
        let Some(group) = &self.group else { return 0 };
        let text = fs::read_to_string(group.folder.join(group.kills)).unwrap_or_default();
        let mut lines = text.lines();
        let count = lines.find_map(|line| line.strip_prefix("oom_kill "));
        count.map_or(0, |count| count.trim().parse().unwrap())
    }
}

impl Group {
    fn new(kind: &(&str, &str, &'static str, &'static str), mib: u64) -> Option<Self> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let (root, limit, peak, kills) = *kind;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("aquifer-{}-{number}", std::process::id());
        let folder = Path::new(root).join(name);
        fs::create_dir(&folder).ok()?;
        let group = Self {
            folder,
            peak,
            kills,
        };
        let bytes = (mib * 1024 * 1024).to_string();
        fs::write(group.folder.join(limit), bytes).ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It may still have a process that has yet to go: then it stays behind, empty.
        drop(fs::remove_dir(&self.folder));
    }
}
