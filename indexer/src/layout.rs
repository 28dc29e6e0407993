//! The names of the files of an index, relative to its folder.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::numbers::{LockGeneration, Version};

/// The hint of the newest version.
pub const HEAD: &str = "HEAD";
/// The folder of manifests, and of the links that make them versions.
pub const MANIFESTS: &str = "manifests";
/// The folder of bundles.
pub const BUNDLES: &str = "bundles";
/// The folder of accepted batches.
pub const INBOX: &str = "inbox";
/// The folder of what jobs have built so far.
pub const JOBS: &str = "jobs";
/// The folder of scratch files of merges that the local disk has no room for. Made by the first of them.
pub const SCRATCH: &str = "scratch";
/// The folder of attempts at large pieces of work that nobody has ended. Made by the first of them.
pub const ATTEMPTS: &str = "attempts";
/// The folders of an index.
pub const FOLDERS: [&str; 4] = [MANIFESTS, BUNDLES, INBOX, JOBS];

/// The start of the name of a folder in the root in which an index is being created.
const NEW: &str = ".new-";
/// The start of the name of a folder in the root whose contents are being removed.
const TRASH: &str = ".trash-";
/// The start of the name to which earlier releases renamed an index before they removed it.
const DELETED: &str = ".deleted-";

const BATCH: &str = ".batch";
const DAMAGED: &str = ".damaged";
const BUNDLE: &str = ".bundle";

/// The lock file of a generation. A holder that shows no sign of life is overtaken by moving on
/// to the next generation, so that nobody waits for its lock again.
pub fn lock(generation: LockGeneration) -> String {
    if generation == LockGeneration::FIRST {
        "lock".to_owned()
    } else {
        format!("lock.{generation}")
    }
}

/// The generation of a lock file's name.
pub fn parse_lock(name: &str) -> Option<LockGeneration> {
    if name == "lock" {
        return Some(LockGeneration::FIRST);
    }
    let number = name.strip_prefix("lock.")?.parse().ok()?;
    Some(LockGeneration::new(number))
}

/// The symbolic link that makes a manifest the one of this version. Its text is the [`ManifestName`].
pub fn version_link(version: Version) -> String {
    format!("{MANIFESTS}/{version:020}")
}

/// The version in the name of a version's link (without its folder).
pub fn parse_version_link(name: &str) -> Option<Version> {
    let digits = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return None;
    }
    name.parse().ok().map(Version::new)
}

/// The name of a manifest: the version it was made for, and what tells two attempts at that version apart. No two
/// files ever have the same. Written as the version's 20 digits, a hyphen, and the nonce's 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestName {
    /// The version.
    pub version: Version,
    /// 122 random bits.
    pub nonce: Uuid,
}

impl ManifestName {
    /// The file's path.
    pub fn path(&self) -> String {
        format!("{MANIFESTS}/{self}")
    }
}

impl fmt::Display for ManifestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{}", self.version, self.nonce.simple())
    }
}

impl fmt::Debug for ManifestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not the name of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a manifest is a version of 20 digits and 32 hexadecimal digits, joined by a hyphen"
)]
pub struct NotAManifestName;

impl FromStr for ManifestName {
    type Err = NotAManifestName;

    fn from_str(text: &str) -> Result<Self, NotAManifestName> {
        let parsed = text.split_once('-').and_then(|(version, nonce)| {
            Some(Self {
                version: parse_version_link(version)?,
                nonce: Uuid::try_parse(nonce).ok()?,
            })
        });
        parsed
            .filter(|name| name.to_string() == text)
            .ok_or(NotAManifestName)
    }
}

impl serde::Serialize for ManifestName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ManifestName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A file that is made only to learn the file server's time.
pub fn clock_file(id: Uuid) -> String {
    format!("{JOBS}/clock-{}", id.simple())
}

/// What a job has built by a checkpoint. The name is used once.
pub fn checkpoint(job: Uuid, number: u64, nonce: Uuid) -> String {
    format!("{JOBS}/{}-{number:020}-{}", job.simple(), nonce.simple())
}

/// A scratch file. The name is used once.
pub fn scratch(id: Uuid, name: &str) -> String {
    format!("{SCRATCH}/{}-{name}", id.simple())
}

/// An attempt at a large piece of work. The name is used once.
pub fn attempt(id: Uuid) -> String {
    format!("{ATTEMPTS}/{}", id.simple())
}

/// A bundle.
pub fn bundle(name: &str) -> String {
    format!("{BUNDLES}/{name}{BUNDLE}")
}

/// The identity of a bundle: `<number>-<uuid>`. The number is that of the version it was made for; bundles are
/// retired by it.
pub fn bundle_name(number: Version, id: Uuid) -> String {
    format!("{number}-{}", id.simple())
}

/// The number in the identity of a bundle.
pub fn bundle_number(name: &str) -> Option<Version> {
    let (number, id) = name.split_once('-')?;
    Uuid::try_parse(id).ok()?;
    number.parse().ok().map(Version::new)
}

/// The identity in a bundle's file name (without its folder).
pub fn parse_bundle(name: &str) -> Option<&str> {
    name.strip_suffix(BUNDLE)
}

/// A batch in the inbox.
pub fn batch(id: BatchId) -> String {
    format!("{INBOX}/{id}{BATCH}")
}

/// Where a damaged batch is laid aside.
pub fn damaged_batch(id: BatchId) -> String {
    format!("{INBOX}/{id}{DAMAGED}")
}

/// The identity in a batch's file name (without its folder).
pub fn parse_batch(name: &str) -> Option<BatchId> {
    name.strip_suffix(BATCH)?.parse().ok()
}

/// The identity in the name of a damaged batch (without its folder).
pub fn parse_damaged_batch(name: &str) -> Option<BatchId> {
    name.strip_suffix(DAMAGED)?.parse().ok()
}

/// Whether a file or folder in the folder of an index belongs to the index.
pub fn is_own(name: &str) -> bool {
    let folders = FOLDERS.iter().chain(&[SCRATCH, ATTEMPTS]);
    name == HEAD || parse_lock(name).is_some() || folders.into_iter().any(|own| *own == name)
}

/// Whether a file in a folder of an index is one that is not kept: a scratch file, an attempt.
pub fn is_passing(folder: &str, name: &str) -> bool {
    let id = |text: &str| Uuid::try_parse(text).is_ok();
    match folder {
        SCRATCH => name.split_once('-').is_some_and(|(first, _)| id(first)),
        ATTEMPTS => id(name),
        _ => false,
    }
}

/// A folder in the root that is no index under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden<'a> {
    /// An index that is being created.
    New(&'a str),
    /// What is being removed.
    Trash,
    /// An index that an earlier release wanted to remove.
    Deleted(&'a str),
}

/// The folder in which the index `name` is created. The name is used once.
pub fn new_folder(name: &str, id: Uuid) -> String {
    format!("{NEW}{name}-{}", id.simple())
}

/// A folder for what is removed of the index `name`. The name is used once.
pub fn trash_folder(name: &str, id: Uuid) -> String {
    format!("{TRASH}{name}-{}", id.simple())
}

/// What an examination of the mount removes: it is swept after a crash.
const DOCTOR: &str = "doctor";

/// The scratch folder of an examination of the mount. The name is used once.
pub fn doctor_folder(id: Uuid) -> String {
    trash_folder(DOCTOR, id)
}

/// Whether a name in the root is that of such a scratch folder.
pub fn is_doctor_folder(name: &str) -> bool {
    let id = name
        .strip_prefix(TRASH)
        .and_then(|name| name.strip_prefix(DOCTOR)?.strip_prefix('-'));
    id.is_some_and(|id| Uuid::try_parse(id).is_ok_and(|parsed| doctor_folder(parsed) == name))
}

/// What a name in the root stands for that is not the name of an index.
pub fn parse_hidden(name: &str) -> Option<Hidden<'_>> {
    let of = |prefix: &str| {
        let (index, id) = name.strip_prefix(prefix)?.rsplit_once('-')?;
        Uuid::try_parse(id).is_ok().then_some(index)
    };
    if let Some(index) = of(NEW) {
        return Some(Hidden::New(index));
    }
    if let Some(index) = of(DELETED) {
        return Some(Hidden::Deleted(index));
    }
    of(TRASH).map(|_| Hidden::Trash)
}

/// The identity of a batch: a hybrid logical clock (48 bits of milliseconds, 16 bits of count), by which
/// batches are ordered, and 64 random bits. Written as two 16-digit hexadecimal numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId {
    /// The hybrid logical clock.
    pub clock: u64,
    /// Random bits.
    pub random: u64,
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}", self.clock, self.random)
    }
}

impl fmt::Debug for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl BatchId {
    /// Bits of the clock below its milliseconds.
    pub(crate) const COUNT_BITS: u32 = 16;

    /// The milliseconds of its clock: when the batch was accepted, by the clock of the process that accepted it or of a
    /// process whose batch it follows, whichever was ahead.
    pub fn wall_ms(self) -> u64 {
        self.clock >> Self::COUNT_BITS
    }
}

/// A text that is not a batch identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a batch identity is two hexadecimal numbers of 16 digits, joined by a hyphen")]
pub struct NotABatchId;

impl FromStr for BatchId {
    type Err = NotABatchId;

    fn from_str(text: &str) -> Result<Self, NotABatchId> {
        let (clock, random) = text.split_once('-').ok_or(NotABatchId)?;
        let hex = |digits: &str| {
            let plain = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            plain
                .then(|| u64::from_str_radix(digits, 16).ok())
                .flatten()
                .ok_or(NotABatchId)
        };
        Ok(Self {
            clock: hex(clock)?,
            random: hex(random)?,
        })
    }
}

impl serde::Serialize for BatchId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for BatchId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let version = Version::new(42);
        assert_eq!(parse_version_link("00000000000000000042"), Some(version));
        assert_eq!(parse_version_link("42"), None);
        let nonce = Uuid::new_v4();
        let name = ManifestName { version, nonce };
        assert_eq!(name.to_string().parse(), Ok(name));
        let link = version_link(version);
        assert!(name.path().starts_with(&format!("{link}-")));
        for other in [
            format!("42-{}", nonce.simple()),
            format!("{:020}-{nonce}", 42),
            format!("{:020}-{}", 42, nonce.simple()).to_uppercase(),
            format!("../{name}"),
            "00000000000000000042".to_owned(),
        ] {
            let parsed = other.parse::<ManifestName>();
            assert!(parsed.is_err() || other == name.to_string(), "{other}");
        }
        for generation in [LockGeneration::FIRST, LockGeneration::new(7)] {
            assert_eq!(parse_lock(&lock(generation)), Some(generation));
        }
        let id = BatchId {
            clock: 5,
            random: u64::MAX,
        };
        let path = batch(id);
        assert_eq!(parse_batch(path.strip_prefix("inbox/").unwrap()), Some(id));
        assert!("5-6".parse::<BatchId>().is_err());
    }

    #[test]
    fn hidden_folders_are_told_apart() {
        let id = Uuid::new_v4();
        let (new, trash) = (new_folder("a-b", id), trash_folder("a-b", id));
        assert_eq!(parse_hidden(&new), Some(Hidden::New("a-b")));
        assert_eq!(parse_hidden(&trash), Some(Hidden::Trash));
        let deleted = format!(".deleted-a-b-{}", id.simple());
        assert_eq!(parse_hidden(&deleted), Some(Hidden::Deleted("a-b")));
        for other in ["a-b", ".new-a", ".new-a-b", ".trash", ".snapshot"] {
            assert_eq!(parse_hidden(other), None, "{other}");
        }
    }

    #[test]
    fn the_scratch_folder_of_an_examination_is_swept_and_no_other_is_taken_for_one() {
        let id = Uuid::new_v4();
        let folder = doctor_folder(id);
        assert!(is_doctor_folder(&folder));
        assert_eq!(parse_hidden(&folder), Some(Hidden::Trash));
        let others = [
            trash_folder("books", id),
            trash_folder("doctor-who", id),
            new_folder("doctor", id),
            format!("{folder}/x"),
            format!(".trash-doctor-{id}"),
        ];
        for other in others {
            assert!(!is_doctor_folder(&other), "{other}");
        }
    }

    #[test]
    fn batches_sort_by_their_clock_as_names_and_as_values() {
        let early = BatchId {
            clock: 9,
            random: u64::MAX,
        };
        let late = BatchId {
            clock: 10,
            random: 0,
        };
        assert!(early < late && early.to_string() < late.to_string());
    }
}
