//! Search: from a request to hits.
//!
//! The query text is parsed into a typed tree, the tree is lowered against the schema of the index
//! to what tantivy runs, everything that this will read is read at once, and only then it runs:
//! collect the best matches, look at the best of these once more for how close together their words
//! stand, fetch the documents, highlight. All of it has one `budget`, and `turns` say who computes.

mod best;
mod budget;
mod checked;
mod collect;
mod expand;
mod fetch;
mod highlight;
mod hits;
mod known;
pub mod limits;
mod lower;
mod order;
mod parse;
mod query;
mod rank;
mod request;
mod room;
mod turns;
mod values;
mod warm;
mod words;

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::{Searcher, Term};

use self::collect::{Found, SortKey};
use self::lower::{Lowering, Plan};
use self::query::Query;
use self::warm::Positions;
use crate::analysis::Language;
use crate::error::{Error, Result};
use crate::mapping::{IndexSchema, Resolved};

pub(crate) use budget::Budget;

pub use budget::Allowance;
pub use known::KnownTerms;
pub use request::{Hit, Operator, SearchRequest, SearchResponse, Sort};
pub(crate) use room::Room;

/// Runs a search: how many documents match, and the hits that were asked for.
///
/// `known` belongs to the index and outlives the search. Blocks while it reads; `min_version` is the caller's business.
pub(crate) fn execute(
    searcher: &Searcher,
    schema: &IndexSchema,
    known: &KnownTerms,
    request: &SearchRequest,
    budget: &Arc<Budget>,
) -> Result<(u64, Vec<Hit>)> {
    request.validate()?;
    let plan = plan(searcher, schema, request, budget)?;
    let (count, found) = collect(searcher, schema, known, request, &plan, budget)?;
    let hits = hits::hits(searcher, schema, request, &plan, found, budget)?;
    Ok((count, hits))
}

/// Reads the request as a plan.
fn plan<'a>(
    searcher: &Searcher,
    schema: &'a IndexSchema,
    request: &SearchRequest,
    budget: &Arc<Budget>,
) -> Result<Plan<'a>> {
    let lang = match request.lang.as_deref().map(str::trim) {
        None | Some("") => None,
        Some(lang) => Some(
            lang.parse::<Language>()
                .map_err(|error| Error::invalid(format!("`lang` is `{lang}`")).because(error))?,
        ),
    };
    let query = if request.query.trim().is_empty() {
        None
    } else {
        let query = parse::parse(&request.query, request.operator, &|name| {
            is_field(searcher, schema, name)
        })?;
        // Nothing but punctuation finds nothing.
        Some(query.unwrap_or_else(|| Query::Bool(query::Bool::default())))
    };
    let mut filters: Vec<Query> = Vec::new();
    for tag in &request.tags {
        filters.push(Query::Phrase {
            field: Some("tags".to_owned()),
            text: tag.clone(),
        });
    }
    for filter in request
        .filter
        .iter()
        .filter(|filter| !filter.trim().is_empty())
    {
        let query = parse::parse(filter, Operator::And, &|_| true)?;
        filters.push(query.unwrap_or_else(|| Query::Bool(query::Bool::default())));
    }
    Lowering::new(searcher, schema, lang, request.operator, budget)?.plan(query.as_ref(), &filters)
}

/// Whether a name before a colon is meant as a field: a declared one, or one that some document has.
fn is_field(searcher: &Searcher, schema: &IndexSchema, name: &str) -> bool {
    match schema.resolve(name) {
        None => false,
        Some(Resolved::Dynamic { .. }) => {
            let term = Term::from_field_text(schema.present(), name);
            searcher
                .doc_freq(&term)
                .is_ok_and(|documents| documents > 0)
        }
        Some(_) => true,
    }
}

/// Reads ahead, then finds the window of documents that was asked for.
fn collect(
    searcher: &Searcher,
    schema: &IndexSchema,
    known: &KnownTerms,
    request: &SearchRequest,
    plan: &Plan<'_>,
    budget: &Budget,
) -> Result<(u64, Vec<Found>)> {
    let by_score = collect::is_by_score(&request.sort);
    let ranking = rank::Ranking::new(plan);
    let mut terms: HashMap<&Term, Positions> = HashMap::new();
    plan.query.query_terms(&mut |term, positions| {
        let wanted = terms.entry(term).or_default();
        if positions {
            *wanted = Positions::Yes;
        }
    });
    let mut reads = plan.reads.clone();
    let keys = sort_keys(schema, &request.sort)?;
    reads
        .columns
        .extend(keys.iter().filter_map(|key| key.column.clone()));
    if by_score && request.limit > 0 {
        for term in ranking.terms() {
            let wanted = terms.entry(term).or_default();
            *wanted = Positions::OfRare.max(*wanted);
        }
    }
    warm::warm(
        searcher,
        known,
        &warm::Wanted {
            terms,
            reads: &reads,
            lengths: by_score || keys.iter().any(|key| key.column.is_none()),
        },
        budget,
    )?;
    if request.limit == 0 {
        return Ok((collect::count(searcher, &*plan.query, budget)?, Vec::new()));
    }
    let statistics = known::Statistics {
        searcher,
        known,
        budget,
    };
    let end = request.offset + request.limit;
    let (count, mut found) = if by_score {
        let most = end.max(ranking.window());
        let (count, mut found) =
            collect::by_score(searcher, &*plan.query, &statistics, most, budget)?;
        ranking.rescore(searcher, known, budget, &mut found)?;
        (count, found)
    } else {
        collect::by_fields(searcher, &*plan.query, &statistics, &keys, end, budget)?
    };
    found.truncate(end);
    found.drain(..request.offset.min(found.len()));
    Ok((count, found))
}

/// The columns to sort by.
fn sort_keys(schema: &IndexSchema, sort: &[Sort]) -> Result<Vec<SortKey>> {
    sort.iter()
        .map(|key| {
            let name = key.field.as_str();
            let column = if name == Sort::SCORE {
                None
            } else {
                Some(match schema.resolve(name) {
                    Some(Resolved::Dynamic { json, path, .. }) => {
                        lower::json_column(schema, json, &path)
                    }
                    Some(Resolved::Text(_) | Resolved::Key(_)) => {
                        return Err(Error::invalid(format!(
                            "`sort` names `{name}`, which has no order: sort by a keyword, a \
                             number, a date or `{}`",
                            Sort::SCORE
                        )));
                    }
                    Some(_) => name.to_owned(),
                    None => {
                        return Err(Error::invalid(format!(
                            "`sort` names `{name}`, which this index has no field for"
                        )));
                    }
                })
            };
            Ok(SortKey {
                column,
                descending: key.descending,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
