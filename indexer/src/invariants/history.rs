//! A walk through the versions that are on the mount, from the oldest to the newest.

use std::collections::{BTreeSet, HashSet};

use super::counts::applied_here;
use super::table::RULES;
use super::{Check, Verdict, Violation};
use crate::format::manifest::{ContainerId, Manifest};
use crate::format::mark::{ManifestId, MarkPage};
use crate::layout::BatchId;

/// A version that its link names.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(super) manifest: Manifest,
    /// What its mark names.
    pub(super) successor: Option<ManifestId>,
    /// Whether it is certainly part of the history: its mark is set, or it is the newest version. The others are ghosts,
    /// and a version that nobody has announced yet.
    pub(super) is_real: bool,
}

/// What the versions before have done.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// The newest version, to which the marks lead, as far as it is known.
    pub(super) newest: Option<ManifestId>,
    /// The version that was walked through last, if it could be read.
    pub(super) before: Option<Linked>,
    /// Batches that became visible.
    pub(super) applied: HashSet<BatchId>,
    /// Files that were used, and were not any more in a later version.
    pub(super) unused: HashSet<ContainerId>,
    used: BTreeSet<ContainerId>,
}

/// The walk. Versions whose manifests were collected are left out.
#[derive(Debug)]
pub(crate) struct History(Past);

impl History {
    /// A walk up to `newest`, as far as that is known.
    pub(crate) fn new(newest: Option<ManifestId>) -> Self {
        Self(Past {
            newest,
            ..Past::default()
        })
    }

    /// Goes on to the next version that is linked and can be read. Gives the rules that it breaks.
    pub(crate) fn visit(&mut self, manifest: Manifest, mark: &MarkPage) -> Vec<Violation> {
        let is_newest = self.0.newest == Some(manifest.id());
        let next = Linked {
            successor: mark.successor,
            is_real: is_newest || mark.successor.is_some(),
            manifest,
        };
        let violations = RULES
            .iter()
            .filter_map(|rule| self.0.check(rule.check, &next).err())
            .collect();
        self.0.take(next);
        violations
    }

    /// Passes over a version that cannot be read.
    pub(crate) fn pass_over(&mut self) {
        self.0.before = None;
    }

    /// What the versions have done.
    pub(crate) fn past(&self) -> &Past {
        &self.0
    }
}

impl Past {
    fn check(&self, check: Check, next: &Linked) -> Verdict {
        match check {
            Check::Version(check) => check(&next.manifest),
            Check::Step(check) => match self.base_of(next) {
                Some(base) => check(&base.manifest, &next.manifest),
                None => Ok(()),
            },
            Check::Past(check) => check(self, next),
            // These look at the newest version alone.
            Check::Deletes(_) | Check::Folder(_) | Check::Keys(_) => Ok(()),
        }
    }

    /// The version that `next` was built on, if it is the one before. Otherwise versions are missing in between, or one of
    /// the two is a ghost.
    fn base_of(&self, next: &Linked) -> Option<&Linked> {
        self.before.as_ref().filter(|before| {
            before.successor == Some(next.manifest.id())
                || before.manifest.nonce == next.manifest.body.previous
        })
    }

    fn take(&mut self, next: Linked) {
        if next.is_real {
            self.applied
                .extend(applied_here(&next.manifest).map(|entry| entry.batch));
            let files = next.manifest.files();
            self.unused.extend(self.used.difference(&files).cloned());
            self.used = files;
        }
        self.before = Some(next);
    }
}
