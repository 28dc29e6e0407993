//! Debian's packages, unpacked into a cache folder. Nothing is installed, and nothing of the system's is written.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program;

/// A cache folder in the target folder that this program lies in, so that what removes it removes the cache too.
/// `variable` names another.
pub fn cache(variable: &str, name: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(folder) => std::path::absolute(folder).unwrap(),
        None => program::target().join(name),
    }
}

/// Unpacks packages, unless that was done before, and gives the folder. What they depend on and the host lacks
/// comes along.
///
/// # Panics
/// When they cannot be had.
pub fn unpack(cache: &Path, names: &[&str]) -> PathBuf {
    fs::create_dir_all(cache).unwrap();
    let root = cache.join("root");
    // Several tests may start at once.
    let lock = File::create(cache.join("lock")).unwrap();
    lock.lock().unwrap();
    let done = cache.join("unpacked");
    let wanted = names.join(" ");
    if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return root;
    }
    download(cache, names, &root);
    fs::write(done, wanted).unwrap();
    root
}

fn download(cache: &Path, names: &[&str], root: &Path) {
    let lists = cache.join("lists");
    let archives = cache.join("archives");
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
    let options = [
        "install",
        "--yes",
        "--reinstall",
        "--no-install-recommends",
        "--download-only",
    ];
    apt(&[&options[..], names].concat());
    for archive in fs::read_dir(&archives).unwrap() {
        let archive = archive.unwrap().path();
        if archive
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            let mut command = Command::new("dpkg");
            command.arg("-x").arg(&archive).arg(root);
            expect(command);
        }
    }
    fs::remove_dir_all(&lists).unwrap();
    fs::remove_dir_all(&archives).unwrap();
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
