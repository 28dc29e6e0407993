//! Plain tantivy on `MmapDirectory`: what Aquifer is compared with.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aquifer_indexer::document::Document;
use aquifer_indexer::mapping::IndexSchema;
use tantivy::collector::{Count, TopDocs};
use tantivy::directory::MmapDirectory;
use tantivy::query::QueryParser;
use tantivy::schema::{Field, Value as _};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, Term};

/// The least that tantivy takes for a thread of a writer.
const SMALL_WRITER_BYTES: usize = 15_000_000;
/// The file whose lock is held around a commit.
const LOCK: &str = "post.lock";

/// A folder with a plain index in it.
pub(crate) struct Plain {
    folder: PathBuf,
    pub(crate) index: Index,
}

impl Plain {
    pub(crate) fn create(folder: &Path, schema: &IndexSchema) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let builder = Index::builder()
            .schema(schema.tantivy().clone())
            .tokenizers(schema.tokenizers());
        Ok(Self {
            folder: folder.to_owned(),
            index: builder.create_in_dir(folder)?,
        })
    }

    pub(crate) fn open(folder: &Path, schema: &IndexSchema) -> Result<Self> {
        let mut index = Index::open(MmapDirectory::open(folder)?)?;
        index.set_tokenizers(schema.tokenizers());
        Ok(Self {
            folder: folder.to_owned(),
            index,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn segments(&self) -> Result<usize> {
        Ok(self.index.searchable_segment_ids()?.len())
    }

    /// Merges the smallest segments into one, so that `count` are left.
    pub(crate) fn merge_to(&self, count: usize) -> Result<()> {
        let mut metas = self.index.searchable_segment_metas()?;
        if metas.len() <= count.max(1) {
            return Ok(());
        }
        metas.sort_by_key(tantivy::SegmentMeta::num_docs);
        let surplus = metas.iter().take(metas.len() - count.max(1) + 1);
        let ids: Vec<_> = surplus.map(tantivy::SegmentMeta::id).collect();
        let mut writer: IndexWriter = self.index.writer(SMALL_WRITER_BYTES)?;
        writer.merge(&ids).wait()?;
        writer.wait_merging_threads()?;
        Ok(())
    }

    /// What one request does to write documents: opens the index under a lock, replaces the documents,
    /// commits.
    pub(crate) fn post(folder: &Path, schema: &IndexSchema, documents: &[Document]) -> Result<()> {
        let path = folder.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        lock.lock()?;
        let plain = Self::open(folder, schema)?;
        let mut writer: IndexWriter = plain.index.writer_with_num_threads(1, SMALL_WRITER_BYTES)?;
        for document in documents {
            writer.delete_term(Term::from_field_text(schema.key(), document.unique_key()));
            writer.add_document(schema.to_tantivy(document))?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        Ok(lock.unlock()?)
    }
}

/// Answers queries over the English title and content.
pub(crate) struct PlainSearch {
    reader: IndexReader,
    searcher: Searcher,
    parser: QueryParser,
    source: Field,
}

impl PlainSearch {
    pub(crate) fn new(plain: &Plain, schema: &IndexSchema) -> Result<Self> {
        let mut fields = Vec::new();
        for text in schema.text_fields() {
            let english = text
                .languages
                .iter()
                .find(|(lang, _)| lang.as_str() == "en");
            fields.push((english.context("no English field")?.1, text.boost));
        }
        let names = fields.iter().map(|(field, _)| *field).collect();
        let mut parser = QueryParser::for_index(&plain.index, names);
        for (field, boost) in fields {
            parser.set_field_boost(field, boost);
        }
        // Nobody watches: who wants to see what was committed looks.
        let reader = plain
            .index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual);
        let reader: IndexReader = reader.try_into()?;
        Ok(Self {
            searcher: reader.searcher(),
            reader,
            parser,
            source: schema.source(),
        })
    }

    /// Moves on to what was committed last.
    pub(crate) fn refresh(&mut self) -> Result<()> {
        self.reader.reload()?;
        self.searcher = self.reader.searcher();
        Ok(())
    }

    /// The ten best documents, and how many match.
    pub(crate) fn search(&self, query: &str) -> Result<(usize, Vec<String>)> {
        let (query, _) = self.parser.parse_query_lenient(query);
        let (best, count) = self
            .searcher
            .search(&query, &(TopDocs::with_limit(10).order_by_score(), Count))?;
        let mut sources = Vec::new();
        for (_, address) in best {
            let document: TantivyDocument = self.searcher.doc(address)?;
            let source = document.get_first(self.source);
            let source = source
                .and_then(|value| value.as_bytes())
                .unwrap_or_default();
            sources.push(String::from_utf8_lossy(source).into_owned());
        }
        Ok((count, sources))
    }
}
