//! Random identities, as the library sees them.
//!
//! Nothing else draws a random number, so that a test can repeat a run with the same identities.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// The source of identities.
pub trait Ids: Send + Sync + fmt::Debug {
    /// An identity that nothing else has: a UUID of version 4, whose 122 free bits are random.
    fn next(&self) -> Uuid;
}

/// Identities out of the random numbers of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the library takes random numbers from the operating system"
    )]
    fn next(&self) -> Uuid {
        Uuid::new_v4()
    }
}

/// Identities that follow from a seed: for tests alone, since two processes with the same seed would collide.
#[derive(Debug)]
pub struct SeededIds(AtomicU64);

impl SeededIds {
    /// The identities of `seed`. Sources with different seeds give different identities.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(mixed(seed)))
    }

    fn word(&self) -> u64 {
        mixed(self.0.fetch_add(STEP, Ordering::Relaxed))
    }
}

impl Ids for SeededIds {
    fn next(&self) -> Uuid {
        let (high, low) = (self.word(), self.word());
        uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
            .into_uuid()
    }
}

/// How far SplitMix64 moves with each number: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014): one to one, and every input bit reaches every output bit.
fn mixed(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn identities_are_uuids_of_version_4_that_differ() {
        let sources: [&dyn Ids; 3] = [&RandomIds, &SeededIds::new(1), &SeededIds::new(2)];
        let mut seen = HashSet::new();
        for source in sources {
            for _ in 0..1000 {
                let id = source.next();
                assert_eq!(id.get_version_num(), 4, "{id}");
                assert_eq!(id.get_variant(), uuid::Variant::RFC4122, "{id}");
                assert!(seen.insert(id), "{source:?} gave {id} again");
            }
        }
    }

    #[test]
    fn every_free_bit_takes_both_values() {
        let sources: [&dyn Ids; 2] = [&RandomIds, &SeededIds::new(7)];
        for source in sources {
            let (mut ones, mut zeros) = (0, 0);
            for _ in 0..1000 {
                let id = source.next().as_u128();
                ones |= id;
                zeros |= !id;
            }
            assert_eq!((ones & zeros).count_ones(), 122, "{source:?}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_identities_again() {
        let of = |seed| {
            let ids = SeededIds::new(seed);
            [ids.next(), ids.next(), ids.next()]
        };
        assert_eq!(of(42), of(42));
        assert_ne!(of(42), of(43));
    }
}
