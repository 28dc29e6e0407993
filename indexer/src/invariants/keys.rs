//! A rule about the keys of documents.

use super::{Verdict, ensure};
use crate::format::manifest::{Manifest, Segment};
use crate::numbers::DocCount;
use crate::quote::quoted;

/// What the segments of the newest version hold.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) documents: Found,
    /// The records of the ledger, each with the key of its subject.
    pub(crate) records: Found,
}

/// Documents of one kind.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Documents that are not deleted.
    pub(crate) live: DocCount,
    /// Documents that are not deleted and that a key leads to.
    pub(crate) keyed: DocCount,
    /// A key that leads to several of them.
    pub(crate) twice: Option<String>,
}

/// I9: one document of a key is alive at most, and one record, and each has a key. Otherwise a search would give a
/// document twice, or an old one.
pub(super) fn each_key_is_there_once(newest: &Manifest, keys: &Keys) -> Verdict {
    for (kind, found, is_record) in [
        ("documents", &keys.documents, false),
        ("records", &keys.records, true),
    ] {
        ensure(found.twice.is_none(), "I9", newest, || {
            let key = found.twice.as_deref().unwrap_or_default();
            format!("two {kind} have the key {}", quoted(key))
        })?;
        let segments = newest.body.segments.iter();
        let of_kind = segments.filter(|segment| segment.ledger == is_record);
        let listed: DocCount = of_kind.map(Segment::live_docs).sum();
        let agree = listed == found.live && listed == found.keyed;
        ensure(agree, "I9", newest, || {
            let Found { live, keyed, .. } = found;
            format!("it counts {listed} {kind}, the segments {live}, the keys {keyed}")
        })?;
    }
    Ok(())
}
