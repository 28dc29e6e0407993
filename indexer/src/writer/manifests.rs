//! The manifests and the links of versions that collection may remove.

use std::collections::{BTreeMap, BTreeSet};

use super::age::Ages;
use crate::error::Result;
use crate::layout::{self, MANIFESTS, ManifestName};
use crate::mount::Mount;
use crate::numbers::Version;
use crate::snapshot::Snapshot;

/// The manifests in an index's folder, and the links of versions.
#[derive(Debug, Default)]
pub(super) struct Manifests(BTreeMap<Version, Attempts>);

/// What there is of one version: at most one of the manifests is the version's.
#[derive(Debug, Default)]
struct Attempts {
    linked: bool,
    manifests: Vec<ManifestName>,
}

/// The manifests that something needs.
#[derive(Debug)]
pub(super) struct NeededManifests<'a> {
    tip: &'a Snapshot,
    /// Those that the tip refers to.
    pub(super) names: BTreeSet<ManifestName>,
    /// Versions whose manifests say when something was retired.
    pub(super) versions: BTreeSet<Version>,
}

/// What may be removed, each list with the oldest first.
#[derive(Debug, Default)]
pub(super) struct Old {
    /// Manifests that could still be linked: they are removed after the fence.
    pub(super) fenced: Vec<String>,
    /// What needs no fence. A link comes before its manifest.
    pub(super) others: Vec<String>,
}

impl<'a> NeededManifests<'a> {
    pub(super) fn new(tip: &'a Snapshot) -> Self {
        Self {
            tip,
            names: BTreeSet::from([tip.manifest().name()]),
            versions: BTreeSet::new(),
        }
    }

    /// Whether everything of a version stays.
    fn version(&self, version: Version) -> bool {
        let body = &self.tip.manifest().body;
        // A job has yet to carry over what later versions touched, and the link of the version that it began with tells
        // how old the job is.
        let job = body.job.as_deref();
        job.is_some_and(|job| version >= job.replayed_to)
            || self.versions.contains(&version)
            // Retired manifests go once no range names them, which is after the fence.
            || body.retired.iter().any(|range| range.contains(version))
    }
}

impl Manifests {
    pub(super) fn list(mount: &dyn Mount) -> Result<Self> {
        let names = mount.list(MANIFESTS);
        let names = names?;
        let mut listed = Self::default();
        for name in names {
            if let Some(version) = layout::parse_version_link(&name) {
                listed.0.entry(version).or_default().linked = true;
            } else if let Ok(name) = name.parse::<ManifestName>() {
                let attempts = listed.0.entry(name.version).or_default();
                attempts.manifests.push(name);
            }
        }
        Ok(listed)
    }

    /// Whether everything of a version was last touched longer ago than retention. A manifest is last touched when its
    /// mark is set. A version of which nothing is left counts as old.
    pub(super) fn are_over(&self, version: Version, ages: &Ages) -> Result<bool> {
        match self.0.get(&version) {
            Some(attempts) => attempts.are_over(ages),
            None => Ok(true),
        }
    }

    /// What nothing needs any more.
    pub(super) fn old(&self, ages: &Ages, tip: &Snapshot, needed: &NeededManifests) -> Result<Old> {
        let mut old = Old::default();
        let before: Vec<_> = self.0.range(..tip.version()).collect();
        // The marks were set one after the other, so the older, the longer ago.
        let first_young = Ages::first_young(&before, |(_, attempts)| attempts.are_over(ages))?;
        for (version, attempts) in before.into_iter().take(first_young) {
            if needed.version(*version) {
                continue;
            }
            let is_needed = |name: &&ManifestName| needed.names.contains(name);
            if attempts.linked && !attempts.manifests.iter().any(|name| is_needed(&name)) {
                old.others.push(layout::version_link(*version));
            }
            let unused = attempts.manifests.iter().filter(|name| !is_needed(name));
            old.others.extend(unused.map(ManifestName::path));
        }
        // Attempts at the newest version have failed, since that is there. Those at the next one may yet succeed.
        let next = tip.version().next();
        for (version, attempts) in self.0.range(tip.version()..=next) {
            let unused = attempts.manifests.iter();
            let unused = unused.filter(|name| !needed.names.contains(name));
            let unused = ages.those_over(unused.map(ManifestName::path))?;
            match *version == next {
                true => old.fenced.extend(unused),
                false => old.others.extend(unused),
            }
        }
        Ok(old)
    }
}

impl Attempts {
    fn are_over(&self, ages: &Ages) -> Result<bool> {
        for name in &self.manifests {
            if !ages.over(&name.path())? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
