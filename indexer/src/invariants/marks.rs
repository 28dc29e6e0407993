//! Rules about the marks that lead from version to version.

use super::{Linked, Past, Verdict, ensure};

/// I4: the mark of a version names the one manifest that was linked as the next version, built on it and of its length.
pub(super) fn names_its_successor(past: &Past, next: &Linked) -> Verdict {
    let Some(before) = &past.before else {
        return Ok(());
    };
    let Some(named) = before.successor else {
        return Ok(());
    };
    let follows = named.version == before.manifest.version.next();
    ensure(follows, "I4", &before.manifest, || {
        format!("its mark names version {}", named.version)
    })?;
    let is_next = named.name() == next.manifest.name();
    ensure(
        !is_next || named == next.manifest.id(),
        "I4",
        &before.manifest,
        || {
            format!(
                "its mark does not name {} with its length",
                next.manifest.path()
            )
        },
    )
}

/// I4: the link of the newest version names the manifest that the marks lead to. Of earlier versions the link may be that
/// of a ghost.
pub(super) fn the_newest_version_is_linked(past: &Past, next: &Linked) -> Verdict {
    let newest = past
        .newest
        .filter(|newest| newest.version == next.manifest.version);
    let differs = newest.filter(|newest| *newest != next.manifest.id());
    ensure(differs.is_none(), "I4", &next.manifest, || {
        let marked = differs
            .map(|newest| newest.name().path())
            .unwrap_or_default();
        format!("its link names it, and the marks lead to {marked}")
    })
}

/// I5: a version is built on one that its base's mark names, and every version of the history is named by the mark before
/// it. A reader that follows the marks would otherwise miss what was acknowledged.
pub(super) fn builds_on_an_announced_version(past: &Past, next: &Linked) -> Verdict {
    let Some(before) = &past.before else {
        return Ok(());
    };
    if before.manifest.nonce != next.manifest.body.previous {
        return Ok(());
    }
    let announced = match next.is_real {
        true => before.successor.is_some(),
        false => before.is_real,
    };
    ensure(announced, "I5", &next.manifest, || {
        format!(
            "no mark led to it or to {} when it was built",
            before.manifest.path()
        )
    })
}
