//! Rules about what a manifest refers to.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Verdict, Violation, ensure};
use crate::format::manifest::{Container, ContainerId, Manifest, Segment, Span};
use crate::format::prefix::HEADER;

/// I3: every reference leads to a file that exists: this manifest, an earlier one, or a bundle made for this version or an
/// earlier one.
pub(super) fn refers_to_what_exists(manifest: &Manifest) -> Verdict {
    let broken = |detail: String| Violation::of("I3", manifest, detail);
    let containers = &manifest.body.containers;
    let distinct: HashSet<_> = containers.iter().map(|container| &container.id).collect();
    if distinct.len() != containers.len() {
        return Err(broken("it lists a container twice".into()));
    }
    let segments = manifest.body.segments.iter();
    let used: HashSet<usize> = segments.map(|segment| segment.container).collect();
    if used.len() != containers.len() || used.iter().any(|&at| at >= containers.len()) {
        return Err(broken(
            "its segments are not exactly in the containers that it lists".into(),
        ));
    }
    for file in manifest.files() {
        let exists = match &file {
            ContainerId::Manifest(name) if name.version == manifest.version => {
                *name == manifest.name()
            }
            file => file
                .number()
                .is_some_and(|number| number <= manifest.version),
        };
        if !exists {
            let path = file.path();
            return Err(broken(format!(
                "it names {path}, which no version up to it has made"
            )));
        }
    }
    let own = containers
        .iter()
        .find(|container| is_own(manifest, container));
    let embedded = own.map_or(0, Container::bytes_on_mount);
    let base = own.map_or(manifest.pages_base, |own| own.base);
    ensure(
        (manifest.pages_base, manifest.pages_len) == (base, embedded),
        "I3",
        manifest,
        || "its embedded pages are not those of its container",
    )
}

/// I3: a section that this manifest adds lies in its blob, and the hot section of a bundle lies behind the bundle's pages.
pub(super) fn sections_lie_in_their_file(manifest: &Manifest) -> Verdict {
    let in_blob = |span: Span| HEADER as u64 <= span.offset && end(span) <= manifest.pages_base;
    for segment in &manifest.body.segments {
        let container = manifest.body.containers.get(segment.container);
        let hot_lies_right = container.is_some_and(|container| match container.id {
            ContainerId::Bundle(_) => container.bytes_on_mount() <= segment.hot.offset,
            ContainerId::Manifest(_) if is_own(manifest, container) => in_blob(segment.hot),
            ContainerId::Manifest(_) => true,
        });
        let own_bitmap = segment
            .base()
            .filter(|base| base.manifest == manifest.name());
        let mut in_this_file = segment
            .hot_copy
            .into_iter()
            .chain(own_bitmap.map(|base| base.span));
        ensure(
            hot_lies_right && in_this_file.all(in_blob),
            "I3",
            manifest,
            || format!("a section of {} lies outside of its place", segment.id),
        )?;
    }
    Ok(())
}

/// I3: what a version takes over from earlier manifests is what its base uses. Anything else may have been collected. A
/// container that both use is the same in both, since a published name is never given to other bytes.
pub(super) fn takes_over_only_what_its_base_uses(base: &Manifest, next: &Manifest) -> Verdict {
    let known: BTreeSet<_> = base.files();
    let own = ContainerId::Manifest(next.name());
    for file in next.files() {
        let may_be_new = matches!(file, ContainerId::Bundle(_)) || file == own;
        ensure(may_be_new || known.contains(&file), "I3", next, || {
            let path = file.path();
            format!("it names {path}, which its base does not use")
        })?;
    }
    let containers = base.body.containers.iter();
    let before: HashMap<_, _> = containers
        .map(|container| (&container.id, container))
        .collect();
    for container in &next.body.containers {
        let same = before
            .get(&container.id)
            .is_none_or(|before| *before == container);
        ensure(same, "I3", next, || {
            let path = container.id.path();
            format!("it describes {path} in another way than its base")
        })?;
    }
    Ok(())
}

/// I15: every file of a segment lies in the pages of its container, where each byte has a checksum.
pub(super) fn files_lie_in_pages(manifest: &Manifest) -> Verdict {
    for segment in &manifest.body.segments {
        let container = manifest.body.containers.get(segment.container);
        let payload = container.map_or(0, |container| container.len);
        ensure(last_byte(segment) <= payload, "I15", manifest, || {
            format!("a file of {} lies behind its pages", segment.id)
        })?;
    }
    Ok(())
}

fn last_byte(segment: &Segment) -> u64 {
    segment.files.values().copied().map(end).max().unwrap_or(0)
}

fn end(span: Span) -> u64 {
    span.offset.saturating_add(span.len)
}

fn is_own(manifest: &Manifest, container: &Container) -> bool {
    container.id == ContainerId::Manifest(manifest.name())
}
