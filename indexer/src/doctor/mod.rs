//! Checks on a mount what `STORAGE.md`, section 2, assumes of a file system.
//!
//! An [`Examination`] makes the calls of the index in a scratch folder of its own, together with a [`Partner`]: a second
//! process, or a process on another machine. The partner carries out [`Errand`]s there, and the checks compare what both
//! sides see. No index is touched. The scratch folder has a name that no index has and is removed at the end. After a
//! crash, the sweep of the root folder removes it.

mod assumption;
mod checks;
mod contest;
mod errand;
mod evidence;
mod in_process;
mod latency;
mod mount_point;
mod page;
mod performer;
mod report;
mod session;

pub use contest::Contest;
pub use errand::{CallFailure, Companion, Errand, Order, PageAccess, Partner, Yield};
pub use evidence::Judgement;
pub use in_process::InProcess;
pub use latency::Latency;
pub use mount_point::MountPoint;
pub use performer::Performer;
pub use report::{DoctorReport, Finding};

use std::sync::Arc;
use std::time::Duration;

use self::session::Session;
use crate::error::Result;
use crate::layout;
use crate::mount::{Mount, MountFailure, RootFolder, tree};
use crate::world::World;

/// How long a check waits for a name that was looked up too early. Linux remembers a missing name for 30 to 60 s
/// (`acdirmin`, `acdirmax`), and a busy machine takes longer.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The examination of the mount that a root folder lies on.
#[derive(Debug)]
pub struct Examination<'a> {
    root: &'a RootFolder,
    peer: Option<&'a dyn Partner>,
    world: World,
    patience: Duration,
}

impl<'a> Examination<'a> {
    /// Examines the mount of `root`.
    pub fn of(root: &'a RootFolder) -> Self {
        Self {
            root,
            peer: None,
            world: World::default(),
            patience: PATIENCE,
        }
    }

    /// Compares with what another machine sees instead of a second process here.
    #[must_use]
    pub fn with_peer(mut self, peer: &'a dyn Partner) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Waits for a name that was looked up too early for no longer than `patience`.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Takes time and identities from `world`.
    #[must_use]
    pub fn by(mut self, world: World) -> Self {
        self.world = world;
        self
    }

    /// Makes every check. `companion` is a second process of this machine; it is killed in the last check.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`] if the scratch folder cannot be made or the partner does not answer. An
    /// assumption that does not hold is no error: the report says so.
    pub fn run(self, companion: &dyn Companion) -> Result<DoctorReport> {
        let path = self.root.path();
        let root = self.root.here()?;
        let folder = layout::doctor_folder(self.world.ids.next());
        let named = |failure: MountFailure| failure.at(path.join(&folder));
        root.make_dir(&folder).map_err(named)?;
        let examined = self.examine(&root, &folder, companion);
        // A file that it holds open would stay behind on NFS, under another name.
        let killed = companion.kill();
        let removed = tree::remove(&*root, &folder);
        let mut report = examined?;
        killed?;
        report.left_behind = removed.err().map(|failure| named(failure).to_string());
        Ok(report)
    }

    fn examine(
        &self,
        root: &Arc<dyn Mount>,
        folder: &str,
        companion: &dyn Companion,
    ) -> Result<DoctorReport> {
        let path = self.root.path();
        let entered = root.enter(folder);
        let scratch = entered.map_err(|failure| failure.at(path.join(folder)))?;
        let mount = MountPoint::of(path);
        let started = self.world.clock.now();
        let session = Session {
            folder,
            scratch: &*scratch,
            peer: self.peer,
            companion,
            clock: &*self.world.clock,
            ids: &*self.world.ids,
            patience: self.patience,
            mount: mount.as_ref(),
        };
        let findings = session.run()?;
        let latencies = latency::measure(&*scratch, &*self.world.clock);
        let took = self.world.clock.now().saturating_duration_since(started);
        Ok(DoctorReport {
            root: path.to_path_buf(),
            seen_from: session.partner().name(),
            other_machine: self.peer.is_some(),
            mount,
            findings,
            latencies,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            left_behind: None,
        })
    }
}
