//! A commit: a group of batches becomes one version.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use super::apply::Merging;
use super::draft::Draft;
use super::group::Committer;
use super::history::Proposal;
use super::resolve::resolve;
use crate::config::Step;
use crate::error::Result;
use crate::format::manifest::{Applied, Counts};
use crate::inbox::Batch;
use crate::layout::BatchId;
use crate::numbers::Version;
use crate::snapshot::Snapshot;

/// A batch on its way into a commit.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: BatchId,
    pub(super) batch: Arc<Batch>,
    /// Whether it lies in the inbox.
    pub(super) stored: bool,
}

/// The batches of a commit, and what each did.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) members: Vec<Member>,
    pub(super) counts: Vec<Counts>,
    /// When work on it began.
    pub(super) began: Instant,
}

impl Committer {
    /// Applies `members`, in order, to a draft. Where they change nothing, nothing has to be published.
    pub(super) fn commit(
        &self,
        mut draft: Draft,
        members: Vec<Member>,
    ) -> Result<Proposal<Group, Option<Group>>> {
        let history = &self.history;
        let began = history.clock.now();
        history.config.observer.reached(Step::BeforeBundle);
        let base = Arc::clone(draft.base());
        let read: Vec<Cow<'_, Batch>> = members
            .iter()
            .map(|member| member.batch.read_with(base.schema()))
            .collect();
        let batches: Vec<&Batch> = read.iter().map(|batch| &**batch).collect();
        let mut resolution = resolve(&base, &batches, history.clock.wall_ms())?;
        let counts = std::mem::take(&mut resolution.counts);
        let nothing = resolution.is_empty() && may_pass(&base, &members);
        if !nothing {
            history.apply(&mut draft, &resolution, &[], Merging::ByPolicy)?;
            draft.applied = applied(draft.version(), &members, &counts);
            let clocks = members.iter().map(|member| member.id.clock);
            draft.batch_clock = clocks.max().unwrap_or(0);
            if base.manifest().body.job.is_some() {
                draft.touched = std::mem::take(&mut resolution.touched);
            }
        }
        drop(resolution);
        drop(read);
        let group = Group {
            members,
            counts,
            began,
        };
        Ok(match nothing {
            true => Proposal::Nothing(Some(group)),
            false => Proposal::Version(draft, group),
        })
    }
}

fn applied(version: Version, members: &[Member], counts: &[Counts]) -> Vec<Applied> {
    let members = members.iter().zip(counts);
    members
        .map(|(member, &counts)| Applied {
            batch: member.id,
            version,
            counts,
            in_inbox: member.stored,
        })
        .collect()
}

/// Whether a commit that changes nothing need not be published. A batch out of the inbox is published in any case, since
/// only the manifest says that it was applied: it would be applied again if its file stayed. So is one that comes
/// while a job runs: what it deletes may be in what the job builds.
fn may_pass(base: &Snapshot, members: &[Member]) -> bool {
    base.manifest().body.job.is_none() && members.iter().all(|member| !member.stored)
}
