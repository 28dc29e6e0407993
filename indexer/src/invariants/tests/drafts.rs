//! Drafts on a real base, whose bitmaps are open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::config::Config;
use crate::document::Document;
use crate::error::ErrorKind;
use crate::format::deletes::{Base, Deletes, encode};
use crate::format::manifest::{Cause, Span};
use crate::format::prefix::HEADER;
use crate::index::{Batch, Index, Operation, Shared, Wait};
use crate::mapping::{Definition, IndexSchema};
use crate::mount::PosixMount;
use crate::world::World;

pub(super) const RULES_BROKEN: [&str; 1] = ["deletes_only_grow"];

/// An index with four documents in one segment, of which the second is deleted.
fn base() -> (tempfile::TempDir, Arc<Snapshot>) {
    let folder = tempfile::tempdir().unwrap();
    let mount = Arc::new(PosixMount::open(folder.path()).unwrap());
    let config = Config::default();
    crate::writer::create(&*mount, &Definition::default(), &World::default()).unwrap();
    let index = Index::open("test", mount, Arc::new(Shared::new(&config)), &config);
    let schema = IndexSchema::compile(&Definition::default()).unwrap();
    let upsert = |key| {
        let json = serde_json::json!({"unique_key": key, "content": "x"}).to_string();
        Operation::Upsert(Document::parse(&json, &schema).unwrap())
    };
    let documents = ["a", "b", "c", "d"].map(upsert).to_vec();
    for operations in [documents, vec![Operation::Delete("b".to_owned())]] {
        let deadline = Instant::now() + Duration::from_secs(300);
        let posted = index.submit(Batch { operations }, Wait::Visible, deadline);
        posted.unwrap();
    }
    let snapshot = index.snapshot().unwrap();
    (folder, snapshot)
}

/// A version after `base` that keeps everything.
fn draft(base: &Snapshot) -> Manifest {
    build::after(base.manifest(), Cause::Merge).next
}

fn deletes(draft: &mut Manifest) -> &mut Deletes {
    draft.body.segments[0].deletes.as_mut().unwrap()
}

#[test]
fn a_document_that_is_deleted_does_not_come_back() {
    let (_folder, base) = base();
    let mut draft = draft(&base);
    assert_eq!(deletes(&mut draft).since, [1]);
    check_draft(&base, &draft).unwrap();
    // As many as before, and another one.
    deletes(&mut draft).since = vec![2];
    let error = check_draft(&base, &draft).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("breaks rule I27"), "{error}");
    assert_eq!(error.path(), Some(std::path::Path::new(&draft.path())));
}

#[test]
fn a_bitmap_agrees_with_the_number_of_deletes_and_the_documents() {
    let (_folder, base) = base();
    for (documents, listed, is_right) in [
        (vec![1, 2], vec![], true),
        (vec![1], vec![3], true),
        (vec![1, 2], vec![1], false),
        (vec![1, 4], vec![], false),
        (vec![2, 3], vec![], false),
    ] {
        let mut draft = draft(&base);
        let bytes = encode(&documents.iter().copied().collect()).unwrap();
        let (manifest, crc) = (draft.name(), crate::format::crc(&bytes));
        let (offset, len) = (HEADER as u64, bytes.len() as u64);
        draft.blob = bytes;
        let version = draft.version;
        let described = deletes(&mut draft);
        described.base = Some(Base {
            manifest,
            span: Span { offset, len },
            crc,
        });
        described.count = 2;
        described.since = listed.clone();
        described.version = version;
        let verdict = super::super::deletes::deletes_only_grow(&base, &draft);
        assert_eq!(
            verdict.is_ok(),
            is_right,
            "{documents:?} and {listed:?}: {verdict:?}"
        );
    }
}

/// A bitmap of an earlier version is only known with the base.
#[test]
fn a_bitmap_that_the_base_does_not_have_breaks_the_rule() {
    let (_folder, base) = base();
    let mut draft = draft(&base);
    let manifest = base.manifest().name();
    deletes(&mut draft).base = Some(Base {
        manifest,
        span: Span { offset: 0, len: 1 },
        crc: 0,
    });
    let verdict = super::super::deletes::deletes_only_grow(&base, &draft);
    assert_eq!(verdict.unwrap_err().rule, "I27");
}
