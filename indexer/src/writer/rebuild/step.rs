//! One step of a job: from one checkpoint to the next.

use std::sync::Arc;
use std::time::Instant;

use super::super::age::may_be_collected;
use super::super::attempts::Told;
use super::super::fit;
use super::super::history::{Maintained, Proposal};
use super::log::{current, touched};
use super::shadow::{Work, Written};
use super::stored::read_after;
use super::{Rebuilder, Stepped, Stop, elsewhere, ended, unchanged};
use crate::config::Step;
use crate::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::format::job::{Job, JobState, OnRefused, Position, Refusal};
use crate::format::manifest::{Cause, Container};
use crate::inbox::{Batch, Operation};
use crate::mapping::IndexSchema;
use crate::numbers::DocCount;
use crate::quote::quoted;
use crate::reindex::{Chunk, Sourced, Sources};
use crate::snapshot::Snapshot;

/// Keys that were touched meanwhile and are carried over in one step, about.
const REPLAY_KEYS: usize = 10_000;
/// Keys that are carried over under the lock at the most, so that writers wait no longer than for a commit.
pub(super) const SWAP_KEYS: usize = 1_000;
/// Bytes of a merge within a step, as a multiple of the memory for merging: it streams.
const MERGE_MEMORIES: u64 = 4;
/// Refusals that are told with their reason; the others are counted.
const REFUSALS_TOLD: usize = 10;

/// How far a step may go.
pub(super) struct Turn {
    /// Bytes of documents.
    pub(super) bytes: usize,
    /// What earlier attempts tell.
    pub(super) told: Told,
    /// When to give up waiting for the lock.
    pub(super) until: Instant,
}

/// What a step adds to the shadow.
#[derive(Default)]
struct Additions {
    /// Operations on keys that the shadow may have.
    changes: Batch,
    /// Documents with keys that it does not have.
    fresh: Vec<Document>,
}

impl Rebuilder {
    pub(super) fn step(
        &self,
        tip: &Arc<Snapshot>,
        job: &Job,
        sources: &dyn Sources,
        work: &mut Option<Work>,
        turn: &Turn,
    ) -> Result<Stepped, Stop> {
        let (bytes, until) = (turn.bytes, turn.until);
        self.history.config.observer.reached(Step::BeforeBundle);
        let work = match work {
            Some(work) if work.is_at(job) => work,
            Some(work) => return Ok(elsewhere(ended(tip, work.id))),
            None => work.insert(Work::open(job, self.history.follower.source(), &turn.told)?),
        };
        let touched = touched(&self.history, job.replayed_to, tip.version(), REPLAY_KEYS)?;
        let mut next = job.clone();
        let mut additions = Additions::default();
        let schema = Arc::clone(work.shadow.schema());
        match (&job.position, &job.status.source) {
            (Position::End, _) => {
                if touched.to == tip.version() && touched.keys.len() <= SWAP_KEYS {
                    return self.swap(job, work, until);
                }
                let keys = touched.keys.iter();
                next.replay(current(tip, keys)?, &schema, &mut additions.changes)?;
                next.replayed_to = touched.to;
            }
            (position, None) => {
                let read = match position {
                    Position::Key(key) => Some(key.as_str()),
                    _ => None,
                };
                // What comes later is read as it is by then.
                let keys = touched
                    .keys
                    .iter()
                    .take_while(|key| Some(key.as_str()) <= read);
                next.replay(current(tip, keys)?, &schema, &mut additions.changes)?;
                next.replayed_to = touched.to;
                next.read_stored(tip, read, bytes, &schema, &mut additions)?;
            }
            (position, Some(url)) => {
                let chunk = next_chunk(work, sources, url, position, bytes)?;
                next.take_chunk(chunk, &schema, &mut additions)?;
            }
        }
        let written = self.extend(
            job.status.id,
            &work.shadow,
            &additions.changes,
            &additions.fresh,
            self.merge_max(work, until),
        )?;
        next.arrive(&written, self.history.clock.wall_ms());
        self.publish_checkpoint(tip, job, next, written, work, until)
    }

    /// Bytes of a merge within a step at the most: what memory holds several times over, and what there is time for.
    fn merge_max(&self, work: &Work, until: Instant) -> u64 {
        let memory = self.history.config.budget.merging_bytes() * MERGE_MEMORIES;
        let time = fit::in_time(
            Some(until),
            self.history.clock.now(),
            !self.history.config.after_answer,
        );
        work.merge_max.min(memory).min(time.unwrap_or(u64::MAX))
    }

    /// Publishes a version that names the next checkpoint.
    fn publish_checkpoint(
        &self,
        base: &Snapshot,
        job: &Job,
        next: Job,
        written: Written,
        work: &mut Work,
        until: Instant,
    ) -> Result<Stepped, Stop> {
        let history = &*self.history;
        let published = history.maintain(Cause::Job, until, |mut draft| {
            let tip = draft.base();
            if !unchanged(tip, job) {
                return Ok(Proposal::Nothing(elsewhere(ended(tip, job.status.id))));
            }
            for path in &written.paths {
                if may_be_collected(history, base, tip, path)? {
                    return Ok(Proposal::Nothing(Stepped::Again));
                }
            }
            draft.job = Some(Box::new(next.clone()));
            Ok(Proposal::Version(draft, ()))
        })?;
        if let Maintained::Nothing(stepped) = published {
            history.remove(&written.paths);
            return Ok(stepped);
        }
        if let Some(before) = &job.checkpoint {
            history.remove([&before.path(job.status.id)]);
            // No version has ever named them, nobody but this job has read them, and it is past them.
            history.remove(&only_of(&work.shadow, &written.shadow));
        }
        work.number = next.status.checkpoints;
        work.shadow = written.shadow;
        Ok(Stepped::Checkpoint(next.status))
    }
}

/// The bundles of `before` that `after` has no more.
fn only_of(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let after = &after.manifest().body.containers;
    let gone = |container: &&Container| !after.iter().any(|kept| kept.id == container.id);
    let before = before.manifest().body.containers.iter().filter(gone);
    before.map(|container| container.id.path()).collect()
}

/// An error of a source, which names the source once.
fn of_source(url: &str, error: &Error) -> String {
    let told = error.to_string();
    if told.contains(url) {
        return told;
    }
    format!("the source {url} cannot be read: {told}")
}

/// The next documents of an external source.
fn next_chunk(
    work: &mut Work,
    sources: &dyn Sources,
    url: &str,
    position: &Position,
    bytes: usize,
) -> Result<Chunk, Stop> {
    let lasting = |error: Error| match error.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::TooLarge => {
            Stop::Job(of_source(url, &error))
        }
        // This process must not read it. The job is left to one that may.
        ErrorKind::Conflict => Stop::Step(error),
        // Nothing of the index: it must not be taken for one of its files.
        _ => Stop::Source(Error::new(ErrorKind::Unavailable, of_source(url, &error))),
    };
    let source = match &mut work.source {
        Some(source) => source,
        None => work.source.insert(sources.open(url).map_err(lasting)?),
    };
    let position = match position {
        Position::Source(position) => Some(position.as_str()),
        _ => None,
    };
    source.next(position, bytes).map_err(lasting)
}

impl Job {
    /// Reads on in the stored documents.
    fn read_stored(
        &mut self,
        tip: &Snapshot,
        after: Option<&str>,
        bytes: usize,
        schema: &IndexSchema,
        additions: &mut Additions,
    ) -> Result<(), Stop> {
        let stored = read_after(tip, after, bytes)?;
        self.status.done += stored.documents.len() as u64;
        let live = tip.manifest().body.live_docs();
        self.status.total = Some(live.get().max(self.status.done));
        for (key, source) in stored.documents {
            match Document::parse(&source, schema) {
                Ok(document) => additions.fresh.push(document),
                Err(error) => self.refuse(key, error.located(1))?,
            }
        }
        self.position = stored.up_to.map_or(Position::End, Position::Key);
        Ok(())
    }

    fn take_chunk(
        &mut self,
        chunk: Chunk,
        schema: &IndexSchema,
        additions: &mut Additions,
    ) -> Result<(), Stop> {
        for text in chunk.documents {
            let parsed = text.map_err(|refusal| (refusal.place, refusal.detail));
            let parsed = parsed.and_then(|Sourced { place, text }| {
                Document::parse(&text, schema).map_err(|error| {
                    let place = match &error.unique_key {
                        Some(key) => format!("{place}, document {}", quoted(key)),
                        None => place,
                    };
                    (place, error.located(1))
                })
            });
            match parsed {
                Ok(document) => {
                    let operations = &mut additions.changes.operations;
                    operations.push(Operation::Upsert(document));
                }
                Err((place, detail)) => self.refuse(place, detail)?,
            }
        }
        self.status.done = chunk.read_bytes;
        self.status.total = chunk.total_bytes;
        self.position = chunk.position.map_or(Position::End, Position::Source);
        Ok(())
    }

    /// Carries over what the index has for some keys now. These were acknowledged while the job ran, so that none may be
    /// left out.
    pub(super) fn replay(
        &mut self,
        current: Vec<(&str, Option<String>)>,
        schema: &IndexSchema,
        changes: &mut Batch,
    ) -> Result<(), Stop> {
        self.status.replayed += DocCount::of_len(current.len());
        for (key, source) in current {
            changes.operations.push(match source {
                None => Operation::Delete(key.to_owned()),
                Some(source) => Operation::Upsert(match Document::parse(&source, schema) {
                    Ok(document) => document,
                    Err(error) => {
                        self.refuse(key.to_owned(), error.located(1))?;
                        Document::accepted(key, &source, schema)
                    }
                }),
            });
        }
        Ok(())
    }

    /// Counts a refused document; one that must not be left out ends the job.
    fn refuse(&mut self, place: String, detail: String) -> Result<(), Stop> {
        if self.on_refused == OnRefused::Fail {
            return Err(Stop::Job(format!(
                "{place}: {detail} (mend the document or the mapping, or start the job anew with \"on_refused\": \"skip\")"
            )));
        }
        self.status.refused += DocCount::ONE;
        if self.status.refusals.len() < REFUSALS_TOLD {
            self.status.refusals.push(Refusal { place, detail });
        }
        Ok(())
    }

    /// Takes note of the checkpoint that was written.
    fn arrive(&mut self, written: &Written, now_ms: u64) {
        self.checkpoint = Some(written.id);
        self.status.checkpoints = written.id.number;
        self.status.documents = written.shadow.manifest().body.live_docs();
        self.status.updated_ms = now_ms;
        if self.position == Position::End {
            self.status.state = JobState::Replaying;
        }
    }
}
