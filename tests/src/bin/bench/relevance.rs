//! How well the best hits answer: nDCG and recall on collections whose relevant documents people have judged.
//!
//! Each collection is searched twice: documents and queries name their language, or neither does and it is detected. Lucene's
//! figures come from the folder's description (`README.md`): the better of its two layouts. They are nDCG@10.

mod collection;
mod measures;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aquifer_indexer::ErrorKind;
use aquifer_indexer::config::Config;
use aquifer_indexer::document::Document;
use aquifer_indexer::index::{Aquifer, Index};
use aquifer_indexer::mapping::Definition;
use aquifer_indexer::search::SearchRequest;

use self::collection::{COLLECTIONS, Collection};
use self::measures::{Measures, RECALL_AT};

/// A query may take so long; none comes near it.
const PATIENCE: Duration = Duration::from_secs(600);

/// Prints the measures of every collection in the folder of documents, or of those that are named.
pub(crate) fn run(named: &[&str]) -> Result<()> {
    let folder = crate::corpus::real_folder()
        .context("AQUIFER_TEST_DATA must name the folder of judged collections (`rel/`)")?;
    println!(
        "| collection | language | queries | nDCG@10 with `lang` | without | Lucene | recall@100 with | without |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    let wanted = |name: &str| named.is_empty() || named.contains(&name);
    for known in COLLECTIONS.iter().filter(|known| wanted(known.name)) {
        let collection = Collection::read(&folder.join("rel").join(known.name))?;
        let with = measure(&collection, Some(known.language))?;
        let without = measure(&collection, None)?;
        println!(
            "| {} | {} | {} | {:.4} | {:.4} | {:.3} | {:.4} | {:.4} |",
            known.name,
            known.language,
            collection.queries.len(),
            with.ndcg,
            without.ndcg,
            known.lucene,
            with.recall,
            without.recall,
        );
    }
    Ok(())
}

/// Indexes a collection and asks all its queries.
fn measure(collection: &Collection, language: Option<&str>) -> Result<Measures> {
    let folder = tempfile::Builder::new().prefix("relevance-").tempdir()?;
    let root = Aquifer::open(folder.path(), Config::default())?;
    root.create_index("judged", &Definition::default())?;
    let index = root.index("judged")?;
    load(&index, collection, language)?;
    let mut sum = Measures::default();
    for (number, query) in &collection.queries {
        let request = SearchRequest {
            query: query.clone(),
            lang: language.map(str::to_owned),
            limit: RECALL_AT,
            fields: Some(vec!["unique_key".to_owned()]),
            ..SearchRequest::default()
        };
        let found = match index.search(&request, Instant::now() + PATIENCE) {
            Err(error) if error.kind() == ErrorKind::Invalid => {
                eprintln!("query {number} counts as not answered: {error}");
                continue;
            }
            found => found?,
        };
        let keys = found.hits.iter().map(|hit| hit.unique_key.as_str());
        sum.add(&Measures::of(keys, collection.judged(number)));
    }
    Ok(sum.mean(collection.queries.len()))
}

fn load(index: &Index, collection: &Collection, language: Option<&str>) -> Result<()> {
    let schema = index.schema()?;
    let documents = collection.documents.iter().map(|source| {
        let mut source = source.clone();
        source.remove("lang");
        if let Some(language) = language {
            source.insert("lang".to_owned(), language.into());
        }
        let text = serde_json::to_string(&source)?;
        Document::parse(&text, &schema).map_err(|error| anyhow::anyhow!("{error:?}"))
    });
    let documents = documents.collect::<Result<Vec<Document>>>()?;
    let bulk = index.bulk()?;
    bulk.add(documents)?;
    bulk.finish()?;
    index.compact(None)?;
    Ok(())
}
