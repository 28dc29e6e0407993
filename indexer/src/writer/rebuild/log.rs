//! What was posted and deleted while a job runs.

use std::collections::BTreeSet;

use super::super::history::History;
use super::super::resolve::locate;
use crate::error::Result;
use crate::numbers::Version;
use crate::snapshot::Snapshot;
use crate::snapshot::sources::sources;

/// The keys that some versions touched.
#[derive(Debug)]
pub(super) struct Touched {
    pub(super) keys: BTreeSet<String>,
    /// The last version that was looked at.
    pub(super) to: Version,
}

/// The keys touched by the versions after `after`, up to `to`, or up to an earlier version where there are more than
/// `most`. Their manifests are there: collection leaves those alone that a job still needs.
pub(super) fn touched(
    history: &History,
    after: Version,
    to: Version,
    most: usize,
) -> Result<Touched> {
    let mut touched = Touched {
        keys: BTreeSet::new(),
        to: after,
    };
    for version in after.later_up_to(to) {
        let (manifest, ..) = history.follower.read_version(version)?;
        touched.keys.extend(manifest.body.touched);
        touched.to = version;
        if touched.keys.len() >= most {
            break;
        }
    }
    Ok(touched)
}

/// The source of the document that each of `keys`, which are sorted, has in `tip`; none where there is no document.
pub(super) fn current<'a>(
    tip: &Snapshot,
    keys: impl Iterator<Item = &'a String>,
) -> Result<Vec<(&'a str, Option<String>)>> {
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    let located = locate(tip, &keys)?;
    let mut found = Vec::new();
    for &key in &keys {
        if let Some(&(position, doc)) = located.get(key) {
            found.push((tip.address(position, doc)?, key));
        }
    }
    found.sort_unstable();
    let mut current: Vec<(&str, Option<String>)> = keys
        .iter()
        .filter(|key| !located.contains_key(**key))
        .map(|&key| (key, None))
        .collect();
    for some in found.chunks(super::stored::TOGETHER) {
        let addresses: Vec<_> = some.iter().map(|(address, _)| *address).collect();
        let texts = sources(tip.searcher()?, tip.schema().source(), &addresses)?;
        current.extend(
            some.iter()
                .zip(texts)
                .map(|(&(_, key), text)| (key, Some(text))),
        );
    }
    Ok(current)
}
