//! Names, contents and checksums of the archives.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Command;

use zip::ZipArchive;

use crate::packages::{Packages, source};

/// What `ls -l` shows as `-rwxr-xr-x`: Lambda runs functions as a user who does not own them.
const PROGRAM: u32 = 0o100_755;

#[test]
fn every_archive_has_its_checksum() {
    let Some(packages) = Packages::given() else {
        return;
    };
    let check = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(packages.folder())
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");

    let sums = fs::read_to_string(packages.folder().join("SHA256SUMS")).unwrap();
    let listed: BTreeSet<_> = sums.lines().map(|line| line[66..].to_owned()).collect();
    let archives = [packages.archives(".zip"), packages.archives(".tar.gz")].concat();
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(listed, archives.iter().map(name).collect());
}

#[test]
fn a_zip_holds_one_program_named_bootstrap_that_everybody_may_run() {
    let Some(packages) = Packages::given() else {
        return;
    };
    for path in packages.archives(".zip") {
        let mut zip = ZipArchive::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(zip.len(), 1, "{}", path.display());
        let bootstrap = zip.by_name("bootstrap").unwrap();
        assert_eq!(bootstrap.unix_mode(), Some(PROGRAM), "{}", path.display());
    }
}

#[test]
fn every_architecture_has_the_three_functions_and_the_layer() {
    let Some(packages) = Packages::given() else {
        return;
    };
    for architecture in packages.architectures() {
        for name in ["writer", "search", "reindex", "search-layer"] {
            let bootstrap = packages.bootstrap(name, architecture);
            assert!(bootstrap.is_file(), "{}", bootstrap.display());
        }
    }
}

#[test]
fn the_same_files_make_the_same_archive() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str| {
        fs::create_dir_all(path("in/deep")).unwrap();
        fs::write(path("in/deep/a"), "a").unwrap();
        fs::write(path("in/b"), "b").unwrap();
        let pair = |name: &str, file: &str| format!("{name}={}", path(file).display());
        for kind in ["zip", "tar"] {
            let status = Command::new("python3")
                .arg(source("scripts/archive.py"))
                .arg(kind)
                .arg(path(&format!("{name}.{kind}")))
                .args([pair("z", "in/b"), pair("all", "in")])
                .env_remove("SOURCE_DATE_EPOCH")
                .status();
            assert!(status.unwrap().success());
        }
    };
    write("first");
    // Another order in the folder, other times and other permissions of the group.
    fs::remove_dir_all(path("in")).unwrap();
    fs::create_dir(path("in")).unwrap();
    fs::write(path("in/b"), "").unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH;
    File::open(path("in/b")).unwrap().set_modified(old).unwrap();
    write("second");
    for kind in ["zip", "tar"] {
        let read = |name: &str| fs::read(path(&format!("{name}.{kind}"))).unwrap();
        assert!(read("first") == read("second"), "{kind}");
    }
}
