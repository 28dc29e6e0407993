//! The first process of a machine in the NFS lab: makes the machine usable, then takes orders.
//!
//! The root is the host's, read-only. The kernel was told what to do by words that it hands on as environment.

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod nfsd;
#[cfg(target_os = "linux")]
mod orders;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    let outcome = machine::run();
    // The kernel panics when its first process ends, which ends the machine; first say why.
    eprintln!("{outcome:?}");
    outcome
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the NFS lab needs Linux");
}

#[cfg(target_os = "linux")]
mod machine {
    use std::env;
    use std::ffi::CString;
    use std::fs::{self, File};
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use anyhow::{Context as _, Result, ensure};
    use rustix::mount::{MountFlags, mount};

    use crate::{nfsd, orders};

    /// Memory that stays free for frames, in KiB: a machine that could not take one never receives again.
    const RESERVE_KIB: &str = "16384";

    pub(crate) fn run() -> Result<()> {
        for (kind, folder) in [
            ("proc", "/proc"),
            ("sysfs", "/sys"),
            ("tmpfs", "/run"),
            ("tmpfs", "/mnt"),
        ] {
            mount(kind, folder, kind, MountFlags::empty(), None)
                .with_context(|| folder.to_owned())?;
        }
        for folder in ["/run/tmp", "/mnt/efs"] {
            fs::create_dir(folder)?;
        }
        fs::write("/proc/sys/vm/min_free_kbytes", RESERVE_KIB)?;
        // The identity of an NFSv4.1 client: two of the same name would steal each other's locks.
        fs::write("/proc/sys/kernel/hostname", word("NAME")?)?;
        ip(&["link", "set", "lo", "up"])?;
        for (interface, address) in [("vec0", word("NFS")?), ("vec1", word("CONTROL")?)] {
            ip(&["link", "set", interface, "up"])?;
            ip(&["address", "add", &format!("{address}/24"), "dev", interface])?;
        }
        load("sch_netem")?;
        match env::var("LAB_LEASE") {
            Ok(lease) => {
                load("nfsd")?;
                nfsd::serve(&lease)?;
            }
            Err(_) => {
                load("nfsv4")?;
                load("nfsv3")?;
            }
        }
        orders::take(&word("CONTROL")?)
    }

    fn word(name: &str) -> Result<String> {
        let name = format!("LAB_{name}");
        env::var(&name).with_context(|| format!("the kernel was given no {name}"))
    }

    fn ip(arguments: &[&str]) -> Result<()> {
        let status = Command::new("ip")
            .args(arguments)
            .envs(environment())
            .status()?;
        ensure!(status.success(), "ip {arguments:?}: {status}");
        Ok(())
    }

    /// What programs find others and their libraries by.
    pub(crate) fn environment() -> [(&'static str, String); 4] {
        let word = |name| word(name).unwrap_or_default();
        [
            ("PATH", word("PATH")),
            ("LD_LIBRARY_PATH", word("LIBRARIES")),
            ("TMPDIR", "/run/tmp".into()),
            ("HOME", "/run".into()),
        ]
    }

    /// Loads a module of the kernel, after those it depends on.
    fn load(module: &str) -> Result<()> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let folder = Path::new(&word("PACKAGES")?)
            .join("usr/lib/uml/modules")
            .join(release.trim());
        let needs = fs::read_to_string(folder.join("modules.dep"))?;
        let file = format!("/{module}.ko:");
        let line = needs.lines().find(|line| line.contains(&file));
        let (own, others) = line
            .and_then(|line| line.split_once(':'))
            .context("no such module")?;
        // What comes first needs what comes after it.
        let all: Vec<PathBuf> = others
            .split_whitespace()
            .rev()
            .chain([own])
            .map(|path| folder.join(path))
            .collect();
        for path in all {
            match rustix::system::finit_module(File::open(&path)?, &CString::default(), 0) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
        Ok(())
    }
}
