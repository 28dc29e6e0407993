//! The rules about what the versions before have done, and the walk through the history.

use super::build::*;
use super::*;
use crate::format::manifest::{Cause, ContainerId};
use crate::format::mark::{ManifestId, MarkPage};
use crate::numbers::DocCount;

/// A rule, and a change of the past or of the version after it that breaks it and no other.
pub(super) struct Case {
    pub(super) rule: &'static str,
    past: Past,
    next: Linked,
}

/// A commit whose mark is empty because it is the newest version, after a base whose mark leads to it.
fn newest() -> (Past, Linked) {
    let Pair { base, next } = commit();
    let mut past = Past::default();
    past.before = Some(Linked {
        manifest: base,
        successor: Some(next.id()),
        is_real: true,
    });
    let next = Linked {
        manifest: next,
        successor: None,
        is_real: true,
    };
    (past, next)
}

/// What the mark of the version before names.
fn mark(past: &mut Past) -> &mut Option<ManifestId> {
    &mut past.before.as_mut().unwrap().successor
}

pub(super) fn cases() -> Vec<Case> {
    let case = |rule, change: fn(&mut Past, &mut Linked)| {
        let (mut past, mut next) = newest();
        change(&mut past, &mut next);
        Case { rule, past, next }
    };
    vec![
        case("names_its_successor", |past, _| {
            mark(past).as_mut().unwrap().len += 4096
        }),
        case("names_its_successor", |past, _| {
            let named = mark(past).as_mut().unwrap();
            named.version = named.version.next()
        }),
        case("the_newest_version_is_linked", |past, next| {
            past.newest = Some(ManifestId {
                nonce: uuid::Uuid::nil(),
                ..next.manifest.id()
            });
        }),
        case("builds_on_an_announced_version", |past, _| {
            *mark(past) = None
        }),
        case("builds_on_an_announced_version", |past, next| {
            past.before.as_mut().unwrap().is_real = false;
            next.is_real = false;
        }),
        case("applies_each_batch_once", |past, next| {
            past.applied.insert(next.manifest.body.applied[1].batch);
        }),
        case("no_file_returns", |past, next| {
            past.unused
                .insert(next.manifest.body.containers[0].id.clone());
        }),
    ]
}

#[test]
fn each_change_breaks_its_rule_and_no_other() {
    for (number, Case { rule, past, next }) in cases().iter().enumerate() {
        let broken = broken(|check| match check {
            Check::Past(check) => check(past, next),
            _ => Ok(()),
        });
        assert_eq!(broken, [*rule], "case {number}");
    }
}

/// Visits versions with what their marks name. `newest` is the newest version.
fn walk(newest: &Manifest, versions: &[(&Manifest, Option<&Manifest>)]) -> Vec<Violation> {
    let mut history = History::new(Some(newest.id()));
    let visit = |(manifest, next): &(&Manifest, Option<&Manifest>)| {
        let (owner, successor) = (manifest.id(), next.map(Manifest::id));
        history.visit((*manifest).clone(), &MarkPage { owner, successor })
    };
    versions.iter().flat_map(visit).collect()
}

#[test]
fn a_history_that_keeps_the_rules_is_walked_through() {
    let Pair { base, next } = commit();
    let last = after(&next, Cause::Merge).next;
    let versions = [(&base, Some(&next)), (&next, Some(&last)), (&last, None)];
    assert_eq!(walk(&last, &versions), vec![]);
    let unannounced = [(&base, Some(&next)), (&next, None), (&last, None)];
    assert_eq!(walk(&next, &unannounced), vec![]);
    // Others publish while the manifests are read.
    let meanwhile = [(&base, None), (&next, Some(&last)), (&last, None)];
    assert_eq!(walk(&base, &meanwhile), vec![]);
}

/// The real version was collected, and a sleeper has linked its own after that.
#[test]
fn a_ghost_breaks_no_rule_and_what_is_built_on_it_does() {
    let Pair { base, next } = commit();
    let mut ghost = next.clone();
    ghost.nonce = uuid::Uuid::from_u128(999);
    ghost.body.containers[1].id = ContainerId::Manifest(ghost.name());
    let last = after(&next, Cause::Merge).next;
    let versions = [(&base, Some(&next)), (&ghost, None), (&last, None)];
    assert_eq!(walk(&last, &versions), vec![]);
    let wrong = after(&ghost, Cause::Merge).next;
    let versions = [(&base, Some(&next)), (&ghost, None), (&wrong, None)];
    let violations = walk(&wrong, &versions);
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert_eq!(
        (violations[0].rule, violations[0].version),
        ("I5", wrong.version)
    );
}

/// A walk remembers batches and files beyond the next version.
#[test]
fn a_batch_and_a_file_that_come_back_later_are_noticed() {
    let Pair { base, mut next } = commit();
    next.body.applied.remove(0);
    let mut last = after(&next, Cause::Commit).next;
    // The second segment again, whose bundle version 8 has given up, with a batch of version 7.
    last.body.containers.push(base.body.containers[1].clone());
    last.body.segments.push(base.body.segments[1].clone());
    last.body.segments[3].container = 3;
    last.body.applied = vec![base.body.applied[0]];
    last.body.applied[0].version = last.version;
    last.body.applied[0].counts.created = DocCount::new(4);
    let versions = [(&base, Some(&next)), (&next, Some(&last)), (&last, None)];
    let mut rules: Vec<_> = walk(&last, &versions)
        .iter()
        .map(|found| found.rule)
        .collect();
    rules.sort_unstable();
    // Twice I13: the bundle was given up, and was not made for this commit.
    assert_eq!(rules, ["I13", "I13", "I8"]);
}
