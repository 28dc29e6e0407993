//! Which documents match, how many, and which of them come first.
//!
//! One pass over the matches counts them and keeps the best. (A count of its own, so that tantivy may
//! skip documents that cannot be among the best, was measured to cost more than it saves up to a
//! hundred thousand documents: the words are looked up once more.) By fields, each segment keeps its
//! first documents by the numbers in its columns, and only what is kept turns into values that
//! compare across segments.

use tantivy::collector::{Collector, Count, SegmentCollector, TopDocs};
use tantivy::query::{Bm25StatisticsProvider, Query};
use tantivy::{DocAddress, DocId, Score, Searcher, SegmentOrdinal, SegmentReader};

use super::order::{Column, Key, Keys, Value};
use super::request::Sort;
use crate::error::Result;

/// A document that matches, with what it is ordered by.
pub(super) struct Found {
    /// Which one.
    pub(super) address: DocAddress,
    /// Its score, where that was asked for.
    pub(super) score: Option<Score>,
    /// Its values, where fields were asked for.
    pub(super) values: Vec<Value>,
}

/// How many documents match.
pub(super) fn count(searcher: &Searcher, query: &dyn Query) -> Result<u64> {
    Ok(searcher.search(query, &Count)? as u64)
}

/// The `most` best documents, and how many match.
pub(super) fn by_score(
    searcher: &Searcher,
    query: &dyn Query,
    statistics: &dyn Bm25StatisticsProvider,
    most: usize,
) -> Result<(u64, Vec<Found>)> {
    let top = TopDocs::with_limit(most).order_by_score();
    let (count, found) =
        searcher.search_with_statistics_provider(query, &(Count, top), statistics)?;
    let count = count as u64;
    let found = found.into_iter();
    let found = found
        .map(|(score, address)| Found {
            address,
            score: Some(score),
            values: Vec::new(),
        })
        .collect();
    Ok((count, found))
}

/// A sort key: a column, by the name that tantivy knows it by, or the score.
pub(super) struct SortKey {
    /// The column; none for the score.
    pub(super) column: Option<String>,
    /// Whether the largest comes first.
    pub(super) descending: bool,
}

/// The `most` first documents by `keys`, and how many match.
pub(super) fn by_fields(
    searcher: &Searcher,
    query: &dyn Query,
    keys: Vec<SortKey>,
    most: usize,
) -> Result<(u64, Vec<Found>)> {
    let (count, mut found) = searcher.search(query, &ByFields { keys, most })?;
    found.truncate(most);
    Ok((count, found))
}

struct ByFields {
    keys: Vec<SortKey>,
    most: usize,
}

impl ByFields {
    fn compare(&self, left: &Found, right: &Found) -> std::cmp::Ordering {
        self.keys
            .iter()
            .zip(left.values.iter().zip(&right.values))
            .map(|(key, (left, right))| left.compare(right, key.descending))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| left.address.cmp(&right.address))
    }
}

impl Collector for ByFields {
    type Fruit = (u64, Vec<Found>);
    type Child = SegmentByFields;

    fn for_segment(
        &self,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<SegmentByFields> {
        let columns = self
            .keys
            .iter()
            .map(|key| match &key.column {
                Some(name) => Column::open(reader, name, key.descending),
                None => Ok(Column::score(key.descending)),
            })
            .collect::<tantivy::Result<_>>()?;
        Ok(SegmentByFields {
            segment,
            columns,
            most: self.most,
            scored: self.requires_scoring(),
            count: 0,
            kept: Vec::new(),
            threshold: None,
        })
    }

    fn requires_scoring(&self) -> bool {
        self.keys.iter().any(|key| key.column.is_none())
    }

    fn merge_fruits(
        &self,
        fruits: Vec<tantivy::Result<(u64, Vec<Found>)>>,
    ) -> tantivy::Result<(u64, Vec<Found>)> {
        let mut count = 0;
        let mut all = Vec::new();
        for fruit in fruits {
            let (matches, found) = fruit?;
            count += matches;
            all.extend(found);
        }
        all.sort_unstable_by(|left, right| self.compare(left, right));
        Ok((count, all))
    }
}

struct SegmentByFields {
    segment: SegmentOrdinal,
    columns: Vec<Column>,
    most: usize,
    scored: bool,
    count: u64,
    /// At most twice `most` candidates; cut back to `most` when full.
    kept: Vec<(Keys, DocId, Score)>,
    /// The first key of the last candidate that is certain to be kept.
    threshold: Option<Key>,
}

impl SegmentByFields {
    fn cut(&mut self) {
        if self.kept.len() > self.most {
            let order = |left: &(Keys, DocId, Score), right: &(Keys, DocId, Score)| {
                left.0.cmp(&right.0).then(left.1.cmp(&right.1))
            };
            let (_, last, _) = self.kept.select_nth_unstable_by(self.most - 1, order);
            self.threshold = Some(last.0.first());
            self.kept.truncate(self.most);
        }
    }
}

impl SegmentCollector for SegmentByFields {
    type Fruit = tantivy::Result<(u64, Vec<Found>)>;

    fn collect(&mut self, doc: DocId, score: Score) {
        self.count += 1;
        let Some((first, others)) = self.columns.split_first() else {
            return;
        };
        let key = first.key(doc, score);
        if self.most == 0 || self.threshold.is_some_and(|threshold| key > threshold) {
            return;
        }
        let keys = Keys::new(key, others.iter().map(|column| column.key(doc, score)));
        self.kept.push((keys, doc, score));
        if self.kept.len() >= self.most.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    fn harvest(mut self) -> Self::Fruit {
        self.cut();
        let mut found = Vec::with_capacity(self.kept.len());
        for (keys, doc, score) in &self.kept {
            let values = self
                .columns
                .iter()
                .zip(keys.iter())
                .map(|(column, key)| column.value(key))
                .collect::<tantivy::Result<_>>()?;
            found.push(Found {
                address: DocAddress::new(self.segment, *doc),
                score: self.scored.then_some(*score),
                values,
            });
        }
        Ok((self.count, found))
    }
}

/// Whether the order depends on nothing but the score.
pub(super) fn is_by_score(sort: &[Sort]) -> bool {
    match sort.first() {
        None => true,
        Some(first) => first.field == Sort::SCORE && first.descending && sort.len() == 1,
    }
}
