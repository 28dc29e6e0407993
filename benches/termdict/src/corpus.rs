//! The documents and queries: real ones from the folder in `AQUIFER_TEST_DATA`, else synthetic.
//!
//! Document number `n` is always the same document, so every run and both variants see one corpus.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::{Context, Result};
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value};

const SEED: u64 = 0xA0_1F_E8;
const SYNTHETIC_VOCABULARY: u32 = 200_000;
const SYNTHETIC_WORDS: std::ops::Range<usize> = 60..340;
const SYNTHETIC_QUERIES: usize = 150;

/// One document to index.
pub(crate) struct Document {
    pub(crate) key: String,
    pub(crate) title: String,
    pub(crate) content: String,
    pub(crate) tags: Vec<String>,
    pub(crate) source: Vec<u8>,
}

/// Where the documents come from.
pub(crate) enum Corpus {
    /// Documents read from the disk, repeated as often as needed.
    Real { documents: Vec<Map<String, Value>> },
    /// Texts of a vocabulary with Zipf's frequencies.
    Synthetic { frequencies: WeightedIndex<f64> },
}

impl Corpus {
    /// Reads the folder in `AQUIFER_TEST_DATA`, or says that it makes do without.
    pub(crate) fn load() -> Result<Corpus> {
        let Some(folder) = real_folder() else {
            eprintln!("AQUIFER_TEST_DATA is not set: synthetic documents (Zipf, seed {SEED})");
            return Ok(Corpus::Synthetic {
                frequencies: zipf()?,
            });
        };
        let path = folder.join("en.ndjson.zst");
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let documents = BufReader::new(zstd::Decoder::new(file)?)
            .lines()
            .map(|line| Ok(serde_json::from_str(&line?)?))
            .collect::<Result<Vec<_>>>()?;
        Ok(Corpus::Real { documents })
    }

    /// Document number `number`. The numbers have no end: a real document that comes again has
    /// another key and one more word, found nowhere else, so that the vocabulary grows with the
    /// documents. Keys end in an unordered number: if they ended in a count, the FST would share
    /// all their endings, as it seldom can in life.
    pub(crate) fn document(&self, number: u32) -> Result<Document> {
        let mut source = match self {
            Corpus::Real { documents } => {
                let count = u32::try_from(documents.len())?;
                let mut source = documents
                    .get((number % count) as usize)
                    .context("en.ndjson.zst has no documents")?
                    .clone();
                if number >= count {
                    let content = format!("{} {}", text(&source, "content"), word(number));
                    source.insert("content".into(), content.into());
                }
                source
            }
            Corpus::Synthetic { frequencies } => synthetic(number, frequencies),
        };
        let key = format!("{}-{:08x}", text(&source, "unique_key"), scrambled(number));
        source.insert("unique_key".into(), key.clone().into());
        let tags = source.get("tags").and_then(Value::as_array);
        Ok(Document {
            key,
            title: text(&source, "title").to_owned(),
            content: text(&source, "content").to_owned(),
            tags: tags
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            source: serde_json::to_vec(&source)?,
        })
    }
}

/// The queries, each of one word or several.
pub(crate) fn queries() -> Result<Vec<String>> {
    if let Some(folder) = real_folder() {
        let path = folder.join("queries/en-sbg.txt");
        let queries = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(queries.lines().map(str::to_owned).collect());
    }
    let (mut random, frequencies) = (StdRng::seed_from_u64(SEED), zipf()?);
    let mut query = || {
        let words = random.random_range(1..=4);
        words_of(&mut random, &frequencies, words)
    };
    Ok((0..SYNTHETIC_QUERIES).map(|_| query()).collect())
}

fn real_folder() -> Option<PathBuf> {
    std::env::var_os("AQUIFER_TEST_DATA").map(PathBuf::from)
}

fn zipf() -> Result<WeightedIndex<f64>> {
    let weights = (1..=SYNTHETIC_VOCABULARY).map(|rank| 1.0 / f64::from(rank));
    Ok(WeightedIndex::new(weights)?)
}

fn text<'a>(source: &'a Map<String, Value>, field: &str) -> &'a str {
    source
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn synthetic(number: u32, frequencies: &WeightedIndex<f64>) -> Map<String, Value> {
    let mut random = StdRng::seed_from_u64(SEED ^ (u64::from(number) << 32));
    let length = random.random_range(SYNTHETIC_WORDS);
    let content = words_of(&mut random, frequencies, length);
    Map::from_iter([
        ("unique_key".into(), word(number / 16).into()),
        ("title".into(), words_of(&mut random, frequencies, 6).into()),
        (
            "content".into(),
            format!("{content} {}", word(SYNTHETIC_VOCABULARY + number)).into(),
        ),
        ("tags".into(), vec![word(number % 40)].into()),
    ])
}

fn words_of(random: &mut StdRng, frequencies: &WeightedIndex<f64>, count: usize) -> String {
    let ranks = frequencies.sample_iter(random).take(count);
    ranks
        .filter_map(|rank| u32::try_from(rank).ok())
        .map(word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The made-up word of a number: a different one for each number under 2^24.
fn word(number: u32) -> String {
    const CONSONANTS: &[u8] = b"bdfghklmnprstv";
    const VOWELS: &[u8] = b"aeiou";
    let mut rest = (scrambled(number) & 0xFF_FFFF) as usize;
    let mut word = String::with_capacity(8);
    for _ in 0..4 {
        let consonant = CONSONANTS.iter().cycle().nth(rest % CONSONANTS.len());
        rest /= CONSONANTS.len();
        let vowel = VOWELS.iter().cycle().nth(rest % VOWELS.len());
        rest /= VOWELS.len();
        word.extend(
            consonant
                .into_iter()
                .chain(vowel)
                .map(|&letter| char::from(letter)),
        );
    }
    word
}

/// A permutation of the numbers, of all 32 bits and of the lowest 24.
fn scrambled(number: u32) -> u32 {
    number.wrapping_mul(0x9E37_79B1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn made_up_words_differ() {
        let words: HashSet<_> = (0..200_000).map(word).collect();
        assert_eq!(words.len(), 200_000);
    }

    #[test]
    fn a_document_that_comes_again_has_another_key_and_word() {
        let source = serde_json::json!({"unique_key": "a", "title": "t", "content": "text"});
        let corpus = Corpus::Real {
            documents: vec![source.as_object().unwrap().clone()],
        };
        let (first, second) = (corpus.document(0).unwrap(), corpus.document(1).unwrap());
        assert_ne!(first.key, second.key);
        assert_eq!(first.content, "text");
        assert_eq!(second.content, format!("text {}", word(1)));
    }
}
