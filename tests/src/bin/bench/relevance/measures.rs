//! nDCG@10 with linear gain, as trec_eval computes it, and recall@100.

use super::collection::Judged;

/// Hits that nDCG looks at.
const NDCG_AT: usize = 10;
/// Hits that recall looks at.
pub(super) const RECALL_AT: usize = 100;

/// The measures of one query, or their mean over several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measures {
    pub(super) ndcg: f64,
    pub(super) recall: f64,
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
impl Measures {
    /// Of the hits of a query, the best first.
    pub(super) fn of<'a>(hits: impl Iterator<Item = &'a str>, judged: &Judged) -> Self {
        let gains: Vec<u32> = hits
            .take(RECALL_AT)
            .map(|key| judged.get(key).copied().unwrap_or(0))
            .collect();
        let mut ideal: Vec<u32> = judged.values().copied().collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        let best = discounted(&ideal);
        let found = gains.iter().filter(|gain| **gain > 0).count();
        Self {
            ndcg: if best > 0.0 {
                discounted(&gains) / best
            } else {
                0.0
            },
            recall: found as f64 / judged.len().max(1) as f64,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.ndcg += other.ndcg;
        self.recall += other.recall;
    }

    pub(super) fn mean(self, queries: usize) -> Self {
        let queries = queries.max(1) as f64;
        Self {
            ndcg: self.ndcg / queries,
            recall: self.recall / queries,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn discounted(gains: &[u32]) -> f64 {
    let gains = gains.iter().take(NDCG_AT).enumerate();
    gains
        .map(|(rank, gain)| f64::from(*gain) / ((rank + 2) as f64).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measures_are_those_of_trec_eval() {
        let judged = Judged::from([("a".into(), 3), ("b".into(), 1), ("c".into(), 2)]);
        let measures = Measures::of(["b", "x", "a"].into_iter(), &judged);
        // 1/log2(2) + 3/log2(4), over 3/log2(2) + 2/log2(3) + 1/log2(4).
        let expected = (1.0 + 3.0 / 2.0) / (3.0 + 2.0 / 3_f64.log2() + 1.0 / 2.0);
        assert!((measures.ndcg - expected).abs() < 1e-12, "{measures:?}");
        assert!((measures.recall - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            Measures::of(std::iter::empty(), &judged),
            Measures::default()
        );
    }
}
