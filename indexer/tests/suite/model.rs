//! Random interleavings of several writers, readers, crashes, merges and collections, against a map.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer_indexer::clock::SkewedClock;
use aquifer_indexer::config::Config;
use aquifer_indexer::index::{Counts, Index, Operation, Pending};
use aquifer_indexer::layout::{self, ManifestName};
use aquifer_indexer::mount::{Fault, FaultyMount};
use aquifer_indexer::numbers::Version;
use aquifer_indexer::reindex::{JobState, NoSources, ReindexRequest};
use aquifer_indexer::world::World;
use aquifer_indexer::{ErrorKind, Result};
use proptest::prelude::*;

use crate::rig::{
    Contents, Folder, applied, assert_clean, config, contents, delete, document, open, post, soon,
};

const WRITERS: usize = 3;
const READERS: usize = 2;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How many milliseconds the wall clocks of the writers are ahead where they disagree.
const CLOCKS: [i64; WRITERS] = [0, DAY_MS, -DAY_MS];
const FAULTS: [Fault; 5] = [
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::CrashDuring,
    Fault::Fail(5),
    Fault::FailAfter(5),
];

/// What a writer does.
#[derive(Clone, Debug)]
enum Work {
    /// Upserts (`true`) and deletes of keys.
    Post(Vec<(u8, bool)>),
    /// The same, only into the inbox.
    Accept(Vec<(u8, bool)>),
    Drain,
    Merge,
    Compact,
    /// Starts a job that builds the index anew.
    Reindex,
    /// Carries it on, to the end or for a step.
    CarryOn {
        to_the_end: bool,
    },
    Cancel,
    /// Without retention, or with hours of it.
    Collect {
        all: bool,
    },
}

#[derive(Clone, Debug)]
enum Action {
    /// A writer works; `fault` hits one of its next changing operations.
    Work {
        writer: usize,
        work: Work,
        fault: Option<(usize, u64)>,
    },
    /// A reader that has been there for long looks.
    Warm(usize),
    /// A reader that has just started looks.
    Cold,
    /// A writer that has slept since before a collection links a version whose link is gone, to a manifest that is gone, and
    /// dies.
    Ghost,
}

fn operations() -> impl Strategy<Value = Vec<(u8, bool)>> {
    prop::collection::vec((0_u8..12, prop::bool::weighted(0.7)), 1..20)
}

fn action() -> impl Strategy<Value = Action> {
    let work = prop_oneof![
        6 => operations().prop_map(Work::Post),
        2 => operations().prop_map(Work::Accept),
        1 => Just(Work::Drain),
        1 => Just(Work::Merge),
        1 => Just(Work::Compact),
        2 => Just(Work::Reindex),
        3 => any::<bool>().prop_map(|to_the_end| Work::CarryOn { to_the_end }),
        1 => Just(Work::Cancel),
        2 => any::<bool>().prop_map(|all| Work::Collect { all }),
    ];
    let fault = prop::option::weighted(0.4, (0..FAULTS.len(), 0_u64..12));
    prop_oneof![
        6 => (0..WRITERS, work, fault)
            .prop_map(|(writer, work, fault)| Action::Work { writer, work, fault }),
        2 => (0..READERS).prop_map(Action::Warm),
        2 => Just(Action::Cold),
        1 => Just(Action::Ghost),
    ]
}

/// What the index may hold. Batches that were accepted, or whose fate nobody learnt, follow in their
/// order upon one of `bases`, and have or have not been applied yet.
struct Model {
    bases: BTreeSet<Contents>,
    pending: Vec<(Vec<Operation>, bool)>,
    version: Version,
}

impl Model {
    fn possible(&self) -> BTreeSet<Contents> {
        let mut possible = self.bases.clone();
        for (batch, _) in &self.pending {
            let more: Vec<_> = possible
                .iter()
                .map(|contents| applied(contents, batch))
                .collect();
            possible.extend(more);
        }
        possible
    }

    /// A commit was acknowledged: everything accepted before it has been applied.
    fn committed(&mut self, batch: &[Operation]) {
        self.settled(batch);
        self.pending.clear();
    }

    /// A batch that changed nothing was acknowledged: everything accepted before it has been applied. It need not have made
    /// a version, so that what nobody learnt stays open.
    fn settled(&mut self, batch: &[Operation]) {
        let mut open = Vec::new();
        for (batch, accepted) in std::mem::take(&mut self.pending) {
            let with: BTreeSet<_> = self
                .bases
                .iter()
                .map(|contents| applied(contents, &batch))
                .collect();
            if accepted {
                self.bases = with;
            } else {
                self.bases.extend(with);
                open.push((batch, accepted));
            }
        }
        self.pending = open;
        self.bases = self
            .bases
            .iter()
            .map(|contents| applied(contents, batch))
            .collect();
    }

    /// A reader tells. None ever goes back.
    fn seen(&mut self, who: &str, index: &Index) {
        let (seen, version) = contents(index).unwrap_or_else(|error| panic!("{who}: {error}"));
        assert!(
            version >= self.version,
            "{who}: {version} after {}",
            self.version
        );
        self.version = version;
        assert!(
            self.possible().contains(&seen),
            "{who}: {seen:?} is none of {:?}",
            self.possible()
        );
        if self.pending.is_empty() {
            self.bases = BTreeSet::from([seen.clone()]);
        }
        for (key, content) in seen.iter().take(2) {
            let found = index.get(key, None, soon()).unwrap().unwrap();
            assert!(
                found.source.contains(&format!("\"{content}\"")),
                "{who}: {}",
                found.source
            );
        }
        assert!(index.get("nobody", None, soon()).unwrap().is_none());
    }
}

/// Whether a batch that did this changed anything: a key that comes and goes in it leaves nothing behind.
fn changed(batch: &[Operation], counts: Counts) -> bool {
    let last: BTreeMap<&str, bool> = batch
        .iter()
        .filter_map(|operation| Some((operation.unique_key()?, operation.document().is_some())))
        .collect();
    last.into_values().any(|upsert| upsert) || counts.deleted > counts.created
}

struct Story {
    folder: Folder,
    writers: Vec<(FaultyMount, Index)>,
    readers: Vec<Index>,
    model: Model,
    posts: usize,
    /// How many milliseconds the wall clock of each writer is ahead.
    clocks: [i64; WRITERS],
}

impl Story {
    fn new(clocks: [i64; WRITERS]) -> Self {
        let folder = Folder::new();
        let readers = (0..READERS).map(|_| folder.reader()).collect();
        let bases = BTreeSet::from([Contents::new()]);
        let model = Model {
            bases,
            pending: Vec::new(),
            version: Version::NONE,
        };
        let mut story = Self {
            folder,
            writers: Vec::new(),
            readers,
            model,
            posts: 0,
            clocks,
        };
        story.writers = (0..WRITERS)
            .map(|writer| story.process(writer, None, true))
            .collect();
        story
    }

    /// The world of a writer.
    fn world(&self, writer: usize) -> World {
        World::at(Arc::new(SkewedClock::new(self.clocks[writer])))
    }

    /// A process that has just started in the place of a writer.
    fn process(
        &self,
        writer: usize,
        fault: Option<(usize, u64)>,
        all: bool,
    ) -> (FaultyMount, Index) {
        let (fault, target) =
            fault.map_or((Fault::CrashBefore, u64::MAX), |(f, at)| (FAULTS[f], at));
        let mount = FaultyMount::new(self.folder.mount(), target, fault);
        let retention = if all {
            Duration::ZERO
        } else {
            Duration::from_secs(7200)
        };
        let index = open(
            Arc::new(mount.clone()),
            &Config {
                retention,
                world: self.world(writer),
                ..config()
            },
        );
        (mount, index)
    }

    /// Each content is another, so that a batch applied twice shows.
    fn batch(&mut self, operations: &[(u8, bool)]) -> Vec<Operation> {
        self.posts += 1;
        let operation = |&(key, upsert): &(u8, bool)| match upsert {
            true => document(&format!("k{key}"), &format!("post {} of {key}", self.posts)),
            false => delete(&format!("k{key}")),
        };
        operations.iter().map(operation).collect()
    }

    fn work(&mut self, writer: usize, work: &Work, fault: Option<(usize, u64)>) {
        if fault.is_some() || matches!(work, Work::Collect { .. }) {
            let all = matches!(work, Work::Collect { all: true });
            self.writers[writer] = self.process(writer, fault, all);
        }
        let (mount, index) = &self.writers[writer];
        let mount = mount.clone();
        let result = match work {
            Work::Post(operations) => {
                let operations = operations.clone();
                let batch = self.batch(&operations);
                let result = post(&self.writers[writer].1, batch.clone());
                match &result {
                    Ok((version, counts)) => {
                        let changed = changed(&batch, *counts);
                        if changed {
                            self.model.committed(&batch);
                        } else {
                            self.model.settled(&batch);
                        }
                        let before = self.model.version;
                        let least = if changed { before.next() } else { before };
                        assert!(*version >= least);
                        self.model.version = *version;
                    }
                    Err(_) => self.model.pending.push((batch, false)),
                }
                result.map(drop)
            }
            Work::Accept(operations) => {
                let operations = operations.clone();
                let batch = self.batch(&operations);
                let world = self.world(writer);
                let result = self
                    .folder
                    .lay_in(world, Arc::new(mount.clone()), batch.clone());
                self.model.pending.push((batch, result.is_ok()));
                result.map(drop)
            }
            Work::Drain => {
                let result = index.drain(soon());
                // With nothing accepted it commits nothing, and what nobody learnt stays open.
                if result.is_ok() && self.model.pending.iter().any(|(_, accepted)| *accepted) {
                    self.model.committed(&[]);
                }
                result
            }
            Work::Merge => index.merge(None).map(drop),
            Work::Compact => index.compact(None).map(drop),
            Work::Reindex => match index.start_reindex(&ReindexRequest::default(), soon()) {
                Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
                started => started.map(drop),
            },
            Work::CarryOn { to_the_end } => carry_on(index, *to_the_end),
            Work::Cancel => match index.pending() {
                Ok(Pending { job: Some(id), .. }) => match index.cancel_job(id, soon()) {
                    // What was held is older than the end of that job, and five other jobs.
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                    cancelled => cancelled.map(drop),
                },
                pending => pending.map(drop),
            },
            Work::Collect { .. } => index.gc().map(drop),
        };
        assert!(result.is_ok() || mount.hit(), "{work:?}: {result:?}");
        if mount.hit() {
            self.writers[writer] = self.process(writer, None, true);
        }
        mount.arm(u64::MAX);
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Work {
                writer,
                work,
                fault,
            } => self.work(*writer, work, *fault),
            Action::Warm(reader) => self.model.seen("a warm reader", &self.readers[*reader]),
            Action::Cold => self.model.seen("a cold reader", &self.folder.reader()),
            Action::Ghost => self.haunt(),
        }
        self.folder.assert_rules(&format!("{action:?}"));
    }

    /// Links a version of the past as a writer does that slept for too long. Where every link is there, it comes to nothing.
    fn haunt(&self) {
        let names = self.folder.names(layout::MANIFESTS);
        let links = names
            .iter()
            .filter_map(|name| layout::parse_version_link(name));
        let links: BTreeSet<Version> = links.collect();
        let newest = links.last().copied().unwrap_or(Version::FIRST);
        let gone = Version::NONE.later_up_to(newest);
        let gone: Vec<Version> = gone.filter(|version| !links.contains(version)).collect();
        let Some(&version) = gone.get(self.posts % gone.len().max(1)) else {
            return;
        };
        let nonce = uuid::Uuid::from_u128(self.posts as u128);
        let name = ManifestName { version, nonce };
        let link = self.folder.path().join(layout::version_link(version));
        std::os::unix::fs::symlink(name.to_string(), link).unwrap();
    }

    /// In the end everybody agrees, and nothing is left lying.
    fn finish(&mut self) {
        let last = vec![document("last", "last")];
        let index = self.folder.open(&config());
        // First, since it announces a version whose writer died before it did so: a job that began there is known from now on.
        post(&index, last.clone()).unwrap();
        self.model.committed(&last);
        carry_on(&index, true).unwrap();
        self.model.seen("a cold reader", &self.folder.reader());
        for reader in &self.readers {
            self.model.seen("a warm reader", reader);
        }
        assert_eq!(self.model.bases.len(), 1);
        assert_clean(&index);
        self.folder.assert_swept(&index);
        self.model.seen("a cold reader", &self.folder.reader());
        assert_clean(&self.folder.reader());
    }
}

/// A job either gets on or ends well: nothing here makes it fail for good.
fn carry_on(index: &Index, to_the_end: bool) -> Result<()> {
    let until = if to_the_end {
        soon()
    } else {
        Instant::now() + Duration::from_micros(50)
    };
    let status = index.carry_on(&NoSources, until, &mut |_| {})?;
    if let Some(status) = status {
        assert_ne!(status.state, JobState::Failed, "{status:?}");
        assert!(!to_the_end || !status.state.is_running(), "{status:?}");
    }
    Ok(())
}

fn run(actions: &[Action]) {
    // Whether the clocks disagree follows from the actions, so that a case which failed is the same again.
    let clocks = match actions.len() % 2 {
        0 => [0; WRITERS],
        _ => CLOCKS,
    };
    let mut story = Story::new(clocks);
    for action in actions {
        story.act(action);
    }
    story.finish();
}

/// `PROPTEST_CASES` asks for more; a failure prints its seed and is kept beside this file.
fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(300),
        max_shrink_iters: 400,
        failure_persistence: Some(Box::new(
            prop::test_runner::FileFailurePersistence::WithSource("regressions"),
        )),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]
    #[test]
    fn everything_acknowledged_is_there_once_whatever_happens(
        actions in prop::collection::vec(action(), 1..25)
    ) {
        run(&actions);
    }
}
