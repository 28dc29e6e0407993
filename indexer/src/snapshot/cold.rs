//! The cold start: from HEAD with one read, or from a listing of the manifests.

use std::sync::Arc;

use super::Snapshot;
use super::follow::{Follower, no_index};
use super::load::Loaded;
use super::tip::{Start, Tip};
use crate::concurrent;
use crate::error::{Error, ErrorKind, Result};
use crate::format::head::{self, Head};
use crate::format::manifest::Manifest;
use crate::format::mark::MarkPage;
use crate::format::section::Sections;
use crate::layout;
use crate::mount::{Access, FailureClass, MountFailure, MountFile};
use crate::numbers::Version;

/// Manifests to try, newest first, when HEAD is of no use.
const LISTED_TRIES: usize = 16;
/// Attempts at a cold start while files are being collected under it.
const COLD_TRIES: usize = 4;

impl Follower {
    /// Opens an index that is not open yet, as far as HEAD knows it. Whether that is the newest version is
    /// asked by the first [`Self::open`], alongside its reads: a round less until the first answer.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no index; [`ErrorKind::Corrupt`],
    /// [`ErrorKind::Unavailable`].
    pub fn open_from_hint(&self) -> Result<()> {
        match self.held() {
            Some(_) => Ok(()),
            None => self.start().map(drop),
        }
    }

    /// Finds out what [`Self::open_from_hint`] left open, if it did.
    ///
    /// # Errors
    /// Like [`Self::newest`].
    pub fn confirm(&self) -> Result<()> {
        if matches!(*self.tip(), Tip::Checked(_)) {
            return Ok(());
        }
        self.newest().map(drop)
    }

    /// Holds a snapshot to start from. Of many requests at once one fetches it for all.
    pub(super) fn start(&self) -> Result<Arc<Snapshot>> {
        let _turn = self.moving();
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let from = self.tip().start();
        let mut attempt = match from {
            Start::Head => self.cold_from_head(),
            Start::Listing => self.cold_from_listing(),
        };
        for _ in 1..COLD_TRIES {
            match attempt {
                Err(error) if error.is_stale() => attempt = self.cold_from_listing(),
                other => return other,
            }
        }
        attempt
    }

    fn cold_from_head(&self) -> Result<Arc<Snapshot>> {
        // HEAD names files in both.
        for folder in [layout::MANIFESTS, layout::BUNDLES] {
            self.source.mount.anticipate(folder);
        }
        let mut head = match self.read_head() {
            Ok(head) => head,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
            Err(error) => {
                tracing::info!(%error, "HEAD cannot be read: listing the manifests");
                return self.cold_from_listing();
            }
        };
        let Some(manifest) = head.manifest.take() else {
            let (manifest, page, file) = self.read_manifest(head.id)?;
            let sections = head.sections(&manifest)?;
            return self.cold_from(manifest, page, file, sections);
        };
        self.applied.remember(&manifest.body.applied);
        let sections = head.sections(&manifest)?;
        drop(head);
        let snapshot = Snapshot::open(manifest, &self.source, None, &sections)?;
        let snapshot = self.undeleted(snapshot)?;
        self.change_tip().install_hint(&snapshot);
        Ok(snapshot)
    }

    fn cold_from_listing(&self) -> Result<Arc<Snapshot>> {
        let (manifest, page, file) = self.newest_listed()?;
        self.applied.remember(&manifest.body.applied);
        self.cold_from(manifest, page, file, Sections::default())
    }

    fn cold_from(
        &self,
        manifest: Manifest,
        page: MarkPage,
        file: Arc<dyn MountFile>,
        mut sections: Sections,
    ) -> Result<Arc<Snapshot>> {
        let (manifest, file) = match page.successor {
            None => (manifest, file),
            Some(next) => {
                sections.follow(&manifest)?;
                self.follow(next, &mut sections)?
            }
        };
        let snapshot = Snapshot::open(manifest, &self.source, None, &sections)?;
        self.install_checked(snapshot, file)
    }

    pub(super) fn newest_listed(&self) -> Result<Loaded> {
        let names = self.source.mount.list(layout::MANIFESTS).map_err(|error| {
            if error.class() == FailureClass::Missing {
                return no_index();
            }
            error.into()
        })?;
        let mut versions: Vec<Version> = names
            .iter()
            .filter_map(|name| layout::parse_version_link(name))
            .collect();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        let mut failure = no_index();
        for version in versions.into_iter().take(LISTED_TRIES) {
            match self.read_version(version) {
                Ok(newest) => return self.published(newest),
                // A damaged newest manifest must not be passed over silently: what it
                // acknowledged would be missing from the answers.
                Err(error) if error.kind() == ErrorKind::Corrupt => return Err(error),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The newest version that is published: `newest`, unless its writer died before it told the
    /// readers of the version before. Whoever writes next finds that mark empty, and sets it. A
    /// version before that `newest` was not built on is a ghost.
    fn published(&self, newest: Loaded) -> Result<Loaded> {
        let Some(before) = newest.0.version.before() else {
            return Ok(newest);
        };
        match self.read_version(before) {
            // Collected, and its mark was set before that.
            Err(error) if error.is_stale() => Ok(newest),
            Ok(before)
                if before.1.successor.is_none() && before.0.nonce == newest.0.body.previous =>
            {
                Ok(before)
            }
            Ok(_) => Ok(newest),
            // What the readers of a damaged version were told nobody can know; `check` names it.
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(newest),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn read_head(&self) -> Result<Head> {
        let io = |error: MountFailure| match error.class() {
            FailureClass::Missing => {
                Error::new(ErrorKind::Unavailable, "HEAD is missing").at(layout::HEAD)
            }
            _ => error.into(),
        };
        let file = self
            .source
            .mount
            .open(layout::HEAD, Access::Read)
            .map_err(io)?;
        let mut bytes = vec![0; head::MAX];
        let read = file.read_at(&mut bytes, 0).map_err(io)?;
        bytes.truncate(read);
        // A network file system waits for the server when a file is closed; nothing here depends on that.
        concurrent::spawn(move || drop(file))?;
        Head::decode(bytes, layout::HEAD)
    }
}
