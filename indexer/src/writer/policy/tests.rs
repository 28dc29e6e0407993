use super::*;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

fn candidate(bytes: u64) -> Candidate {
    Candidate {
        bytes,
        docs: DocCount::new((bytes / 1000).max(1)),
        deleted: DocCount::ZERO,
    }
}

/// An index of which only the sizes of its segments are known.
#[derive(Default)]
struct Simulation {
    segments: Vec<Candidate>,
    added: u64,
    copied: u64,
    largest_merge: usize,
}

impl Simulation {
    fn add(&mut self, segment: Candidate) {
        self.added += segment.bytes;
        self.segments.push(segment);
    }

    /// Merges once; `false` when nothing is due.
    fn merge(&mut self, chosen: &[usize], limit: u64) -> bool {
        let members: Vec<Candidate> = chosen.iter().map(|&at| self.segments[at]).collect();
        if members.is_empty() {
            return false;
        }
        let merged = Candidate {
            bytes: members.iter().map(|member| member.live_bytes()).sum(),
            docs: members.iter().map(|member| member.live_docs()).sum(),
            deleted: DocCount::ZERO,
        };
        assert!(merged.bytes <= limit, "{} of {limit} bytes", merged.bytes);
        assert!(merged.docs <= DOCS_MAX, "{} documents", merged.docs);
        self.copied += merged.bytes;
        self.largest_merge = self.largest_merge.max(members.len());
        let mut position = 0;
        self.segments.retain(|_| {
            position += 1;
            !chosen.contains(&(position - 1))
        });
        self.segments.push(merged);
        true
    }

    fn merge_while_due(&mut self, limit: u64) {
        while self.merge(&choose(&self.segments, limit), limit) {}
    }

    /// How often each byte was written.
    #[expect(clippy::cast_precision_loss, reason = "a ratio to look at")]
    fn amplification(&self) -> f64 {
        (self.added + self.copied) as f64 / self.added as f64
    }

    fn check(&self, segments: usize, amplification: f64) {
        let count = self.segments.len();
        assert!(count <= segments, "{count} segments");
        let written = self.amplification();
        assert!(written <= amplification, "each byte written {written}");
        assert!(self.largest_merge <= MEMBERS_MAX, "{}", self.largest_merge);
    }
}

/// The same numbers in each run.
fn chance(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn a_full_tier_is_merged_and_a_rotten_segment_rewritten() {
    assert!(choose(&[candidate(1000); 7], INLINE_MAX).is_empty());
    assert_eq!(choose(&[candidate(1000); 8], INLINE_MAX).len(), 8);
    let rotten = Candidate {
        bytes: 1 << 20,
        docs: DocCount::new(100),
        deleted: DocCount::new(26),
    };
    assert_eq!(choose(&[candidate(1000), rotten], INLINE_MAX), [1]);
    assert!(choose(&[candidate(INLINE_MAX + 1); 8], INLINE_MAX).is_empty());
}

#[test]
fn members_that_do_not_fit_hold_up_no_others() {
    // The first ones of the tier are too large for eight of them to fit.
    let mut candidates = vec![candidate(MIB); 7];
    candidates.extend([candidate(300 * 1024); 8]);
    let chosen = choose(&candidates, INLINE_MAX);
    assert_eq!(chosen, [0, 7, 8, 9, 10, 11, 12, 13, 14]);
    // No eight fit, so as many as fill the limit are taken.
    assert_eq!(choose(&[candidate(MIB); 8], INLINE_MAX).len(), 4);
}

#[test]
fn a_backlog_is_merged_in_bounded_steps() {
    let chosen = choose(&[candidate(MIB); 542], u64::MAX);
    assert_eq!(chosen.len(), MEMBERS_MAX);
    let chosen = choose_all(&[candidate(MIB); 542], u64::MAX);
    assert_eq!(chosen.len(), COMPACTION_MEMBERS_MAX);
}

#[test]
fn large_segments_are_merged() {
    for bytes in [GIB, 3 * GIB, 4 * GIB, 40 * GIB] {
        assert_eq!(choose(&[candidate(bytes); 8], u64::MAX).len(), 8, "{bytes}");
    }
    let full = Candidate {
        bytes: GIB,
        docs: DocCount::new(DOCS_MAX.get() / 2 + 1),
        deleted: DocCount::ZERO,
    };
    assert!(choose(&[full; 8], u64::MAX).is_empty());
}

#[test]
fn a_compaction_leaves_as_few_segments_as_fit_and_nothing_deleted() {
    let check = |sizes: &[u64], limit: u64, expected: usize| {
        let mut simulation = Simulation::default();
        for (number, &bytes) in sizes.iter().enumerate() {
            let docs = bytes / 1000;
            let deleted = if number % 3 == 0 { docs / 10 } else { 0 };
            simulation.add(Candidate {
                bytes,
                docs: DocCount::new(docs),
                deleted: DocCount::new(deleted),
            });
        }
        while simulation.merge(&choose_all(&simulation.segments, limit), limit) {}
        assert_eq!(simulation.segments.len(), expected);
        assert!(
            simulation
                .segments
                .iter()
                .all(|s| s.deleted == DocCount::ZERO)
        );
        assert!(simulation.amplification() <= 3.1);
    };
    check(&[MIB; 542], u64::MAX, 1);
    check(&[10 * MIB, 20 * MIB, 5 * GIB], u64::MAX, 1);
    check(&[10 * MIB, 20 * MIB, 5 * GIB], GIB, 2);
    // A large segment with deletes is not reached by the smallest that fit, and rewritten all the same.
    check(&[900 * MIB, 900 * MIB, 900 * MIB, 900 * MIB], GIB, 4);
}

#[test]
fn one_document_posts_are_kept_few_by_commits_alone() {
    let mut simulation = Simulation::default();
    let mut most = 0;
    for post in 0..1_000_000 {
        simulation.add(candidate(2400));
        let limit = inline_limit(simulation.segments.len());
        let chosen = choose(&simulation.segments, limit);
        simulation.merge(&chosen, limit);
        if post == 3_039 {
            simulation.check(24, 4.5);
        }
        most = most.max(simulation.segments.len());
    }
    simulation.check(128, 8.0);
    assert!(most <= 128, "{most} segments in between");
    let small = simulation.segments.iter().filter(|s| s.bytes < MIB).count();
    assert!(small <= 4 * FAN_IN, "{small} small segments");
}

#[test]
fn bulk_sizes_among_small_posts_hold_up_nothing() {
    let mut simulation = Simulation::default();
    let mut state = 7;
    for post in 0..20_000 {
        let bytes = match chance(&mut state) % 100 {
            0 => 4 * MIB + chance(&mut state) % (16 * MIB),
            1..10 => 100_000 + chance(&mut state) % MIB,
            _ => 2000 + chance(&mut state) % 10_000,
        };
        simulation.add(candidate(bytes));
        let limit = inline_limit(simulation.segments.len());
        let chosen = choose(&simulation.segments, limit);
        simulation.merge(&chosen, limit);
        if post % 1000 == 999 {
            // Two thirds of the bytes come in segments that are beyond the first limit.
            simulation.check(160, 5.0);
        }
    }
    simulation.merge_while_due(u64::MAX);
    simulation.check(40, 8.0);
}

#[test]
fn the_number_of_segments_stays_logarithmic_up_to_ten_terabytes() {
    for (limit, segments) in [
        (u64::MAX, 60),
        (2 * TIB, 60),
        // With less room than the index, its size over half the room.
        (100 * GIB, 205 + 60),
    ] {
        let mut simulation = Simulation::default();
        for _ in 0..10 * TIB / (256 * MIB) {
            simulation.add(candidate(256 * MIB));
            simulation.merge_while_due(limit);
        }
        simulation.check(segments, 7.5);
    }
}

#[test]
fn skewed_sizes_stay_few() {
    let mut state = 42;
    let mut simulation = Simulation::default();
    for round in 1..=20_000 {
        // Between 1 KB and 1 GiB, each order of magnitude as often.
        let bytes = 1000 << (chance(&mut state) % 21);
        simulation.add(candidate(bytes + chance(&mut state) % bytes));
        simulation.merge_while_due(u64::MAX);
        if round % 1000 == 0 {
            simulation.check(11 * (FAN_IN - 1), 5.0);
        }
    }
}

#[test]
fn deletes_are_reclaimed_at_a_bounded_price() {
    let mut state = 1;
    let mut simulation = Simulation::default();
    // Each commit replaces documents of an index of 100,000.
    for _ in 0..20_000 {
        let docs = |s: &Candidate| s.live_docs().get();
        let all: u64 = simulation.segments.iter().map(docs).sum();
        if all > 100_000 {
            for _ in 0..100 {
                let mut at = chance(&mut state) % all;
                let hit = simulation.segments.iter().position(|segment| {
                    let within = at < docs(segment);
                    at = at.saturating_sub(docs(segment));
                    within
                });
                if let Some(hit) = hit {
                    simulation.segments[hit].deleted += DocCount::ONE;
                }
            }
            simulation
                .segments
                .retain(|s| s.live_docs() > DocCount::ZERO);
        }
        simulation.add(candidate(100_000));
        simulation.merge_while_due(u64::MAX);
        let bytes: u64 = simulation.segments.iter().map(|s| s.bytes).sum();
        let live: u64 = simulation.segments.iter().map(|s| s.live_bytes()).sum();
        assert!(bytes <= live * 3 / 2, "{bytes} bytes for {live}");
    }
    simulation.check(6 * (FAN_IN - 1), 12.0);
}
