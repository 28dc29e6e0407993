//! Which documents match, how many, and which of them come first.
//!
//! One pass over the matches of each segment counts them and keeps the best, and asks the budget on the way. (A count
//! of its own, so that tantivy may skip documents that cannot be among the best, was measured to cost
//! more than it saves up to a hundred thousand documents: the words are looked up once more.) What is
//! kept does not grow with the number of segments: those before a segment have set a threshold. By fields,
//! each segment keeps its first documents by the numbers in its columns, and only what is kept turns
//! into values that compare across segments.

use tantivy::query::{Bm25StatisticsProvider, EnableScoring, Query, Weight};
use tantivy::{
    COLLECT_BLOCK_BUFFER_LEN, DocAddress, DocId, DocSet, Score, Searcher, SegmentOrdinal,
    SegmentReader, TERMINATED,
};

use super::budget::Budget;
use super::limits;
use super::order::{Column, Key, Keys, Value};
use super::request::Sort;
use crate::error::{Error, ErrorKind, Result};

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
pub(super) fn count(searcher: &Searcher, query: &dyn Query, budget: &Budget) -> Result<u64> {
    let weight = query.weight(EnableScoring::disabled_from_searcher(searcher))?;
    let mut count = 0;
    for segment in searcher.segment_readers() {
        count += each(&*weight, segment, false, budget, &mut |_, _| {})?;
    }
    Ok(count)
}

/// Gives every document of a segment that matches, with its score if `scored`; says how many there are.
fn each(
    weight: &dyn Weight,
    segment: &SegmentReader,
    scored: bool,
    budget: &Budget,
    take: &mut impl FnMut(DocId, Score),
) -> tantivy::Result<u64> {
    budget.check_within()?;
    let alive = segment.alive_bitset();
    let is_alive = |doc| alive.is_none_or(|alive| alive.is_alive(doc));
    let mut scorer = weight.scorer(segment, 1.0)?;
    let (mut count, mut steps) = (0, 0_u32);
    if scored {
        let mut doc = scorer.doc();
        while doc != TERMINATED {
            if is_alive(doc) {
                count += 1;
                take(doc, scorer.score());
            }
            doc = scorer.advance();
            steps += 1;
            if steps.is_multiple_of(limits::CHECK_EVERY) {
                budget.check_within()?;
            }
        }
        return Ok(count);
    }
    let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
    loop {
        let filled = scorer.fill_buffer(&mut block);
        for doc in block.iter().take(filled).copied() {
            if is_alive(doc) {
                count += 1;
                take(doc, 0.0);
            }
        }
        if filled < block.len() {
            return Ok(count);
        }
        steps += 1;
        if steps.is_multiple_of(limits::CHECK_EVERY / 16) {
            budget.check_within()?;
        }
    }
}

/// The `most` best documents, and how many match.
pub(super) fn by_score(
    searcher: &Searcher,
    query: &dyn Query,
    statistics: &dyn Bm25StatisticsProvider,
    most: usize,
    budget: &Budget,
) -> Result<(u64, Vec<Found>)> {
    let scoring = EnableScoring::enabled_from_statistics_provider(statistics, searcher);
    let weight = query.weight(scoring)?;
    let mut top = Top::new(most);
    let mut count = 0;
    for (ordinal, segment) in (0..).zip(searcher.segment_readers()) {
        count += each(&*weight, segment, true, budget, &mut |doc, score| {
            top.add(score, DocAddress::new(ordinal, doc));
        })?;
    }
    let found = top.best().into_iter();
    let found = found
        .map(|(score, address)| Found {
            address,
            score: Some(score),
            values: Vec::new(),
        })
        .collect();
    Ok((count, found))
}

/// The best of what came so far.
struct Top {
    most: usize,
    /// At most twice `most`; cut back when full.
    kept: Vec<(Score, DocAddress)>,
    /// What a score must exceed to be kept: of equal ones, who came first is kept.
    threshold: Option<Score>,
}

impl Top {
    fn new(most: usize) -> Self {
        Self {
            most,
            kept: Vec::new(),
            threshold: None,
        }
    }

    /// Documents come in the order of their addresses.
    fn add(&mut self, score: Score, address: DocAddress) {
        if self.threshold.is_some_and(|threshold| score <= threshold) {
            return;
        }
        self.kept.push((score, address));
        if self.kept.len() >= self.most.saturating_mul(2).max(64) {
            self.kept
                .select_nth_unstable_by(self.most.saturating_sub(1), Self::order);
            self.kept.truncate(self.most);
            self.threshold = self.kept.last().map(|(score, _)| *score);
        }
    }

    fn order(left: &(Score, DocAddress), right: &(Score, DocAddress)) -> std::cmp::Ordering {
        right.0.total_cmp(&left.0).then(left.1.cmp(&right.1))
    }

    fn best(mut self) -> Vec<(Score, DocAddress)> {
        self.kept.sort_unstable_by(Self::order);
        self.kept.truncate(self.most);
        self.kept
    }
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
    statistics: &dyn Bm25StatisticsProvider,
    keys: &[SortKey],
    most: usize,
    budget: &Budget,
) -> Result<(u64, Vec<Found>)> {
    let scored = keys.iter().any(|key| key.column.is_none());
    let weight = query.weight(if scored {
        EnableScoring::enabled_from_statistics_provider(statistics, searcher)
    } else {
        EnableScoring::disabled_from_searcher(searcher)
    })?;
    let mut count = 0;
    let mut first: Vec<Found> = Vec::new();
    for (ordinal, segment) in (0..).zip(searcher.segment_readers()) {
        let mut here = SegmentByFields::open(ordinal, segment, keys, most, scored)?;
        count += each(&*weight, segment, scored, budget, &mut |doc, score| {
            here.collect(doc, score);
        })?;
        first.extend(here.harvest(budget)?);
        first.sort_unstable_by(|left, right| compare(keys, left, right));
        first.truncate(most);
        let bytes: usize = first
            .iter()
            .flat_map(|found| &found.values)
            .map(Value::text_bytes)
            .sum();
        bounded(bytes, most)?;
    }
    Ok((count, first))
}

/// Fails where the texts to sort by take too much memory.
fn bounded(bytes: usize, most: usize) -> Result<()> {
    if bytes <= limits::SORT_BYTES {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!(
            "the texts that the first {most} documents are sorted by come to more than {} bytes: ask for a \
             smaller limit + offset, or sort by shorter fields",
            limits::SORT_BYTES
        ),
    ))
}

fn compare(keys: &[SortKey], left: &Found, right: &Found) -> std::cmp::Ordering {
    keys.iter()
        .zip(left.values.iter().zip(&right.values))
        .map(|(key, (left, right))| left.compare(right, key.descending))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.address.cmp(&right.address))
}

struct SegmentByFields {
    segment: SegmentOrdinal,
    columns: Vec<Column>,
    most: usize,
    scored: bool,
    /// At most twice `most` candidates; cut back to `most` when full.
    kept: Vec<(Keys, DocId, Score)>,
    /// The first key of the last candidate that is certain to be kept.
    threshold: Option<Key>,
}

impl SegmentByFields {
    fn open(
        segment: SegmentOrdinal,
        reader: &SegmentReader,
        keys: &[SortKey],
        most: usize,
        scored: bool,
    ) -> tantivy::Result<Self> {
        let columns = keys
            .iter()
            .map(|key| match &key.column {
                Some(name) => Column::open(reader, name, key.descending),
                None => Ok(Column::score(key.descending)),
            })
            .collect::<tantivy::Result<_>>()?;
        Ok(Self {
            segment,
            columns,
            most,
            scored,
            kept: Vec::new(),
            threshold: None,
        })
    }

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

impl SegmentByFields {
    fn collect(&mut self, doc: DocId, score: Score) {
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

    /// The values behind the keys of what was kept.
    fn harvest(mut self, budget: &Budget) -> Result<Vec<Found>> {
        self.cut();
        let mut found = Vec::with_capacity(self.kept.len());
        let (mut bytes, mut steps) = (0, 0_u32);
        for (keys, doc, score) in &self.kept {
            let values: Vec<Value> = self
                .columns
                .iter()
                .zip(keys.iter())
                .map(|(column, key)| column.value(key))
                .collect::<tantivy::Result<_>>()?;
            bytes += values.iter().map(Value::text_bytes).sum::<usize>();
            found.push(Found {
                address: DocAddress::new(self.segment, *doc),
                score: self.scored.then_some(*score),
                values,
            });
            bounded(bytes, self.most)?;
            steps += 1;
            if steps.is_multiple_of(limits::CHECK_EVERY) {
                budget.check()?;
            }
        }
        Ok(found)
    }
}

/// Whether the order depends on nothing but the score.
pub(super) fn is_by_score(sort: &[Sort]) -> bool {
    match sort.first() {
        None => true,
        Some(first) => first.field == Sort::SCORE && first.descending && sort.len() == 1,
    }
}
