//! Putting changes into a draft: deletes, then new segments, merged with small ones and packed.

use std::sync::Arc;

use super::ahead::{Ahead, Input};
use super::attempts::{self, Attempt, Work};
use super::draft::{Draft, Kind};
use super::fit::{self, Fit, Size};
use super::history::History;
use super::merge::{self, candidates, inputs};
use super::policy::{self, Candidate};
use super::resolve::Resolution;
use super::scratch::RawSegment;
use super::{build, pack};
use crate::document::Document;
use crate::error::Result;
use crate::numbers::DocCount;

/// Which small segments are merged with the new ones.
#[derive(Clone, Copy, Debug)]
pub(super) enum Merging {
    /// As many as a commit may copy while others wait for it.
    ByPolicy,
    /// Up to so many bytes.
    UpTo(u64),
    /// None.
    Never,
}

impl Merging {
    /// The bytes of a merge at most, in a version with so many segments of a kind.
    fn limit(self, kind: Kind, segments: usize) -> u64 {
        match (self, kind) {
            (Self::ByPolicy, Kind::Documents) => policy::inline_limit(segments),
            (Self::ByPolicy, Kind::Ledger) => policy::INLINE_MAX,
            (Self::UpTo(limit), _) => limit,
            (Self::Never, _) => 0,
        }
    }
}

impl History {
    /// Puts what batches came to into a draft, and `fresh` documents whose keys the draft's content certainly does not
    /// have. What this writes is durable when it returns.
    pub(super) fn apply(
        &self,
        draft: &mut Draft,
        resolution: &Resolution<'_>,
        fresh: &[Document],
        merging: Merging,
    ) -> Result<()> {
        for (&position, docs) in &resolution.deletes {
            draft.delete(position, docs)?;
        }
        let documents: Vec<&Document> = resolution.documents.iter().copied().chain(fresh).collect();
        let records: Vec<&Document> = resolution.records.iter().collect();
        let mut segments = self.build(draft, Kind::Documents, &documents, merging)?;
        segments.append(&mut self.build(draft, Kind::Ledger, &records, merging)?);
        if segments.is_empty() {
            return Ok(());
        }
        let (mount, ids) = (&**self.mount(), &*self.ids);
        let packed = match draft.stands_alone() {
            true => pack::bundle(&segments, mount, ids, draft.version())?,
            false => pack::pack(&segments, mount, ids, draft.name())?,
        };
        draft.add_own(packed);
        Ok(())
    }

    fn build(
        &self,
        draft: &mut Draft,
        kind: Kind,
        documents: &[&Document],
        merging: Merging,
    ) -> Result<Vec<RawSegment>> {
        let memory = self.config.writer_memory_bytes;
        let schema = Arc::clone(draft.schema(kind));
        let mut segments = build::build(documents, &schema, memory, &self.config.budget)?;
        let limit = merging.limit(kind, draft.kept(kind).count() + segments.len());
        if limit > 0 {
            self.merge_inline(draft, &mut segments, kind, limit)?;
        }
        Ok(segments)
    }

    /// Merges small segments of the base and new ones of the same kind, of at most `limit` bytes.
    fn merge_inline(
        &self,
        draft: &mut Draft,
        segments: &mut Vec<RawSegment>,
        kind: Kind,
        limit: u64,
    ) -> Result<()> {
        let kept: Vec<usize> = draft.kept(kind).collect();
        let mut candidates = candidates(draft, &kept)?;
        candidates.extend(segments.iter().map(|segment| Candidate {
            bytes: segment.bytes(),
            docs: segment.max_doc.into(),
            deleted: DocCount::ZERO,
        }));
        let fit = Fit {
            budget: &self.config.budget,
            in_time: None,
            unharmed: None,
        };
        let mut chosen = policy::choose(&candidates, limit);
        chosen.truncate(fit.inputs());
        if chosen.is_empty() {
            return Ok(());
        }
        let schema = Arc::clone(draft.schema(kind));
        let ahead = Ahead::of(chosen.len(), &self.config.budget);
        let (old, new): (Vec<usize>, Vec<usize>) = chosen
            .into_iter()
            .partition(|&position| position < kept.len());
        let old: Vec<usize> = old.iter().filter_map(|&at| kept.get(at).copied()).collect();
        let mut inputs = inputs(draft, &old, draft.deletes_of(&old)?, &schema, &ahead)?;
        let mut rest = Vec::new();
        for (position, segment) in segments.drain(..).enumerate() {
            if new.contains(&(position + kept.len())) {
                inputs.push(Input::of_raw(&segment, &schema)?);
            } else {
                rest.push(segment);
            }
        }
        let size = Size::of_inputs(&inputs);
        let _attempt = self.record_merge(size.bytes)?;
        let place = fit::place(&size, &self.config.budget, self.mount(), &self.ids);
        rest.extend(merge::merge(&inputs, &schema, place)?);
        *segments = rest;
        old.into_iter().for_each(|position| draft.remove(position));
        Ok(())
    }

    /// Writes a merge down before it begins, if it is large.
    pub(super) fn record_merge(&self, bytes: u64) -> Result<Option<Attempt>> {
        if bytes < attempts::MERGE_FROM {
            return Ok(None);
        }
        let memory = self.config.budget.memory_bytes();
        attempts::begin(self.mount(), &*self.ids, Work::Merge, bytes, memory).map(Some)
    }
}
