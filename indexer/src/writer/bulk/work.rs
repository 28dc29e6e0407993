//! What the threads of a load do: build, merge, and decide when to publish.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::ahead::Ahead;
use super::super::build::{build_in_turn, place};
use super::super::draft::{Draft, Kind};
use super::super::fit::{self, Size};
use super::super::merge::{self, inputs};
use super::super::pack;
use super::super::policy::FAN_IN;
use super::super::scratch::RawSegment;
use super::keys::replaced;
use super::pile::{Part, Ticket};
use super::{Cut, Load, PUBLISH_BYTES};
use crate::config::Step;
use crate::document::Document;
use crate::error::Result;
use crate::format::manifest::Cause;
use crate::format::section::Sections;
use crate::numbers::DocCount;
use crate::snapshot::Snapshot;

/// Segments that a load ends with at the most: less than a full tier, so that nothing is due for merging afterwards.
const SEGMENTS_MAX: usize = FAN_IN - 1;
/// Bytes that one merge reads at the most: a step of some minutes, so that publishing in time need not wait longer.
const MERGE_BYTES: u64 = PUBLISH_BYTES;

impl Load {
    /// Makes a segment of what was gathered, merges what is due, and publishes if there is much.
    pub(super) fn work(&self, cut: Cut) -> Result<()> {
        self.build(cut)?;
        while self.merge_due()? {}
        if self.lock().pile.bytes() >= PUBLISH_BYTES {
            self.publish_ready()?;
        }
        Ok(())
    }

    /// Builds and publishes what there is: it has been waiting long enough.
    pub(super) fn flush(&self) -> Result<()> {
        let cut = {
            let mut state = self.lock();
            let now = self.history.clock.now();
            (!state.gathered.is_empty()).then(|| state.cut(now))
        };
        if let Some(cut) = cut {
            self.build(cut)?;
        }
        let mut state = self.lock();
        while !state.pile.is_empty() && !state.pile.is_first_ready() && state.failed.is_none() {
            state = self.wait(state);
        }
        state.check()?;
        drop(state);
        self.publish_ready()
    }

    /// Builds, merges and publishes everything.
    pub(super) fn finish(&self) -> Result<()> {
        let mut state = self.lock();
        state.check()?;
        let small = state.pile.is_empty() && !state.publishing && state.report.publications == 0;
        if self.ordinary || small {
            drop(state);
            return self.commit_gathered();
        }
        let now = self.history.clock.now();
        let cut = (!state.gathered.is_empty()).then(|| state.cut(now));
        drop(state);
        if let Some(cut) = cut {
            self.build(cut)?;
        }
        loop {
            if self.merge_due()? || self.merge_surplus()? {
                continue;
            }
            let state = self.lock();
            state.check()?;
            if !state.pile.is_busy() && !state.publishing {
                break;
            }
            drop(self.wait(state));
        }
        self.publish_ready()
    }

    fn build(&self, cut: Cut) -> Result<()> {
        let mut state = self.lock();
        while state.building >= self.threads && state.failed.is_none() {
            state = self.wait(state);
        }
        state.check()?;
        state.building += 1;
        drop(state);
        let built = self.build_parts(&cut.documents);
        let mut state = self.lock();
        state.building -= 1;
        self.changed.notify_all();
        state.pile.fill(cut.ticket, built?);
        Ok(())
    }

    fn build_parts(&self, documents: &[Document]) -> Result<Vec<Part>> {
        self.history.config.observer.reached(Step::BeforeBundle);
        let schema = self.empty.schema();
        // The mapping may have been changed since they were read.
        let read: HashMap<usize, Document> = documents
            .iter()
            .enumerate()
            .filter(|(_, document)| !document.was_read_by(schema))
            .map(|(at, document)| {
                let (key, source) = (document.unique_key(), document.source());
                (at, Document::accepted(key, source, schema))
            })
            .collect();
        let mut last = HashMap::with_capacity(documents.len());
        for (at, document) in documents.iter().enumerate() {
            last.insert(document.unique_key(), at);
        }
        let kept: Vec<&Document> = documents
            .iter()
            .enumerate()
            .filter(|(at, document)| last.get(document.unique_key()) == Some(at))
            .map(|(at, document)| read.get(&at).unwrap_or(document))
            .collect();
        let memory = self.memory_for_a_thread();
        let bytes = kept.iter().map(|document| document.source().len()).sum();
        let place = place(bytes, memory, &self.history.config.budget);
        let segments = build_in_turn(&kept, schema, memory, &place)?;
        let mut more = DocCount::of_len(documents.len() - kept.len());
        let mut parts = Vec::new();
        for segment in segments {
            let documents = DocCount::from(segment.max_doc) + std::mem::take(&mut more);
            parts.push(self.bundle(&segment, documents)?);
        }
        Ok(parts)
    }

    fn bundle(&self, segment: &RawSegment, documents: DocCount) -> Result<Part> {
        let mount = self.history.mount();
        let (segment, ids) = (std::slice::from_ref(segment), &*self.history.ids);
        let packed = pack::bundle(segment, &**mount, ids, self.version)?;
        Ok(Part { packed, documents })
    }

    fn merge_due(&self) -> Result<bool> {
        let due = self.lock().pile.take_due(MERGE_BYTES);
        due.map_or(Ok(false), |(ticket, parts)| self.merge(ticket, parts))
    }

    fn merge_surplus(&self) -> Result<bool> {
        let surplus = self.lock().pile.take_surplus(SEGMENTS_MAX, MERGE_BYTES);
        surplus.map_or(Ok(false), |(ticket, parts)| self.merge(ticket, parts))
    }

    fn merge(&self, ticket: Ticket, parts: Vec<Part>) -> Result<bool> {
        self.history.config.observer.reached(Step::BeforeBundle);
        let built = self.open(&parts)?;
        let mut draft = Draft::new(Arc::clone(&built), Cause::Merge, &*self.history.ids);
        for (position, docs) in replaced(&built, |_| Ok(()))? {
            draft.delete(position, &docs)?;
        }
        let kept: Vec<usize> = draft.kept(Kind::Documents).collect();
        let budget = &self.history.config.budget;
        let mount = self.history.mount();
        let (ahead, schema) = (Ahead::of(kept.len(), budget), draft.schema(Kind::Documents));
        let inputs = inputs(&draft, &kept, draft.deletes_of(&kept)?, schema, &ahead)?;
        let place = fit::place(&Size::of_inputs(&inputs), budget, mount, &self.history.ids);
        let merged = merge::merge(&inputs, built.schema(), place)?;
        drop(inputs);
        let documents = parts.iter().map(|part| part.documents).sum();
        let merged = merged.map(|segment| self.bundle(&segment, documents));
        let merged = merged.transpose()?;
        // Nobody else has ever known these files. They are closed first, since NFS renames what is removed while it is open.
        drop((draft, built));
        self.remove(&parts);
        self.lock().pile.fill(ticket, merged.into_iter().collect());
        self.changed.notify_all();
        Ok(true)
    }

    /// The segments of some parts, in their order, as an index of their own.
    pub(super) fn open(&self, parts: &[Part]) -> Result<Arc<Snapshot>> {
        let mut draft = Draft::new(Arc::clone(&self.empty), Cause::Commit, &*self.history.ids);
        draft.stand_alone();
        for part in parts {
            draft.add(part.packed.clone(), Vec::new());
        }
        let (manifest, _) = draft.finish(self.history.stamp())?;
        let source = self.history.follower.source();
        let opened = Snapshot::open(manifest, source, None, &Sections::default())?;
        Ok(Arc::new(opened))
    }

    /// Removes bundles that no version names.
    pub(super) fn remove(&self, parts: &[Part]) {
        let paths: Vec<String> = parts.iter().map(Part::path).collect();
        self.history.remove(&paths);
    }
}
