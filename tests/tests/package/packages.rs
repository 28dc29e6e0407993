//! The folder of packages, and what is in them.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use zip::ZipArchive;

/// Names the folder.
const VARIABLE: &str = "AQUIFER_PACKAGES";

/// A processor that packages are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    Arm64,
    X86_64,
}

impl Architecture {
    const ALL: [Self; 2] = [Self::Arm64, Self::X86_64];

    /// As Lambda calls it, and the names of zips.
    pub(crate) fn of_lambda(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }

    /// As Rust and Linux call it, and the names of tarballs.
    pub(crate) fn of_linux(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64",
            Self::X86_64 => "x86_64",
        }
    }

    /// Whether this machine runs its programs.
    pub(crate) fn is_native(self) -> bool {
        self.of_linux() == env::consts::ARCH
    }
}

/// The packages, and a folder into which they are unpacked.
pub(crate) struct Packages {
    folder: PathBuf,
    unpacked: TempDir,
}

impl Packages {
    /// The packages that are to be tested; nothing where none are named.
    #[track_caller]
    pub(crate) fn given() -> Option<Self> {
        let Some(folder) = env::var_os(VARIABLE) else {
            skip(&format!(
                "{VARIABLE} is not set. Run `scripts/package --profile package-check --arch {} --output target/packages` \
                 and set it to the absolute path of target/packages",
                env::consts::ARCH
            ));
            return None;
        };
        let folder = PathBuf::from(folder);
        assert!(
            folder.is_absolute() && folder.is_dir(),
            "{VARIABLE} is {}: set it to the absolute path of a folder that scripts/package has filled",
            folder.display()
        );
        let unpacked = TempDir::new().unwrap();
        Some(Self { folder, unpacked })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The archives whose names end so, by name.
    pub(crate) fn archives(&self, suffix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = paths
            .filter(|path| path.to_str().unwrap().ends_with(suffix))
            .collect();
        found.sort_unstable();
        found
    }

    /// The architectures for which functions are there.
    pub(crate) fn architectures(&self) -> Vec<Architecture> {
        let there = |architecture: &Architecture| self.zip("search", *architecture).is_file();
        let found: Vec<_> = Architecture::ALL.into_iter().filter(there).collect();
        assert!(
            !found.is_empty(),
            "no functions in {}",
            self.folder.display()
        );
        found
    }

    fn zip(&self, name: &str, architecture: Architecture) -> PathBuf {
        let architecture = architecture.of_lambda();
        self.folder
            .join(format!("aquifer-{name}-{architecture}.zip"))
    }

    /// The program of a function or of the layer, unpacked as Lambda does it.
    pub(crate) fn bootstrap(&self, name: &str, architecture: Architecture) -> PathBuf {
        let zip = self.zip(name, architecture);
        let folder = self.unpacked.path().join(zip.file_stem().unwrap());
        unzip(&zip, &folder);
        folder.join("bootstrap")
    }

    /// The program `aquifer` for this machine, unpacked as somebody does it who has downloaded it.
    pub(crate) fn program(&self) -> PathBuf {
        let machine = env::consts::ARCH;
        let suffix = format!("-{machine}-linux-gnu.tar.gz");
        let archives = self.archives(&suffix);
        let [archive] = &archives[..] else {
            panic!(
                "one archive *{suffix} is expected in {}: {archives:?}",
                self.folder.display()
            );
        };
        self.untar(archive).join("aquifer")
    }

    /// Unpacks a tarball and gives the one folder that is in it.
    pub(crate) fn untar(&self, archive: &Path) -> PathBuf {
        let status = Command::new("tar")
            .arg("-xzf")
            .arg(archive)
            .arg("-C")
            .arg(self.unpacked.path())
            .status();
        assert!(status.unwrap().success());
        let name = archive.file_name().unwrap().to_str().unwrap();
        self.unpacked.path().join(name.trim_end_matches(".tar.gz"))
    }
}

/// Unpacks a zip with the permissions that are in it.
pub(crate) fn unzip(zip: &Path, folder: &Path) {
    let file = File::open(zip).unwrap_or_else(|error| panic!("{}: {error}", zip.display()));
    ZipArchive::new(file).unwrap().extract(folder).unwrap();
}

/// Writes a shell script that can be run, and gives its path.
pub(crate) fn write_program(path: &Path, script: &str) -> PathBuf {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// A file of this repository.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Says why a test cannot run, past the harness, which hides what a passing test prints.
#[track_caller]
pub(crate) fn skip(reason: &str) {
    let is_ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    assert!(!is_ci, "where CI is set, this is a failure: {reason}");
    let line = format!("skipped: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
