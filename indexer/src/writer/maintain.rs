//! Maintenance: merges that are too large for a commit.
//!
//! Their inputs never change, so the copying happens without the lock. Only to publish is the lock
//! taken: documents that were deleted meanwhile are deleted from the merged segment too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roaring::RoaringBitmap;
use serde::Serialize;
use uuid::Uuid;

use super::age::may_be_collected;
use super::ahead::Ahead;
use super::attempts::{self, Told};
use super::draft::{Draft, Kind};
use super::fit::{self, Fit, Limit, Size};
use super::history::{History, Maintained, Proposal};
use super::ledger;
use super::merge::{self, candidates, inputs};
use super::pack::{self, Packed};
use super::policy::{self, Candidate};
use super::scratch::RawSegment;
use crate::config::Step;
use crate::error::Result;
use crate::format::manifest::Cause;
use crate::ids::RandomIds;
use crate::numbers::{DocCount, Version};
use crate::snapshot::Snapshot;

/// How long maintenance waits for the lock when nothing else bounds it.
const LOCK_WAIT: Duration = Duration::from_secs(60);
/// Merges in one call at most; each makes progress, so this is only ever reached by a defect.
const MERGES_MAX: usize = 10_000;

/// What merging did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MergeReport {
    /// The newest version afterwards.
    pub version: Version,
    /// Merges that were published.
    pub merges: usize,
    /// Segments before.
    pub segments_before: usize,
    /// Segments now.
    pub segments: usize,
    /// Whether a merge is due for which the time that was left did not suffice.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub postponed: bool,
}

/// Merges segments of one index.
#[derive(Debug)]
pub(crate) struct Merger {
    history: Arc<History>,
}

impl Merger {
    pub(super) fn new(history: Arc<History>) -> Self {
        Self { history }
    }

    /// Merges until every tier has room and no segment is rotten, or until the deadline.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Busy`] when the lock could not be had; whatever merging met.
    pub(crate) fn merge(&self, deadline: Option<Instant>) -> Result<MergeReport> {
        self.merge_while(deadline, policy::choose)
    }

    /// Merges everything into as few segments as possible, without deleted documents.
    ///
    /// # Errors
    /// Like [`Self::merge`].
    pub(crate) fn compact(&self, deadline: Option<Instant>) -> Result<MergeReport> {
        self.merge_while(deadline, policy::choose_all)
    }

    /// Whether a merge is due in `snapshot` that is too large for a commit.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`].
    pub(crate) fn is_due(snapshot: Arc<Snapshot>) -> Result<bool> {
        // It is only looked at, so its name does not matter.
        let draft = Draft::new(snapshot, Cause::Merge, &RandomIds);
        for kind in Kind::ALL {
            let kept: Vec<usize> = draft.kept(kind).collect();
            if !policy::choose(&candidates(&draft, &kept)?, u64::MAX).is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn merge_while(&self, deadline: Option<Instant>, choose: Choose) -> Result<MergeReport> {
        let before = self.history.follower.newest()?;
        let mut report = MergeReport {
            segments_before: before.manifest().body.segments.len(),
            ..MergeReport::default()
        };
        let mut withheld = None;
        for _ in 0..MERGES_MAX {
            if deadline.is_some_and(|deadline| self.history.clock.now() >= deadline) {
                break;
            }
            match self.merge_once(choose, deadline, &mut withheld)? {
                Progress::Nothing => break,
                Progress::Merged => report.merges += 1,
                Progress::Lost => {}
            }
        }
        let after = self.history.follower.newest()?;
        report.version = after.version();
        report.segments = after.manifest().body.segments.len();
        report.postponed = withheld == Some(Limit::Time);
        Ok(report)
    }

    /// The positions of segments of `draft` to merge, and what they come to: the largest choice that fits.
    fn choose_fitting(
        &self,
        choose: Choose,
        draft: &Draft,
        kind: Kind,
        deadline: Option<Instant>,
        withheld: &mut Option<Limit>,
    ) -> Result<(Vec<usize>, Size)> {
        let kept: Vec<usize> = draft.kept(kind).collect();
        let candidates = candidates(draft, &kept)?;
        let segments = &draft.content().manifest().body.segments;
        let mut told: Option<Told> = None;
        let mut limit = u64::MAX;
        loop {
            let mut fit = Fit {
                budget: &self.history.config.budget,
                in_time: fit::in_time(
                    deadline,
                    self.history.clock.now(),
                    !self.history.config.after_answer,
                ),
                unharmed: None,
            };
            let mut chosen = choose(&candidates, limit);
            chosen.truncate(fit.inputs());
            let known = |&at: &usize| {
                candidates
                    .get(at)
                    .copied()
                    .zip(segments.get(*kept.get(at)?))
            };
            let size = Size::of(chosen.iter().filter_map(known));
            if size.bytes >= attempts::MERGE_FROM {
                let told = match told {
                    Some(told) => told,
                    None => *told.insert(attempts::told_to(&self.history)?),
                };
                if told.elsewhere {
                    tracing::info!("another process is at a large merge: this one leaves it alone");
                    limit = attempts::MERGE_FROM - 1;
                    continue;
                }
                fit.unharmed = told.merge;
            }
            let refused = fit.refuses(&size).filter(|_| !chosen.is_empty());
            let Some(reason) = refused else {
                let positions = chosen.iter().filter_map(|&at| kept.get(at).copied());
                return Ok((positions.collect(), size));
            };
            if withheld.replace(reason) != Some(reason) {
                let mib = size.bytes / crate::config::MIB as u64;
                tracing::info!(
                    mib,
                    documents = size.docs.get(),
                    "a merge does not fit into {reason}: a smaller one is tried"
                );
            }
            limit = limit.min(size.bytes) / 2;
        }
    }

    fn merge_once(
        &self,
        choose: Choose,
        deadline: Option<Instant>,
        withheld: &mut Option<Limit>,
    ) -> Result<Progress> {
        let base = self.history.follower.newest()?;
        let draft = Draft::new(Arc::clone(&base), Cause::Merge, &*self.history.ids);
        let mut due = None;
        for kind in Kind::ALL {
            let (chosen, size) = self.choose_fitting(choose, &draft, kind, deadline, withheld)?;
            if !chosen.is_empty() {
                due = Some((kind, chosen, size));
                break;
            }
        }
        let Some((kind, chosen, size)) = due else {
            return Ok(Progress::Nothing);
        };
        let attempt = self.history.record_merge(size.bytes)?;
        self.history.config.observer.reached(Step::BeforeBundle);
        let began = self.history.clock.now();
        let mut prepared = Prepared::new(&base, &chosen, self.history.clock.wall_ms())?;
        let mount = self.history.mount();
        let budget = &self.history.config.budget;
        let (ahead, schema) = (Ahead::of(chosen.len(), budget), draft.schema(kind));
        let inputs = inputs(&draft, &chosen, prepared.deletes(), schema, &ahead)?;
        let place = fit::place(&size, budget, mount, &self.history.ids);
        match merge::merge(&inputs, schema, place)? {
            Some(merged) if merged.bytes() > pack::EMBED_MAX => {
                prepared.bundle = Some(pack::bundle(
                    &[merged],
                    &**mount,
                    &*self.history.ids,
                    draft.version(),
                )?);
            }
            merged => prepared.small = merged,
        }
        drop((inputs, attempt));
        fit::measured(
            size.bytes,
            self.history.clock.now().saturating_duration_since(began),
        );
        let deadline = deadline.unwrap_or_else(|| self.history.clock.now() + LOCK_WAIT);
        let result = self.publish_merge(&mut prepared, deadline);
        // After an error the version may exist all the same; then only a collection may tell.
        if matches!(result, Ok(Progress::Lost))
            && let Some(path) = prepared.path.take()
        {
            let removed = mount.unlink(&path);
            tracing::debug!(?removed, %path, "a merge that was not published");
        }
        result
    }

    fn publish_merge(&self, prepared: &mut Prepared, deadline: Instant) -> Result<Progress> {
        if let Some(bundle) = &prepared.bundle {
            prepared.path = Some(bundle.container.id.path());
        }
        let history = &*self.history;
        let published = history.maintain(Cause::Merge, deadline, |mut draft| {
            let tip = Arc::clone(draft.base());
            if let Some(path) = &prepared.path
                && may_be_collected(history, &prepared.base, &tip, path)?
            {
                return Ok(Proposal::Nothing(()));
            }
            let Some(positions) = prepared.positions(&tip) else {
                return Ok(Proposal::Nothing(()));
            };
            let deletes = prepared.replayed(&draft, &positions)?;
            positions
                .into_iter()
                .for_each(|position| draft.remove(position));
            let packed = match (&prepared.bundle, &prepared.small) {
                (Some(bundle), _) => Some(bundle.clone()),
                (None, Some(small)) => {
                    let small = std::slice::from_ref(small);
                    let mount = &**history.mount();
                    Some(pack::pack(small, mount, &*history.ids, draft.name())?)
                }
                (None, None) => None,
            };
            if let Some(packed) = packed
                && DocCount::new(deletes.len()) < packed.docs()
            {
                draft.add(packed, vec![deletes]);
            }
            Ok(Proposal::Version(draft, ()))
        })?;
        Ok(match published {
            Maintained::Published(()) => Progress::Merged,
            Maintained::Nothing(()) => Progress::Lost,
        })
    }
}

/// Chooses candidates to merge, of at most so many live bytes.
type Choose = fn(&[Candidate], u64) -> Vec<usize>;

enum Progress {
    Nothing,
    Merged,
    /// The inputs had changed under it; look again.
    Lost,
}

/// A merge that is done and not published.
struct Prepared {
    base: Arc<Snapshot>,
    /// The inputs in order: identity, number of documents, those that are left out. These are the deletes when the merge
    /// began, and records of the ledger that have expired.
    inputs: Vec<(Uuid, u32, RoaringBitmap)>,
    bundle: Option<Packed>,
    small: Option<RawSegment>,
    path: Option<String>,
}

impl Prepared {
    fn new(base: &Arc<Snapshot>, chosen: &[usize], wall_ms: u64) -> Result<Self> {
        let segments = &base.manifest().body.segments;
        let mut inputs = Vec::new();
        for segment in chosen.iter().filter_map(|&position| segments.get(position)) {
            let mut left_out = base.deletes(segment)?;
            if segment.ledger {
                left_out |= ledger::expired(base, segment, wall_ms)?;
            }
            inputs.push((segment.id, segment.max_doc, left_out));
        }
        let (bundle, small, path) = (None, None, None);
        Ok(Self {
            base: Arc::clone(base),
            inputs,
            bundle,
            small,
            path,
        })
    }

    /// The documents of each input that are left out.
    fn deletes(&self) -> Vec<RoaringBitmap> {
        self.inputs
            .iter()
            .map(|(.., left_out)| left_out.clone())
            .collect()
    }

    /// Where the inputs are in `tip`; `None` if one is gone.
    fn positions(&self, tip: &Snapshot) -> Option<Vec<usize>> {
        let body = &tip.manifest().body;
        self.inputs
            .iter()
            .map(|(id, ..)| body.position(*id))
            .collect()
    }

    fn replayed(&self, draft: &Draft, positions: &[usize]) -> Result<RoaringBitmap> {
        let with_now = |((_, max_doc, then), &position): (&(Uuid, u32, RoaringBitmap), &usize)| {
            Ok((*max_doc, then.clone(), draft.deletes(position)?))
        };
        let inputs: Vec<_> = self
            .inputs
            .iter()
            .zip(positions)
            .map(with_now)
            .collect::<Result<_>>()?;
        Ok(merge::replay(&inputs))
    }
}
