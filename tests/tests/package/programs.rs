//! What the packed programs need of the machine they run on, and what they say of the one that built them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::packages::{Architecture, Packages, source};

/// The C library of Amazon Linux 2023, in which `provided.al2023` runs.
const GLIBC: [u32; 2] = [2, 34];
/// The shared libraries that belong to it.
const OF_GLIBC: [&str; 7] = [
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
];

#[test]
fn the_functions_need_nothing_newer_than_amazon_linux_2023() {
    let Some(packages) = Packages::given() else {
        return;
    };
    for architecture in packages.architectures() {
        for name in ["writer", "search", "reindex", "search-layer"] {
            check(&packages.bootstrap(name, architecture), architecture);
        }
    }
}

#[test]
fn the_program_needs_nothing_newer_either_or_nothing_at_all() {
    let Some(packages) = Packages::given() else {
        return;
    };
    for architecture in [Architecture::Arm64, Architecture::X86_64] {
        let machine = architecture.of_linux();
        for archive in packages.archives(&format!("-{machine}-linux-gnu.tar.gz")) {
            check(&packages.untar(&archive).join("aquifer"), architecture);
        }
        for archive in packages.archives(&format!("-{machine}-linux-musl.tar.gz")) {
            let program = packages.untar(&archive).join("aquifer");
            assert_eq!(needed(&program), BTreeSet::new(), "{}", program.display());
            let headers = readelf(&program, "--program-headers");
            assert!(!headers.contains("INTERP"), "{}", program.display());
        }
    }
    if let Some(native) = packages.architectures().iter().find(|one| one.is_native()) {
        let version = Command::new(packages.program()).arg("--version").output();
        let version = String::from_utf8(version.unwrap().stdout).unwrap();
        assert!(version.starts_with("aquifer "), "{native:?}: {version:?}");
    }
}

#[test]
fn the_program_has_none_of_the_options_for_tests() {
    let Some(packages) = Packages::given() else {
        return;
    };
    let program = packages.program();
    for option in ["--stop-at", "--segment-bytes"] {
        let import = Command::new(&program)
            .args(["import", "-", option, "1"])
            .output();
        let error = String::from_utf8(import.unwrap().stderr).unwrap();
        let unknown = format!("unexpected argument '{option}'");
        assert!(error.contains(&unknown), "{error}");
    }
}

#[test]
fn no_program_names_a_folder_of_the_machine_that_built_it() {
    let Some(packages) = Packages::given() else {
        return;
    };
    let home = std::env::var("HOME").unwrap();
    let workspace = source("").canonicalize().unwrap();
    for architecture in packages.architectures() {
        for name in ["writer", "search", "reindex"] {
            let bytes = std::fs::read(packages.bootstrap(name, architecture)).unwrap();
            for folder in [
                &format!("{home}/.cargo"),
                &format!("{home}/.rustup"),
                workspace.to_str().unwrap(),
            ] {
                let found = bytes
                    .windows(folder.len())
                    .any(|part| part == folder.as_bytes());
                assert!(!found, "{folder} is in aquifer-{name} for {architecture:?}");
            }
        }
    }
}

#[track_caller]
fn check(program: &Path, architecture: Architecture) {
    let machine = match architecture {
        Architecture::Arm64 => "AArch64",
        Architecture::X86_64 => "X86-64",
    };
    let header = readelf(program, "--file-header");
    assert!(header.contains(machine), "{}: {header}", program.display());

    let needed = needed(program);
    let known: BTreeSet<_> = OF_GLIBC.map(str::to_owned).into();
    assert!(
        needed.is_subset(&known),
        "{}: {needed:?}",
        program.display()
    );

    let versions = versions(&readelf(program, "--version-info"));
    let newest = versions.last().unwrap();
    assert!(
        newest[..] <= GLIBC[..],
        "{} needs glibc {newest:?}",
        program.display()
    );
}

/// The versions of glibc whose symbols are needed, the newest last.
fn versions(info: &str) -> BTreeSet<Vec<u32>> {
    let words = info.split([' ', '\n']);
    words
        .filter_map(|word| word.strip_prefix("GLIBC_"))
        .map(|version| {
            let part = |part: &str| part.parse().unwrap_or_else(|_| panic!("GLIBC_{version}"));
            version.split('.').map(part).collect()
        })
        .collect()
}

fn needed(program: &Path) -> BTreeSet<String> {
    let dynamic = readelf(program, "--dynamic");
    let lines = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    lines
        .map(|line| line.split(['[', ']']).nth(1).unwrap().to_owned())
        .collect()
}

/// Part of the C compiler's packages, which building takes anyway; it reads programs of every processor.
fn readelf(program: &Path, what: &str) -> String {
    let output = Command::new("readelf")
        .args(["--wide", what])
        .arg(program)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
