//! Functions for another processor than this machine's, which QEMU runs.

use std::env;
use std::path::{Path, PathBuf};

use aquifer_tests::debian;

use crate::packages::{Architecture, skip, write_program};

/// QEMU for single programs, and the C library that the functions load.
const PACKAGES: [&str; 2] = ["qemu-user-static", "libc6-arm64-cross"];
/// Names another cache folder than the one in the target folder.
const CACHE: &str = "AQUIFER_QEMU_CACHE";

/// A program that runs `bootstrap` in QEMU, or nothing where there is no QEMU for it.
pub(crate) fn emulated(
    architecture: Architecture,
    bootstrap: &Path,
    folder: &Path,
) -> Option<PathBuf> {
    if (architecture, env::consts::ARCH) != (Architecture::Arm64, "x86_64") {
        skip(&format!(
            "{} is not run on {}",
            architecture.of_linux(),
            env::consts::ARCH
        ));
        return None;
    }
    let is_debian = Path::new("/etc/debian_version").is_file();
    if !is_debian || !rustix::process::geteuid().is_root() {
        skip("functions for arm64 are run by Debian's QEMU, which takes Debian and root to unpack");
        return None;
    }
    let root = debian::unpack(&debian::cache(CACHE, "qemu"), &PACKAGES);
    let script = format!(
        "exec '{}' -L '{}' '{}'",
        root.join("usr/bin/qemu-aarch64-static").display(),
        root.join("usr/aarch64-linux-gnu").display(),
        bootstrap.display()
    );
    let name = bootstrap.parent().unwrap().file_name().unwrap();
    Some(write_program(&folder.join(name), &script))
}
