//! What no segment of the newest version uses any more and readers of earlier versions may: as ranges of numbers.
//!
//! A manifest has its version as its number, and a bundle the number in its name. A range says that the files with
//! its numbers are kept until retention is over for everything in it. There are few ranges, whatever happened: when
//! there would be more, neighbours become one that lasts as long as the later of them. Files that the newest version
//! uses are not meant, whatever their number.

use serde::{Deserialize, Serialize};

use crate::numbers::Version;

/// Ranges in a manifest. Each holds on to its files for about a thirtieth of retention too long at worst, where
/// versions come evenly.
pub const RANGES_MAX: usize = 64;

/// Numbers of files that are not used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// The first number.
    pub from: Version,
    /// The last number.
    pub to: Version,
    /// The first version that retired a file of these numbers.
    pub since: Version,
    /// The last version that did: until its time is over, all of them are kept.
    pub until: Version,
    /// Files that were retired.
    pub files: u64,
}

impl Retired {
    /// Whether a file's number is meant.
    pub fn contains(&self, number: Version) -> bool {
        (self.from..=self.to).contains(&number)
    }

    /// How much longer, and how much more, is kept if this range and the one behind it become one.
    fn cost(&self, behind: &Self) -> u64 {
        let gap = behind.from.since(self.to).saturating_sub(1);
        let joined = self.joined(behind);
        gap.saturating_add(joined.until.since(joined.since))
    }

    fn joined(&self, behind: &Self) -> Self {
        Self {
            from: self.from.min(behind.from),
            to: self.to.max(behind.to),
            since: self.since.min(behind.since),
            until: self.until.max(behind.until),
            files: self.files + behind.files,
        }
    }
}

/// Adds the files with these numbers, which version `until` retires.
pub fn retire(
    ranges: &mut Vec<Retired>,
    numbers: impl IntoIterator<Item = Version>,
    until: Version,
) {
    ranges.extend(numbers.into_iter().map(|number| Retired {
        from: number,
        to: number,
        since: until,
        until,
        files: 1,
    }));
    ranges.sort_unstable_by_key(|range| (range.from, range.to));
    let mut joined: Vec<Retired> = Vec::with_capacity(ranges.len());
    for range in ranges.drain(..) {
        match joined.last_mut() {
            Some(last) if last.cost(&range) == 0 => *last = last.joined(&range),
            _ => joined.push(range),
        }
    }
    while joined.len() > RANGES_MAX {
        let pairs = joined.iter().zip(joined.iter().skip(1));
        let cheapest = pairs
            .enumerate()
            .min_by_key(|(_, (range, behind))| range.cost(behind));
        let Some((position, (range, behind))) = cheapest else {
            break;
        };
        let one = range.joined(behind);
        joined.splice(position..=position + 1, [one]);
    }
    *ranges = joined;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Twenty thousand commits of one document each, of which every eighth retires the eight before.
    #[test]
    fn ranges_stay_few_and_hold_on_for_little_longer() {
        const VERSIONS: u64 = 20_000;
        let mut ranges = Vec::new();
        for until in (9..VERSIONS).step_by(8) {
            let numbers = (until - 8..until).map(Version::new);
            retire(&mut ranges, numbers, Version::new(until));
            assert!(ranges.len() <= RANGES_MAX);
        }
        assert_eq!(ranges.iter().map(|range| range.files).sum::<u64>(), 19_992);
        let longest = ranges
            .iter()
            .map(|range| range.until.since(range.since))
            .max();
        assert!(longest < Some(VERSIONS / 16), "{ranges:?}");
    }

    proptest! {
        #[test]
        fn every_number_is_kept_at_least_as_long_as_it_should_be(
            commits in proptest::collection::vec(
                proptest::collection::vec((0_u64..2000).prop_map(Version::new), 0..12), 1..200)
        ) {
            let mut ranges = Vec::new();
            let mut expected = Vec::new();
            for (numbers, until) in commits.iter().zip((1_u64..).map(Version::new)) {
                retire(&mut ranges, numbers.iter().copied(), until);
                expected.extend(numbers.iter().map(|number| (*number, until)));
                prop_assert!(ranges.len() <= RANGES_MAX);
            }
            for (number, until) in &expected {
                let kept = ranges.iter().any(|range| range.contains(*number) && range.until >= *until);
                prop_assert!(kept, "{} until {}: {:?}", number, until, ranges);
            }
            let files: u64 = ranges.iter().map(|range| range.files).sum();
            prop_assert_eq!(files, expected.len() as u64);
        }
    }
}
