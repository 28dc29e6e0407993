//! Reads and bytes from an empty cache, step by step.
//!
//! A step holds the reads whose ranges are known once the step before it has been read, so all of
//! a step's reads can be issued together: one dependent round. The exceptions are the first two,
//! opening the index and opening dictionaries, where one footer tells where the next one lies;
//! what they read depends on the segment alone, so a writer can put copies of it into one place
//! (a "hot section") for a reader to fetch in one round, and they count as one round together.

use std::path::Path;

use anyhow::Result;
use tantivy::collector::{Count, TopDocs};
use tantivy::query::FuzzyTermQuery;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, TERMINATED, TantivyDocument, Term};

use crate::directory::CountingDirectory;
use crate::figures::{Figures, median};
use crate::probe::{Probe, Probes, prefix_bounds, spread};
use crate::schema::Fields;
use crate::{Opened, segment};

/// How many queries, prefixes and words are tried, each on an empty cache; medians are kept.
const SAMPLES: usize = 15;

pub(crate) fn measure(folder: &Path, documents: u32, figures: &mut Figures) -> Result<()> {
    let fields = Fields::new();
    let probes = Probes::choose(
        &Opened::open(CountingDirectory::open(folder)?)?.index,
        &fields,
        documents,
    )?;
    let run = Run {
        folder,
        fields,
        probes,
    };
    run.opening(figures)?;
    for words in [1, 3] {
        run.first_query(words, figures)?;
    }
    for (name, keys) in [
        ("1 key", run.probes.keys.get(..1)),
        ("1,000 keys", run.probes.keys.get(..)),
        ("1,000 absent keys", run.probes.absent_keys.get(..)),
    ] {
        run.keys(name, keys.unwrap_or_default(), figures)?;
    }
    run.prefixes(figures)?;
    run.fuzzy(figures)
}

struct Run<'a> {
    folder: &'a Path,
    fields: Fields,
    probes: Probes,
}

/// An index opened on an empty cache, with the dictionaries of some fields.
struct Cold {
    directory: CountingDirectory,
    opened: Opened,
    /// What opening read.
    hot: Vec<usize>,
}

impl Run<'_> {
    fn open(&self, dictionaries: &[Field]) -> Result<Cold> {
        let directory = CountingDirectory::open(self.folder)?;
        let opened = Opened::open(directory.clone())?;
        for field in dictionaries {
            segment(&opened.searcher())?.inverted_index(*field)?;
        }
        let hot = directory.take_reads();
        Ok(Cold {
            directory,
            opened,
            hot,
        })
    }

    fn opening(&self, figures: &mut Figures) -> Result<()> {
        for (name, dictionaries) in [
            ("no dictionary", vec![]),
            ("the key's dictionary", vec![self.fields.key]),
            ("the 4 text dictionaries", self.fields.text().to_vec()),
            ("all 6 dictionaries (hot section)", self.fields.indexed()),
        ] {
            let step = Step::of(&self.open(&dictionaries)?.hot);
            step.add(&format!("cold open with {name}"), figures)?;
        }
        Ok(())
    }

    fn first_query(&self, words: usize, figures: &mut Figures) -> Result<()> {
        let probes = self
            .probes
            .queries
            .iter()
            .filter(|probe| probe.terms.len() == words);
        let runs = probes
            .take(SAMPLES)
            .map(|probe| self.query(probe))
            .collect::<Result<Vec<_>>>()?;
        let names = [
            "dictionary blocks",
            "postings, positions, norms",
            "10 documents",
        ];
        let mut rounds: Vec<f64> = Vec::new();
        for (place, name) in names.iter().enumerate() {
            let steps = runs.iter().filter_map(|steps| steps.get(place).copied());
            Step::median(steps).add(&format!("cold {words}-word query, {name}"), figures)?;
        }
        for steps in &runs {
            rounds.push(
                1.0 + steps
                    .iter()
                    .map(|step| f64::from(step.reads > 0.0))
                    .sum::<f64>(),
            );
        }
        figures.add(
            &format!("cold {words}-word query, dependent rounds with hot section"),
            "",
            median(&mut rounds),
        )
    }

    /// The steps of one query: dictionaries, postings, documents.
    fn query(&self, probe: &Probe) -> Result<Vec<Step>> {
        let cold = self.open(&self.fields.indexed())?;
        let searcher = cold.opened.searcher();
        let segment = segment(&searcher)?;
        let mut infos = Vec::new();
        for term in probe.terms.iter().flatten() {
            let inverted = segment.inverted_index(term.field())?;
            if let Some(info) = inverted.get_term_info(term)? {
                infos.push((term.field(), inverted, info));
            }
        }
        let dictionary = Step::of(&cold.directory.take_reads());

        // Positions are for the bonus of words that stand together.
        let wanted = match probe.terms.len() {
            1 => IndexRecordOption::WithFreqs,
            _ => IndexRecordOption::WithFreqsAndPositions,
        };
        for (field, inverted, info) in &infos {
            inverted.read_postings_from_terminfo(info, wanted)?;
            segment.get_fieldnorms_reader(*field)?;
        }
        let postings = Step::of(&cold.directory.take_reads());

        let (top, _) = searcher.search(
            &probe.query(),
            &(TopDocs::with_limit(10).order_by_score(), Count),
        )?;
        let unforeseen = cold.directory.take_reads();
        anyhow::ensure!(
            unforeseen.is_empty(),
            "reads that the steps lack: {unforeseen:?}"
        );
        for (_, address) in top {
            searcher.doc::<TantivyDocument>(address)?;
        }
        Ok(vec![
            dictionary,
            postings,
            Step::of(&cold.directory.take_reads()),
        ])
    }

    /// What an upsert asks: the document that has the key.
    fn keys(&self, name: &str, keys: &[Term], figures: &mut Figures) -> Result<()> {
        let cold = self.open(&[self.fields.key])?;
        let searcher = cold.opened.searcher();
        let inverted = segment(&searcher)?.inverted_index(self.fields.key)?;
        let infos = keys
            .iter()
            .map(|key| inverted.get_term_info(key))
            .collect::<Result<Vec<_>, _>>()?;
        let dictionary = Step::of(&cold.directory.take_reads());
        for info in infos.iter().flatten() {
            let postings = inverted.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
            anyhow::ensure!(postings.doc() != TERMINATED, "a key without a document");
        }
        let postings = Step::of(&cold.directory.take_reads());
        Step::of(&cold.hot)
            .plus(dictionary)
            .plus(postings)
            .add(&format!("cold {name}, all with opening"), figures)?;
        dictionary.add(&format!("cold {name}, dictionary blocks"), figures)?;
        postings.add(&format!("cold {name}, postings"), figures)
    }

    fn prefixes(&self, figures: &mut Figures) -> Result<()> {
        let mut steps = Vec::new();
        for prefix in spread(&self.probes.prefixes, SAMPLES) {
            let cold = self.open(&[self.probes.content])?;
            let searcher = cold.opened.searcher();
            let inverted = segment(&searcher)?.inverted_index(self.probes.content)?;
            let (from, to) = prefix_bounds(prefix);
            let mut terms = inverted.terms().range().ge(from).lt(to).into_stream()?;
            while terms.advance() {}
            steps.push(Step::of(&cold.directory.take_reads()));
        }
        Step::median(steps).add("cold prefix of 3 letters, dictionary blocks", figures)
    }

    fn fuzzy(&self, figures: &mut Figures) -> Result<()> {
        let (mut steps, mut warmed) = (Vec::new(), Vec::new());
        for word in spread(&self.probes.fuzzy, SAMPLES) {
            let query = self.probes.fuzzy_query(word);
            let cold = self.open(&[self.probes.content])?;
            let searcher = cold.opened.searcher();
            let inverted = segment(&searcher)?.inverted_index(self.probes.content)?;
            let mut terms = inverted.terms().search(query.automaton()?).into_stream()?;
            while terms.advance() {}
            drop(terms);
            steps.push(Step::of(&cold.directory.take_reads()));
            warmed.extend(self.warm_fuzzy(&query)?);
        }
        Step::median(steps).add("cold fuzzy word, dictionary blocks", figures)?;
        let name = "cold fuzzy word, blocks and postings by tantivy's warm-up";
        Step::median(warmed).add(name, figures)
    }

    /// What tantivy's own warm-up reads for the query, where there is one.
    #[cfg(feature = "sstable")]
    fn warm_fuzzy(&self, query: &FuzzyTermQuery) -> Result<Option<Step>> {
        let cold = self.open(&[self.probes.content])?;
        let searcher = cold.opened.searcher();
        let segment = segment(&searcher)?;
        let inverted = segment.inverted_index(self.probes.content)?;
        let executor = tantivy::Executor::single_thread();
        futures_lite::future::block_on(inverted.warm_postings_automaton_with_bitset(
            query.automaton()?,
            segment.max_doc(),
            &executor,
        ))?;
        Ok(Some(Step::of(&cold.directory.take_reads())))
    }

    #[cfg(not(feature = "sstable"))]
    fn warm_fuzzy(&self, _query: &FuzzyTermQuery) -> Result<Option<Step>> {
        Ok(None)
    }
}

/// The reads of a step, counted.
#[derive(Clone, Copy)]
struct Step {
    reads: f64,
    bytes: f64,
}

impl Step {
    #[expect(clippy::cast_precision_loss, reason = "far under 2^53")]
    fn of(reads: &[usize]) -> Step {
        let bytes: usize = reads.iter().sum();
        Step {
            reads: reads.len() as f64,
            bytes: bytes as f64,
        }
    }

    fn plus(self, other: Step) -> Step {
        Step {
            reads: self.reads + other.reads,
            bytes: self.bytes + other.bytes,
        }
    }

    fn median(steps: impl IntoIterator<Item = Step>) -> Step {
        let (mut reads, mut bytes): (Vec<f64>, Vec<f64>) = steps
            .into_iter()
            .map(|step| (step.reads, step.bytes))
            .unzip();
        Step {
            reads: median(&mut reads),
            bytes: median(&mut bytes),
        }
    }

    fn add(self, name: &str, figures: &mut Figures) -> Result<()> {
        figures.add(&format!("{name}: bytes"), "bytes", self.bytes)?;
        figures.add(&format!("{name}: reads"), "", self.reads)
    }
}
