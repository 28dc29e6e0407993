//! A judged collection: documents, queries, and which documents answer which query.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// A collection that is known, and the best that Lucene reaches on it.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) language: &'static str,
    /// nDCG@10 of Lucene 9.5 with its analyser of the language, in the better of two layouts: `title` and `content` summed, or
    /// one joined field.
    pub(super) lucene: f64,
}

#[rustfmt::skip]
pub(super) const COLLECTIONS: &[Known] = &[
    Known { name: "cranfield", language: "en", lucene: 0.441 },
    Known { name: "cisi", language: "en", lucene: 0.385 },
    Known { name: "cacm", language: "en", lucene: 0.468 },
    Known { name: "jaquad", language: "ja", lucene: 0.912 },
    Known { name: "jsquad-valid", language: "ja", lucene: 0.946 },
    Known { name: "korquad-a", language: "ko", lucene: 0.960 },
    Known { name: "cmrc-dev", language: "zh", lucene: 0.991 },
];

/// The relevance of documents by their keys.
pub(super) type Judged = HashMap<String, u32>;

pub(super) struct Collection {
    pub(super) documents: Vec<Map<String, Value>>,
    /// Number and text of each query that has relevant documents.
    pub(super) queries: Vec<(String, String)>,
    judged: HashMap<String, Judged>,
}

impl Collection {
    /// Reads the files of a collection.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let judged = judged(&folder.join("qrels.txt"))?;
        let queries = fs::read_to_string(folder.join("queries.tsv"))
            .with_context(|| format!("cannot read the queries in {}", folder.display()))?;
        let queries = queries.lines().filter_map(|line| line.split_once('\t'));
        let queries = queries
            .filter(|(number, _)| judged.contains_key(*number))
            .map(|(number, text)| (number.to_owned(), text.to_owned()))
            .collect();
        let path = folder.join("corpus.ndjson.zst");
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let lines = BufReader::new(zstd::Decoder::new(file)?).lines();
        let documents = lines.map(|line| Ok(serde_json::from_str(&line?)?));
        Ok(Self {
            documents: documents.collect::<Result<_>>()?,
            queries,
            judged,
        })
    }

    /// What is relevant to a query.
    pub(super) fn judged(&self, number: &str) -> &Judged {
        static NOTHING: std::sync::LazyLock<Judged> = std::sync::LazyLock::new(Judged::new);
        self.judged.get(number).unwrap_or(&NOTHING)
    }
}

/// The relevant documents of each query that has any: lines of query, 0, key, relevance.
fn judged(path: &Path) -> Result<HashMap<String, Judged>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut judged: HashMap<String, Judged> = HashMap::new();
    for line in text.lines() {
        let [query, _, key, relevance] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            anyhow::bail!("{}: this line has not four parts: {line}", path.display());
        };
        let relevance: i64 = relevance.parse()?;
        if let Ok(relevance) = u32::try_from(relevance)
            && relevance > 0
        {
            let of_query = judged.entry(query.to_owned()).or_default();
            of_query.insert(key.to_owned(), relevance);
        }
    }
    Ok(judged)
}
