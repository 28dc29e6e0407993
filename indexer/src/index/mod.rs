//! The front door: a root folder of indexes.

mod drainer;
mod listing;
mod one;
mod open;
mod place;
mod probe;
mod reading;
mod remains;
mod removal;
mod shared;
mod staging;
mod stats;
mod sweep;

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Instant;

use self::drainer::Drainer;
use self::listing::Listing;
use self::open::{OpenIndexes, Stay};

pub use self::listing::Stamps;
pub use self::one::{BatchState, BatchStatus, Index, Pending};
pub use self::reading::Found;
pub use self::shared::Shared;
pub use self::stats::Stats;
pub use self::sweep::{Kept, SweepReport};
pub use crate::check::{CheckReport, Problem};
pub use crate::config::Config;
pub use crate::counters::Counted;
pub use crate::format::manifest::Counts;
pub use crate::inbox::{Batch, Change, Operation};
pub use crate::layout::BatchId;
pub use crate::writer::{Bulk, BulkReport, GcReport, MergeReport, Outcome, Wait};

use crate::clock::Clock;
use crate::concurrent;
use crate::descriptors;
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::mapping::Definition;
use crate::mount::{FailureClass, Mount, MountFailure, RootFolder, Wrap};

/// Longest name of an index, in bytes: it is a folder's name and part of a URL.
const NAME_MAX: usize = 64;

/// Attempts at creating an index while others create and delete one of the same name.
const CREATE_TRIES: usize = 8;

/// A root folder of indexes. Cheap to open; keeps those open that were used last.
#[derive(Debug)]
pub struct Aquifer {
    root: RootFolder,
    config: Config,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    open: Arc<OpenIndexes>,
    listing: Listing,
    drainer: Arc<Drainer>,
}

impl Aquifer {
    /// Opens a root folder, which must exist unless the configuration says to create it.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when there is no such folder, or it cannot be made.
    pub fn open(root: impl AsRef<Path>, config: Config) -> Result<Self> {
        Self::open_root(root.as_ref(), None, config)
    }

    /// Like [`Self::open`], but everything in the root folder is opened through `wrap`; for tests of what can go wrong
    /// there.
    ///
    /// # Errors
    /// Like [`Self::open`].
    pub fn open_through(wrap: Wrap, root: impl AsRef<Path>, config: Config) -> Result<Self> {
        Self::open_root(root.as_ref(), Some(wrap), config)
    }

    fn open_root(path: &Path, wrap: Option<Wrap>, config: Config) -> Result<Self> {
        let create = config.create_root && !config.read_only;
        let mut root = RootFolder::open(path, create).map_err(no_root)?;
        if let Some(wrap) = wrap {
            root = root.wrapped(wrap);
        }
        concurrent::limit_threads(config.io_threads);
        let shared = Arc::new(Shared::new(&config));
        let clock = Arc::clone(&config.world.clock);
        let open = Arc::new(OpenIndexes::new(config.open_indexes));
        let weak: Weak<OpenIndexes> = Arc::downgrade(&open);
        descriptors::register(weak);
        Ok(Self {
            root,
            config,
            shared,
            open,
            listing: Listing::default(),
            drainer: Arc::new(Drainer::new(Arc::clone(&clock))),
            clock,
        })
    }

    /// Ends what goes on in the background, between two commits, and waits for that until `deadline`. What was
    /// accepted is durable, and is applied by whoever opens the index next.
    pub fn stop(&self, deadline: Instant) {
        self.drainer.stop(deadline);
    }

    /// Whether this process may write.
    pub fn is_read_only(&self) -> bool {
        self.config.read_only
    }

    /// What this process has done with its indexes.
    pub fn counters(&self) -> Counted {
        self.open.counted()
    }

    /// Milliseconds that the oldest batch in an inbox had waited, as found by the listings that this process made anyway
    /// since this was last called: 0 if the inboxes were empty, `None` if none was listed.
    pub fn take_inbox_age_ms(&self) -> Option<u64> {
        self.open.take_inbox_age_ms()
    }

    /// The names of the indexes, in order. What lies in the root is listed at every call; a folder that was not seen
    /// before costs a look for its HEAD. An index whose deletion was cut short is listed until somebody asks for it.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`].
    pub fn indexes(&self) -> Result<Vec<String>> {
        let mut names = self.root.list()?;
        names.retain(|name| check_name(name).is_ok());
        self.listing.indexes(&self.root, names)
    }

    /// When the folders of an index last changed, without opening it: as long as they say the same, it has no new version
    /// and no new batch.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Unavailable`].
    pub fn stamps(&self, name: &str) -> Result<Stamps> {
        check_name(name)?;
        Stamps::read(&self.root, name)?.ok_or_else(|| no_index(name))
    }

    /// Creates an index. `false` when there is one of this name and definition already.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a bad name or definition, [`ErrorKind::Conflict`] when there is one with
    /// another definition.
    pub fn create_index(&self, name: &str, definition: &Definition) -> Result<bool> {
        check_name(name)?;
        self.check_writable()?;
        definition.validate()?;
        for _ in 0..CREATE_TRIES {
            match self.undeleted(name) {
                Ok(index) if index.schema()?.definition() == definition => return Ok(false),
                Ok(_) => return Err(other_definition(name)),
                Err(error) if error.is_index_gone() => {}
                Err(error) => return Err(error),
            }
            self.free(name)?;
            if self.install(name, definition)? {
                return Ok(true);
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            format!("others keep creating and deleting the index `{name}`: try again later"),
        ))
    }

    /// Deletes an index and all its documents.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Busy`] when writers do not let go of it.
    pub fn delete_index(&self, name: &str) -> Result<()> {
        self.check_writable()?;
        let index = match self.undeleted(name) {
            Err(error) if error.is_index_gone() => {
                // A process may have been killed while it deleted the index.
                self.finish_deletion(name)?;
                return Err(error);
            }
            index => index?,
        };
        if let Err(error) = index.publish_deletion() {
            // Another process may have deleted it since this request began; over NFS its folder then is stale.
            let deleted = error.is_index_gone()
                || (error.is_stale() && self.is_replaced(name, &index).unwrap_or(false));
            if !deleted {
                return Err(error);
            }
        }
        self.open.remove(name);
        match self.free(name) {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                tracing::warn!(%error, index = name, "the index is deleted, but its folder remains");
                Ok(())
            }
            freed => freed,
        }
    }

    /// The error for a failure in the root folder, on what has the path `name` there.
    fn io(&self, name: &str, failure: MountFailure) -> Error {
        failure.at(self.root.path().join(name)).into()
    }

    /// An index by its name. That it has been deleted is found by the first request at the latest.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn index(&self, name: &str) -> Result<Arc<Index>> {
        self.find(name, Index::open_from_hint, Stay::Open)
    }

    /// Like [`Self::index`], for a short visit: an index that was not open is closed again afterwards.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn visit(&self, name: &str) -> Result<Arc<Index>> {
        self.find(name, Index::open_from_hint, Stay::AsItIs)
    }

    /// An index by its name, which had not been deleted when it was opened.
    fn existing(&self, name: &str) -> Result<Arc<Index>> {
        self.find(name, Index::confirm, Stay::Open)
    }

    /// An index by its name, which has not been deleted by now.
    fn undeleted(&self, name: &str) -> Result<Arc<Index>> {
        self.find(name, |index| index.snapshot().map(drop), Stay::Open)
    }

    /// An index by its name, looked at as `look` does.
    fn find(&self, name: &str, look: fn(&Index) -> Result<()>, stay: Stay) -> Result<Arc<Index>> {
        check_name(name)?;
        let open = self.open.get(name);
        if let Some(index) = &open
            && !self.is_in_place(name, index)
        {
            index.follower.leave();
            self.open.remove_gone(name);
            self.listing.forget(name);
        } else if let Some(index) = open {
            match self.look(name, index, look, stay) {
                // It was deleted, and another may have been created since.
                Err(error) if error.is_index_gone() => {}
                found => return found,
            }
        }
        let index = self.open_index(name)?;
        self.look(name, index, look, stay)
    }

    fn look(
        &self,
        name: &str,
        index: Arc<Index>,
        look: fn(&Index) -> Result<()>,
        stay: Stay,
    ) -> Result<Arc<Index>> {
        match look(&index) {
            Err(error) if error.is_index_gone() => {
                self.open.remove_gone(name);
                self.listing.forget(name);
                Err(no_index(name))
            }
            // A damaged or unreachable index is there all the same, and says so when it is used.
            _ => Ok(self.open.put(name, index, stay)),
        }
    }

    /// An index by its name; created with the default definition when missing.
    pub fn index_or_create(&self, name: &str) -> Result<Arc<Index>> {
        match self.existing(name) {
            Err(error) if error.is_index_gone() && !self.config.read_only => {
                match self.create_index(name, &Definition::default()) {
                    Ok(_) => self.existing(name),
                    // Somebody else created it with a definition of theirs.
                    Err(error) if error.kind() == ErrorKind::Conflict => {
                        self.existing(name).or(Err(error))
                    }
                    Err(error) => Err(error),
                }
            }
            other => other,
        }
    }

    fn open_index(&self, name: &str) -> Result<Arc<Index>> {
        let mount = self
            .root
            .mount(name)
            .map_err(|failure| match failure.class() {
                FailureClass::Missing => no_index(name),
                _ => self.io(name, failure),
            })?;
        Ok(self.new_index(name, mount, self.config.read_only))
    }

    fn new_index(&self, name: &str, mount: Arc<dyn Mount>, read_only: bool) -> Arc<Index> {
        let shared = Arc::clone(&self.shared);
        let config = Config {
            read_only,
            ..self.config.clone()
        };
        Index::open_with(name, mount, shared, &config, &self.drainer)
    }

    fn check_writable(&self) -> Result<()> {
        if self.config.read_only {
            return Err(read_only());
        }
        Ok(())
    }
}

pub(crate) fn read_only() -> Error {
    Error::new(
        Reason::ReadOnly,
        "this process only reads, and does not change an index",
    )
}

fn no_root(failure: MountFailure) -> Error {
    let advice = match failure.class() {
        FailureClass::Missing => {
            "the root folder does not exist: mount the file system that holds it, or create it"
        }
        FailureClass::OtherType => "the root is not a folder: name the folder of the indexes",
        _ => return failure.into(),
    };
    Error::new(ErrorKind::Unavailable, advice).at(failure.path())
}

/// The error for an index that does not exist.
pub fn no_index(name: &str) -> Error {
    let reason = Reason::IndexGone {
        name: Some(name.into()),
    };
    Error::new(reason, format!("there is no index `{name}`"))
}

fn other_definition(name: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the index `{name}` exists with another definition, and a definition cannot be changed: create a new \
             index and send the documents to it, or delete this one"
        ),
    )
}

/// Names of indexes are folders and parts of URLs on every system.
pub fn check_name(name: &str) -> Result<()> {
    let inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let starts = name
        .bytes()
        .next()
        .is_some_and(|byte| inner(byte) && !b"_-".contains(&byte));
    if starts && name.len() <= NAME_MAX && name.bytes().all(inner) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` is no name for an index: use 1 to {NAME_MAX} of a-z, 0-9, _ and -, beginning with a \
         letter or a digit",
        name.chars()
            .take(NAME_MAX + 1)
            .collect::<String>()
            .escape_debug()
    )))
}
