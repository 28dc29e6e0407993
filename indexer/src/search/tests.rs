//! Searches on a small index in memory.

use tantivy::directory::RamDirectory;
use tantivy::{Index, IndexSettings, IndexWriter, Searcher};

use super::*;
use crate::document::Document;
use crate::mapping::Definition;

/// An index in memory, each list of documents a segment.
pub(super) struct Small {
    schema: IndexSchema,
    searcher: Searcher,
}

impl Small {
    fn new(definition: &str, segments: &[&[&str]]) -> Self {
        let definition: Definition = serde_json::from_str(definition).unwrap();
        let schema = IndexSchema::compile(&definition).unwrap();
        let mut index = Index::create(
            RamDirectory::create(),
            schema.tantivy().clone(),
            IndexSettings::default(),
        )
        .unwrap();
        index.set_tokenizers(schema.tokenizers());
        index.set_fast_field_tokenizers(schema.tokenizers());
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 20_000_000).unwrap();
        writer.set_merge_policy(Box::new(tantivy::merge_policy::NoMergePolicy));
        for documents in segments {
            for source in *documents {
                let document = Document::parse(source, &schema).unwrap();
                writer.add_document(schema.to_tantivy(&document)).unwrap();
            }
            writer.commit().unwrap();
        }
        let searcher = index.reader().unwrap().searcher();
        Self { schema, searcher }
    }

    fn run(&self, request: &SearchRequest) -> Result<(u64, Vec<Hit>)> {
        execute(&self.searcher, &self.schema, request)
    }

    /// The keys found, in order.
    fn keys(&self, request: &SearchRequest) -> Vec<String> {
        let (count, hits) = self.run(request).unwrap();
        let keys: Vec<String> = hits.into_iter().map(|hit| hit.unique_key).collect();
        if request.offset == 0 && request.limit >= 10 {
            assert_eq!(count, keys.len() as u64, "{request:?}");
        }
        keys
    }

    #[track_caller]
    fn finds(&self, query: &str, expected: &[&str]) {
        let request = asking(query);
        assert_eq!(self.keys(&request), expected, "{query}");
    }

    /// As [`Self::finds`], in whatever order.
    #[track_caller]
    fn finds_all(&self, query: &str, expected: &[&str]) {
        let mut keys = self.keys(&asking(query));
        keys.sort_unstable();
        assert_eq!(keys, expected, "{query}");
    }
}

fn asking(query: &str) -> SearchRequest {
    SearchRequest {
        query: query.to_owned(),
        ..SearchRequest::default()
    }
}

#[test]
fn documents_with_more_of_the_words_come_first_then_those_with_the_words_together() {
    let index = Small::new(
        "{}",
        &[&[
            r#"{"unique_key":"apart","content":"red things are here and there is somewhere among all of them also one more apple"}"#,
            r#"{"unique_key":"one","content":"an apple and an apple and some words to make it as long as the others more or less"}"#,
            r#"{"unique_key":"close","content":"here and there is somewhere among all of them also one more red apple in a box"}"#,
            r#"{"unique_key":"none","content":"nothing of that kind"}"#,
            r#"{"unique_key":"title","title":"red apple","content":"something"}"#,
        ]],
    );
    index.finds("red apple", &["title", "close", "apart", "one"]);
}
