//! The hits of an answer: fetched in groups, so that no more documents lie in memory than were asked for.

use std::sync::Arc;

use tantivy::{DocAddress, Searcher};

use super::budget::Budget;
use super::collect::Found;
use super::highlight::Highlighter;
use super::lower::Plan;
use super::request::{Hit, SearchRequest};
use super::{fetch, limits, order};
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::IndexSchema;
use crate::snapshot::sources::fetch_sources;

/// What a hit takes in an answer besides its texts, about.
const HIT_BYTES: usize = 64;

/// Fetches the documents and makes them the hits of the answer.
///
/// # Errors
/// [`ErrorKind::AnswerTooLarge`] as soon as they come to more than is allowed.
pub(super) fn hits(
    searcher: &Searcher,
    schema: &IndexSchema,
    request: &SearchRequest,
    plan: &Plan<'_>,
    found: Vec<Found>,
    budget: &Arc<Budget>,
) -> Result<Vec<Hit>> {
    let mut highlighter = request
        .highlight
        .then(|| Highlighter::new(&plan.marks, &plan.targets, budget));
    let mut hits = Vec::with_capacity(found.len());
    let mut bytes = 0;
    let mut found = found.into_iter();
    let (mut group, mut largest) = (limits::FIRST_GROUP, 1);
    loop {
        let next: Vec<Found> = found.by_ref().take(group).collect();
        if next.is_empty() {
            return Ok(hits);
        }
        let addresses: Vec<DocAddress> = next.iter().map(|found| found.address).collect();
        let sources = budget.block_on(fetch_sources(searcher, schema.source(), &addresses))?;
        for (found, source) in next.into_iter().zip(sources) {
            budget.check()?;
            largest = largest.max(source.len());
            let hit = hit(request, highlighter.as_mut(), found, source)?;
            bytes += size(&hit);
            if bytes > budget.answer_bytes() {
                return Err(too_large(budget.answer_bytes()));
            }
            hits.push(hit);
        }
        group = (limits::GROUP_BYTES / largest).clamp(1, limits::GROUP_MOST);
    }
}

fn hit(
    request: &SearchRequest,
    highlighter: Option<&mut Highlighter<'_>>,
    found: Found,
    source: String,
) -> Result<Hit> {
    let mut sort: Vec<serde_json::Value> = found
        .values
        .into_iter()
        .map(order::Value::into_json)
        .collect();
    if !request.sort.is_empty() && sort.is_empty() {
        sort.extend(found.score.map(serde_json::Value::from));
    }
    Ok(Hit {
        unique_key: fetch::unique_key(&source)?,
        score: found.score,
        highlight: match highlighter {
            Some(highlighter) => highlighter.document(&source)?,
            None => Default::default(),
        },
        source: fetch::select(source, request.fields.as_deref())?,
        sort,
    })
}

/// Bytes of a hit in an answer, about.
fn size(hit: &Hit) -> usize {
    let fragments = hit.highlight.iter();
    let fragments: usize = fragments
        .map(|(field, fragments)| field.len() + fragments.iter().map(String::len).sum::<usize>())
        .sum();
    let texts = hit.sort.iter().filter_map(serde_json::Value::as_str);
    let texts: usize = texts.map(str::len).sum();
    HIT_BYTES + hit.source.get().len() + fragments + texts
}

fn too_large(most: usize) -> Error {
    Error::new(
        ErrorKind::AnswerTooLarge,
        format!(
            "the hits come to more than {most} bytes, which are the limit here: ask for a part of them with limit and \
             offset, or for less of each document with fields"
        ),
    )
}
