//! The rules of STORAGE.md, section 6, as functions.
//!
//! A rule looks at plain data: one version, a version and its base, or what a walk through the history has gathered. It
//! answers with a [`Violation`] that says which rule is broken, in which version, and how. [`RULES`] lists all of them.
//!
//! - Before a version is published, `check_draft` applies the cheap rules to it and its base. Their cost does not grow
//!   with the number of documents. Debug builds apply the expensive rules that need no further file as well.
//! - `check` walks through every version on the mount and applies all of them.
//!
//! A broken rule means a defect of the program or a folder that something else has changed. No rule depends on the
//! wall clock.

mod batches;
mod counts;
mod deletes;
mod folder;
mod history;
mod jobs;
mod keys;
mod marks;
mod references;
mod retired;
mod segments;
mod succession;
mod table;

use crate::error::{Error, Result};
use crate::format::manifest::Manifest;
use crate::numbers::Version;
use crate::snapshot::Snapshot;

pub(crate) use self::folder::Folder;
pub(crate) use self::history::{History, Linked, Past};
pub(crate) use self::keys::{Found, Keys};
pub use self::table::RULES;

/// A rule that a version breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version {version} breaks rule {rule}: {detail}")]
pub struct Violation {
    /// The number of the rule in STORAGE.md, such as `I9`.
    pub rule: &'static str,
    /// The version that breaks it.
    pub version: Version,
    /// The file that shows it, relative to the folder of the index.
    pub file: String,
    /// What is wrong.
    pub detail: String,
}

impl Violation {
    /// `manifest` breaks `rule`.
    fn of(rule: &'static str, manifest: &Manifest, detail: impl Into<String>) -> Self {
        Self {
            rule,
            version: manifest.version,
            file: manifest.path(),
            detail: detail.into(),
        }
    }
}

/// Whether a rule holds.
pub(crate) type Verdict = Result<(), Violation>;

/// The verdict on `manifest`: `rule` holds, or it is broken as `detail` says.
fn ensure<D: Into<String>>(
    holds: bool,
    rule: &'static str,
    manifest: &Manifest,
    detail: impl FnOnce() -> D,
) -> Verdict {
    if holds {
        return Ok(());
    }
    Err(Violation::of(rule, manifest, detail()))
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The number of its invariant in STORAGE.md, such as `I9`. Several rules may check parts of one invariant.
    pub number: &'static str,
    /// The name of its function.
    pub name: &'static str,
    /// The file of its function, relative to STORAGE.md.
    pub file: &'static str,
    check: Check,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
enum Check {
    /// One version.
    Version(fn(&Manifest) -> Verdict),
    /// A version's base, and the version.
    Step(fn(&Manifest, &Manifest) -> Verdict),
    /// A version's base with its open bitmaps of deletes, and a version that has its blob.
    Deletes(fn(&Snapshot, &Manifest) -> Verdict),
    /// The versions before, and a version with its mark.
    Past(fn(&Past, &Linked) -> Verdict),
    /// The newest version, and the files in the folder of the index.
    Folder(fn(&Manifest, &Folder) -> Verdict),
    /// The keys of all documents of the newest version.
    Keys(fn(&Manifest, &Keys) -> Verdict),
}

/// What checking a rule takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Nothing that grows with the number of documents. It is checked before every publish.
    Cheap,
    /// Bitmaps, keys, files, or the versions before. Only debug builds, tests and `check` can afford it.
    Expensive,
}

impl Rule {
    /// What checking it takes.
    pub fn cost(&self) -> Cost {
        match self.check {
            Check::Version(_) | Check::Step(_) => Cost::Cheap,
            Check::Deletes(_) | Check::Past(_) | Check::Folder(_) | Check::Keys(_) => {
                Cost::Expensive
            }
        }
    }

    /// Whether `draft` keeps this rule, as far as that shows before it is published on `base`.
    fn check_draft(&self, base: &Snapshot, draft: &Manifest) -> Verdict {
        match self.check {
            Check::Version(check) => check(draft),
            Check::Step(check) => check(base.manifest(), draft),
            Check::Deletes(check) if cfg!(debug_assertions) => check(base, draft),
            Check::Deletes(_) | Check::Past(_) | Check::Folder(_) | Check::Keys(_) => Ok(()),
        }
    }
}

/// Makes sure that `draft`, whose file is encoded and not yet written, may follow `base`.
///
/// # Errors
/// [`crate::ErrorKind::Internal`] naming the rule that it breaks.
pub(crate) fn check_draft(base: &Snapshot, draft: &Manifest) -> Result<()> {
    let verdicts = RULES.iter().map(|rule| rule.check_draft(base, draft));
    verdicts.collect::<Verdict>().map_err(refused)
}

/// The rules about the files of an index that `newest`, its newest version, breaks.
pub(crate) fn check_folder(newest: &Manifest, folder: &Folder) -> Vec<Violation> {
    let verdict = |rule: &Rule| match rule.check {
        Check::Folder(check) => check(newest, folder).err(),
        _ => None,
    };
    RULES.iter().filter_map(verdict).collect()
}

/// The rules about the keys of an index that `newest`, its newest version, breaks.
pub(crate) fn check_keys(newest: &Manifest, keys: &Keys) -> Vec<Violation> {
    let verdict = |rule: &Rule| match rule.check {
        Check::Keys(check) => check(newest, keys).err(),
        _ => None,
    };
    RULES.iter().filter_map(verdict).collect()
}

fn refused(violation: Violation) -> Error {
    let message = format!(
        "{violation}. The version was not published, and batches in the inbox stay there. This is a defect of the program: \
         report it with this message"
    );
    Error::internal(message).at(violation.file)
}

#[cfg(test)]
mod tests;
