//! The documents and queries: real ones from the folder in `AQUIFER_TEST_DATA`, else synthetic.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use anyhow::{Context, Result};
use aquifer_indexer::document::Document;
use aquifer_indexer::mapping::IndexSchema;
use serde_json::{Map, Value};

/// Where the synthetic words start.
const SEED: u64 = 0xA0_1F_E8;
const SYNTHETIC_DOCUMENTS: u64 = 20_000;
const SYNTHETIC_VOCABULARY: f64 = 200_000.0;
const SYNTHETIC_QUERIES: u64 = 500;

/// Documents without their keys, to be repeated with other keys, and queries.
pub(crate) struct Corpus {
    texts: Vec<(String, String)>,
    queries: Vec<String>,
    description: String,
}

impl Corpus {
    /// Reads the real documents, or says that it makes do without.
    pub(crate) fn load() -> Result<Self> {
        let Some(folder) = real_folder() else {
            eprintln!("AQUIFER_TEST_DATA is not set: synthetic documents (Zipf, seed {SEED})");
            return Ok(Self::synthetic());
        };
        let path = folder.join("en.ndjson.zst");
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut texts = Vec::new();
        for line in BufReader::new(zstd::Decoder::new(file)?).lines() {
            let mut source: Map<String, Value> = serde_json::from_str(&line?)?;
            let key = source.remove("unique_key");
            let key = key.as_ref().and_then(Value::as_str).unwrap_or_default();
            texts.push((key.to_owned(), serde_json::to_string(&source)?));
        }
        anyhow::ensure!(!texts.is_empty(), "{} has no documents", path.display());
        let queries = queries()?;
        let description = format!(
            "{} real English documents, repeated with changed keys where that is not enough, and \
             {} queries",
            texts.len(),
            queries.len()
        );
        Ok(Self {
            texts,
            queries,
            description,
        })
    }

    fn synthetic() -> Self {
        let text = |number: u64| {
            let (title, content) = (words(number * 512, 6), words(number * 512 + 6, 150));
            let source = serde_json::json!({"lang": "en", "title": title, "content": content});
            (format!("made-up-{number}"), source.to_string())
        };
        Self {
            texts: (0..SYNTHETIC_DOCUMENTS).map(text).collect(),
            queries: synthetic_queries(),
            description: format!("synthetic documents (Zipf, seed {SEED}): no AQUIFER_TEST_DATA"),
        }
    }

    /// What the documents are.
    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    /// The queries, of one word or several.
    pub(crate) fn queries(&self) -> &[String] {
        &self.queries
    }

    /// The JSON text of document `number`; the numbers have no end.
    pub(crate) fn source(&self, number: usize) -> String {
        let Some((key, rest)) = self.texts.get(number % self.texts.len()) else {
            return String::new();
        };
        let key = Value::from(format!("{key}~{}", number / self.texts.len()));
        format!(
            "{{\"unique_key\":{key},{}",
            rest.get(1..).unwrap_or_default()
        )
    }

    /// Document `number`, parsed.
    pub(crate) fn document(&self, number: usize, schema: &IndexSchema) -> Result<Document> {
        parse(&self.source(number), schema)
    }
}

pub(crate) fn real_folder() -> Option<PathBuf> {
    std::env::var_os("AQUIFER_TEST_DATA").map(PathBuf::from)
}

/// The queries, without the documents.
pub(crate) fn queries() -> Result<Vec<String>> {
    let Some(folder) = real_folder() else {
        return Ok(synthetic_queries());
    };
    let mut queries = Vec::new();
    for name in ["queries/en-sbg.txt", "queries/en-titles.txt"] {
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        queries.extend(text.lines().map(str::to_owned));
    }
    Ok(queries)
}

fn synthetic_queries() -> Vec<String> {
    (0..SYNTHETIC_QUERIES)
        .map(|number| words(u64::MAX / 2 + number * 8, 1 + number % 4))
        .collect()
}

/// Parses a document.
pub(crate) fn parse(source: &str, schema: &IndexSchema) -> Result<Document> {
    let document = Document::parse(source, schema);
    document.map_err(|error| anyhow::anyhow!("{}: {source}", error.detail))
}

/// The small document that a single post carries.
pub(crate) fn small_source(number: u64) -> String {
    let content = words(u64::MAX / 4 + number * 64, 20);
    let source = serde_json::json!({
        "unique_key": format!("post-{number}"), "lang": "en", "title": "a small document",
        "content": content,
    });
    source.to_string()
}

/// Words of a vocabulary in which the n-th is about n times rarer than the first.
fn words(from: u64, count: u64) -> String {
    let word = |number: u64| {
        let mut mixed = (number ^ SEED).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        #[expect(clippy::cast_precision_loss, reason = "the top 53 bits are exact")]
        let uniform = ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1_u64 << 53) as f64;
        format!("w{:.0}", SYNTHETIC_VOCABULARY.powf(uniform))
    };
    (from..from + count).map(word).collect::<Vec<_>>().join(" ")
}
