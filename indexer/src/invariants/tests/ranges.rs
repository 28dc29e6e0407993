//! Whatever versions stop to use, the joined ranges of retired files keep the rules.

use proptest::prelude::*;

use super::build::*;
use crate::format::manifest::{Cause, Manifest};
use crate::format::retired::{RANGES_MAX, retire};
use crate::invariants::retired::{ranges_are_sound, unused_files_are_retired};
use crate::numbers::Version;

/// A version that no longer uses some bundles of `base`, and adds one.
fn without(base: &Manifest, dropped: &[u64]) -> Manifest {
    let mut next = after(base, Cause::Merge).next;
    let (before, added) = (base.files(), bundle(next.version));
    let body = &mut next.body;
    let dropped: Vec<_> = dropped
        .iter()
        .map(|one| Version::new(one % base.version.get()))
        .collect();
    let is_dropped =
        |number: Option<Version>| number.is_some_and(|number| dropped.contains(&number));
    body.containers
        .retain(|container| !is_dropped(container.id.number()));
    body.containers.push(container(added, 10));
    body.segments.clear();
    let used = next.files();
    let unused = before.difference(&used).filter_map(|file| file.number());
    retire(&mut next.body.retired, unused, next.version);
    next
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn joined_ranges_keep_the_rules(
        versions in proptest::collection::vec(proptest::collection::vec(any::<u64>(), 0..4), 1..250)
    ) {
        let mut base = base();
        for dropped in versions {
            let next = without(&base, &dropped);
            prop_assert_eq!(ranges_are_sound(&next), Ok(()));
            prop_assert_eq!(unused_files_are_retired(&base, &next), Ok(()));
            base = next;
        }
        prop_assert!(base.body.retired.len() <= RANGES_MAX);
    }
}
