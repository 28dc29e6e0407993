//! Where the program under test lies.
//!
//! It is another package's, so Cargo neither builds it for these tests nor tells where it is. Building it from
//! here could build all dependencies again with other features. So it is taken from beside this test, where
//! `cargo build --workspace` puts it, and refused if it is older than one of its sources: a test of yesterday's
//! program shows nothing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

const BUILD: &str = "run `cargo build --workspace` with the same profile and target folder first";

/// The program `aquifer`.
///
/// # Panics
/// When it is missing or older than its sources, or was built to be shipped.
pub(crate) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let program = built("aquifer");
        assert!(
            has_test_options(&program),
            "{} lacks the options that tests need (feature `test-options`): {BUILD}",
            program.display()
        );
        program
    })
}

/// Whether the program has the feature that a build of `aquifer-functions` alone leaves out.
fn has_test_options(program: &Path) -> bool {
    let without_its_value = ["merge", "--stop-at"];
    let asked = Command::new(program).args(without_its_value).output();
    let error = String::from_utf8(asked.unwrap().stderr).unwrap();
    !error.contains("unexpected argument")
}

/// A program of the workspace by its name.
///
/// # Panics
/// When it is missing or older than its sources.
pub(crate) fn built(name: &str) -> PathBuf {
    let program = beside_this_test(name);
    if let Some(newer) = newer_source(&program) {
        panic!("{} is older than {newer}: {BUILD}", program.display());
    }
    program
}

/// The target folder that this program lies in.
pub(crate) fn target() -> PathBuf {
    let program = env::current_exe().unwrap();
    let in_deps = program
        .parent()
        .is_some_and(|folder| folder.ends_with("deps"));
    let target = program.ancestors().nth(if in_deps { 3 } else { 2 });
    target.unwrap().to_owned()
}

/// What a machine of the lab runs first; this package's, so Cargo has built it with this test.
pub(crate) fn lab_machine() -> PathBuf {
    beside_this_test("machine")
}

fn beside_this_test(program: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    // The tests of a package lie in `deps`, the programs one folder above.
    let found = test
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(&name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no {name} beside {}: {BUILD}", test.display()))
}

/// A source that has changed since the program was built; Cargo lists them all in a file beside it.
fn newer_source(program: &Path) -> Option<String> {
    let built = modified(program)?;
    let listed = fs::read_to_string(program.with_extension("d")).ok()?;
    let (_, sources) = listed.split_once(": ")?;
    // A space that belongs to a path is escaped.
    let sources = sources.trim_end().replace("\\ ", "\0");
    sources
        .split(' ')
        .map(|source| source.replace('\0', " "))
        .find(|source| modified(Path::new(source)).is_some_and(|changed| changed > built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
