//! What a commit writes does not grow with the index, nor with what became of it before.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aquifer_indexer::ErrorKind;
use aquifer_indexer::config::Config;
use aquifer_indexer::format::deletes::{Base, LISTED_MAX};
use aquifer_indexer::format::manifest::Manifest;
use aquifer_indexer::format::retired::RANGES_MAX;
use aquifer_indexer::index::{Index, Operation};
use aquifer_indexer::layout::HEAD;
use aquifer_indexer::mount::CountingMount;

use crate::rig::{
    Folder, assert_clean, config, contents, delete, docs, document, open, post, search, soon, wide,
};

/// Bytes of a small commit beside its documents, on the average of some.
const COMMIT_MAX: u64 = 100 * 1024;
/// Commits whose average is taken.
const SOME: u64 = 100;

/// Nothing is old enough to be collected.
fn keeping() -> Config {
    Config {
        retention: Duration::from_secs(3600),
        ..config()
    }
}

/// Bytes that a commit has written outside of bundles, and the commit with the most of them.
#[derive(Default)]
struct Written {
    total: u64,
    most: u64,
}

impl Written {
    fn average(&self) -> u64 {
        self.total / SOME
    }
}

/// Bytes written to manifests, marks and HEAD by some commits.
fn written(counting: &CountingMount, mut commit: impl FnMut()) -> Written {
    let mut written = Written::default();
    for _ in 0..SOME {
        counting.take();
        commit();
        let counts = counting.take();
        let bytes = counts.log.iter().filter_map(|call| {
            let (path, range) = call.strip_prefix("write ")?.split_once(' ')?;
            let len: u64 = range.split_once('+')?.1.parse().ok()?;
            (!path.starts_with("bundles/")).then_some(len)
        });
        let bytes = bytes.sum();
        written.total += bytes;
        written.most = written.most.max(bytes);
    }
    written
}

/// Bytes of all files of an index.
fn on_disk(folder: &Folder) -> u64 {
    let files = folder.files().into_iter();
    files
        .map(|file| folder.path().join(file).symlink_metadata().unwrap().len())
        .sum()
}

#[test]
fn thousands_of_small_posts_within_retention() {
    let folder = Folder::new();
    let counting = CountingMount::new(folder.mount());
    let index = open(Arc::new(counting.clone()), &keeping());
    let mut next = 0;
    let mut one = || {
        next += 1;
        let words = format!("coffee {next}");
        post(&index, vec![document(&format!("k{next}"), &words)]).unwrap();
    };
    let mut averages = Vec::new();
    let mut most = 0;
    for _ in 0..30 {
        let written = written(&counting, &mut one);
        averages.push(written.average());
        most = most.max(written.most);
    }
    let (_, early) = averages.split_first().unwrap();
    let (first, last) = (early[0], *early.last().unwrap());
    println!("bytes of a commit: {averages:?}, at most {most}");
    println!("on disk: {}", on_disk(&folder));
    assert!(last < first * 3 / 2, "{averages:?}");
    assert!(
        averages.iter().all(|&average| average < COMMIT_MAX),
        "{averages:?}"
    );
    let snapshot = index.snapshot().unwrap();
    let retired = &snapshot.manifest().body.retired;
    assert!(retired.len() <= RANGES_MAX, "{retired:?}");
    assert!(retired.iter().map(|range| range.files).sum::<u64>() > 2000);
    assert_clean(&index);
    // A cold reader has all the sections with one read of HEAD.
    assert_eq!(
        first_reads(&folder),
        [HEAD.to_owned(), snapshot.manifest().path()]
    );
    index.gc().unwrap();
    folder.assert_swept(&folder.open(&config()));
    assert_clean(&folder.reader());
}

/// The files that a cold reader reads to open the newest version: HEAD, and the mark.
fn first_reads(folder: &Folder) -> Vec<String> {
    let counting = CountingMount::new(folder.mount());
    let reader = open(
        Arc::new(counting.clone()),
        &Config {
            read_only: true,
            ..config()
        },
    );
    reader.snapshot().unwrap();
    let counts = counting.take();
    let reads = counts
        .log
        .iter()
        .filter_map(|call| call.strip_prefix("read "));
    reads
        .filter_map(|read| Some(read.split_once(' ')?.0.to_owned()))
        .collect()
}

/// An index of `documents` documents in one segment, too large to be merged in a commit.
fn filled(index: &Index, documents: u64) {
    for start in (0..documents).step_by(20_000) {
        let batch = (start..documents.min(start + 20_000)).map(|n| wide(&format!("k{n}"), 8));
        post(index, batch.collect()).unwrap();
    }
    index.compact(None).unwrap();
}

/// Numbers below `end` that seem to be drawn by chance.
fn random(state: &mut u64, end: u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % end
}

#[test]
fn random_replacements_in_a_large_segment() {
    const DOCUMENTS: u64 = 100_000;
    let folder = Folder::new();
    let counting = CountingMount::new(folder.mount());
    let index = open(Arc::new(counting.clone()), &keeping());
    filled(&index, DOCUMENTS);
    let mut state = 7;
    let mut ten = || {
        let keys: BTreeSet<u64> = (0..10).map(|_| random(&mut state, DOCUMENTS)).collect();
        let batch = keys.iter().map(|key| document(&format!("k{key}"), "anew"));
        post(&index, batch.collect()).unwrap();
    };
    let mut averages = Vec::new();
    let mut most = 0;
    for _ in 0..10 {
        let written = written(&counting, &mut ten);
        averages.push(written.average());
        most = most.max(written.most);
    }
    println!("bytes of a commit: {averages:?}, at most {most}");
    let last = *averages.last().unwrap();
    assert!(last < averages[0] * 2, "{averages:?}");
    assert!(
        averages.iter().all(|&average| average < COMMIT_MAX),
        "{averages:?}"
    );
    let snapshot = index.snapshot().unwrap();
    let segments = &snapshot.manifest().body.segments;
    assert!(segments.iter().any(|segment| segment.base().is_some()));
    assert_eq!(index.stats().unwrap().documents, docs(DOCUMENTS));
    let version = snapshot.version();
    let bases = segments.iter().filter_map(|segment| segment.base());
    assert!(bases.clone().all(|base| base.manifest.version < version));
    assert_eq!(
        first_reads(&folder),
        [HEAD.to_owned(), snapshot.manifest().path()]
    );
    assert_clean(&index);
}

/// The keys that are left of `filled`, after `deleted` were deleted.
fn assert_left(who: &str, index: &Index, documents: u64, deleted: &BTreeSet<u64>) {
    let stats = index.stats().unwrap();
    assert_eq!(
        stats.documents,
        docs(documents - deleted.len() as u64),
        "{who}"
    );
    for number in (0..documents).step_by(97) {
        let found = index.get(&format!("k{number}"), None, soon()).unwrap();
        assert_eq!(
            found.is_none(),
            deleted.contains(&number),
            "{who}: {number}"
        );
    }
}

/// Bitmaps of deletes that lie in older manifests: found by a cold reader with and without HEAD, by a reader that has
/// missed the version that wrote them, and after the collection of all that can be.
#[test]
fn deletes_in_older_manifests_are_found_by_every_reader() {
    const DOCUMENTS: u64 = 20_000;
    let folder = Folder::new();
    let writer = folder.open(&config());
    filled(&writer, DOCUMENTS);
    let (lagging, gone) = (folder.reader(), folder.reader());
    let mut deleted = BTreeSet::new();
    assert_left("at first", &lagging, DOCUMENTS, &deleted);
    assert_left("at first", &gone, DOCUMENTS, &deleted);
    let mut state = 11;
    let mut some = |deleted: &mut BTreeSet<u64>, count: usize| {
        let before = deleted.len();
        while deleted.len() < before + count {
            deleted.insert(random(&mut state, DOCUMENTS));
        }
    };
    for _ in 0..2 {
        // More than are listed, so a bitmap is written; then a few more, which are listed.
        for count in [LISTED_MAX / 2 + 200, 30, 20] {
            let before = deleted.clone();
            some(&mut deleted, count);
            let keys = deleted
                .difference(&before)
                .map(|n| delete(&format!("k{n}")));
            post(&writer, keys.collect()).unwrap();
        }
        let snapshot = writer.snapshot().unwrap();
        let large = &snapshot.manifest().body.segments[0];
        let listed = large.deletes.as_ref().unwrap().since.len();
        println!("{:?}, {listed} listed", large.base());
        assert_left("warm", &lagging, DOCUMENTS, &deleted);
        assert_left("cold", &folder.reader(), DOCUMENTS, &deleted);
        // Without HEAD, or with parts of it.
        let torn = folder.copy();
        let head = std::fs::read(torn.path().join(HEAD)).unwrap();
        for len in [0, 100, head.len() / 2, head.len() - 100] {
            std::fs::write(torn.path().join(HEAD), &head[..len]).unwrap();
            assert_left("without HEAD", &torn.reader(), DOCUMENTS, &deleted);
        }
    }
    let tip = writer.snapshot().unwrap();
    let base = *tip.manifest().body.segments[0].base().unwrap();
    assert_damage_is_told(&folder, &base);
    folder.assert_swept(&writer);
    assert_left("after collection", &folder.reader(), DOCUMENTS, &deleted);
    // It has missed every version, and what it missed is gone.
    assert_left("gone", &gone, DOCUMENTS, &deleted);
    assert_left("warm", &lagging, DOCUMENTS, &deleted);
    assert_clean(&writer);
}

/// A wrong byte in a bitmap of an older manifest: the reader that needs it, and `check`, name the manifest.
fn assert_damage_is_told(folder: &Folder, base: &Base) {
    let damaged = folder.copy();
    let file = base.manifest.path();
    let path = damaged.path().join(&file);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(base.span.offset + base.span.len / 2) as usize] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let named = damaged.reader().check().unwrap().problems;
    assert!(
        named.iter().any(|problem| problem.file == file),
        "{named:?}"
    );
    std::fs::remove_file(damaged.path().join(HEAD)).unwrap();
    let error = damaged.reader().stats().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(error.path(), Some(Path::new(&file)), "{error}");
}

/// A reader that is some versions behind finds what they added in the manifests that it reads on its way.
#[test]
fn a_reader_that_is_behind_reads_manifests_only() {
    const BEHIND: u64 = 6;
    let folder = Folder::new();
    let writer = folder.open(&keeping());
    filled(&writer, 20_000);
    let counting = CountingMount::new(folder.mount());
    let reader = open(
        Arc::new(counting.clone()),
        &Config {
            read_only: true,
            ..config()
        },
    );
    contents_of(&reader, "anew");
    counting.take();
    for round in 0..BEHIND {
        let mut batch: Vec<Operation> = vec![document(&format!("new{round}"), "anew")];
        let from = round * 800;
        batch.extend((from..from + 800).map(|n| delete(&format!("k{n}"))));
        // Too large to be embedded: its hot section is copied into the manifest that adds it.
        batch.extend((0..400).map(|n| wide(&format!("bundled{round}-{n}"), 40)));
        post(&writer, batch).unwrap();
    }
    let snapshot = reader.snapshot().unwrap();
    let bundles = folder.names("bundles").len();
    assert_eq!(
        snapshot.manifest().body.containers.len(),
        1 + BEHIND as usize
    );
    assert!(bundles > BEHIND as usize, "{bundles} bundles");
    let counts = counting.take();
    let files: Vec<&str> = counts
        .log
        .iter()
        .filter_map(|call| call.strip_prefix("open "))
        .collect();
    assert_eq!(files.len() as u64, BEHIND, "{:#?}", counts.log);
    assert!(
        files.iter().all(|file| file.starts_with("manifests/")),
        "{files:?}"
    );
    assert_eq!(counts.of("read"), BEHIND + 1, "{:#?}", counts.log);
    assert_eq!(contents_of(&reader, "anew") as u64, BEHIND);
    assert_eq!(
        reader.stats().unwrap().documents,
        docs(20_000 - BEHIND * 400 + BEHIND)
    );
}

/// A thousand fields, whose names hardly compress.
#[test]
fn a_large_definition() {
    let mut state = 5;
    let mut fields = serde_json::Map::new();
    for number in 0..900 {
        let name = format!(
            "field_{number}_{:x}",
            random(&mut state, u64::from(u32::MAX))
        );
        let kind = ["text", "keyword", "integer"][number % 3];
        fields.insert(name, serde_json::json!({"type": kind}));
    }
    let json = serde_json::json!({"mapping": {"fields": fields}});
    println!("a definition of {} bytes", json.to_string().len());
    let folder = Folder::defined(&serde_json::from_value(json).unwrap());
    let counting = CountingMount::new(folder.mount());
    let index = open(Arc::new(counting.clone()), &keeping());
    let mut next = 0;
    let mut one = || {
        next += 1;
        post(&index, vec![document(&format!("k{next}"), "words")]).unwrap();
    };
    let averages = [(); 2].map(|()| written(&counting, &mut one).average());
    println!("bytes of a commit: {averages:?}");
    let snapshot = index.snapshot().unwrap();
    let segments = &snapshot.manifest().body.segments;
    println!(
        "documents, bytes and hot bytes of each segment: {:?}",
        segments
            .iter()
            .map(|segment| (segment.max_doc, segment.bytes(), segment.hot.len))
            .collect::<Vec<_>>()
    );
    let file = std::fs::read(folder.path().join(snapshot.manifest().path())).unwrap();
    let copy = Manifest::copy_of(&file, "m").unwrap();
    println!("header and body: {} bytes", copy.len());
    assert!(copy.len() < 20_000);
    assert!(averages[1] < averages[0] * 3 / 2, "{averages:?}");
    assert_clean(&index);
}

fn contents_of(index: &Index, query: &str) -> usize {
    search(index, query).unwrap().len()
}

/// An idle index costs each process that collects one read, until something has become old.
#[test]
fn collecting_an_idle_index_takes_one_read() {
    let folder = Folder::new();
    let counting = CountingMount::new(folder.mount());
    let index = open(Arc::new(counting.clone()), &keeping());
    for n in 0..20 {
        post(&index, vec![document(&format!("k{n}"), "words")]).unwrap();
    }
    index.gc().unwrap();
    counting.take();
    for _ in 0..3 {
        index.gc().unwrap();
        let counts = counting.take();
        assert_eq!(counts.calls.iter().collect::<Vec<_>>(), [(&"read", &1)]);
    }
    // News, and it looks again.
    post(&index, vec![document("news", "words")]).unwrap();
    counting.take();
    index.gc().unwrap();
    assert!(counting.take().of("list") > 0);
    let (found, _) = contents(&index).unwrap();
    assert_eq!(found.len(), 21);
}

/// A manifest has two names and is removed as one file.
#[test]
fn collecting_counts_files_and_not_links() {
    let folder = Folder::new();
    let index = folder.open(&config());
    for n in 0..20 {
        post(&index, vec![document(&format!("k{n}"), "words")]).unwrap();
    }
    let before = on_disk(&folder);
    let count = || {
        let manifests = folder.names("manifests").into_iter();
        manifests.filter(|name| name.contains('-')).count() + folder.names("bundles").len()
    };
    let mut files = count();
    let (mut removed, mut bytes) = (0, 0);
    for _ in 0..2 {
        let version = index.snapshot().unwrap().version();
        let report = index.gc().unwrap();
        removed += report.files_removed;
        bytes += report.bytes_removed;
        files += usize::try_from(report.version.since(version)).unwrap();
    }
    assert_eq!(removed, files - count());
    let made = on_disk(&folder) + bytes - before;
    assert!(made < 100_000, "{bytes} bytes removed of {before}");
}
