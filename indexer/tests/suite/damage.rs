//! One wrong byte, or a file cut short: an error that names the file, never a wrong answer.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use aquifer_indexer::format::head::{self, Head};
use aquifer_indexer::format::manifest::{ContainerId, Manifest};
use aquifer_indexer::format::prefix;
use aquifer_indexer::format::{batch, bundle};
use aquifer_indexer::index::Index;
use aquifer_indexer::layout::{self, HEAD};
use aquifer_indexer::search::SearchRequest;
use aquifer_indexer::{ErrorKind, Result};

use crate::rig::{Folder, assert_clean, config, delete, document, post, soon, wide};

/// Bytes of one block of a mark page, and where the second one begins.
const BLOCK: u64 = 44;
const SUCCESSOR: u64 = 64;

/// An index with every kind of file: a large bundle whose hot section is in HEAD's image, segments inside manifests
/// whose sections are before it, deletes, a batch in the inbox, a lock.
fn origin() -> Folder {
    let folder = Folder::new();
    let index = folder.open(&config());
    let mut batch: Vec<_> = (0..4000).map(|n| wide(&format!("w{n}"), 8)).collect();
    batch.push(document("k", "a coffee with words"));
    post(&index, batch).unwrap();
    post(
        &index,
        vec![document("small", "tea and coffee"), delete("w1")],
    )
    .unwrap();
    post(&index, vec![document("tiny", "more tea"), delete("w2")]).unwrap();
    folder
        .lay(folder.mount(), vec![document("waiting", "x")])
        .unwrap();
    let bytes = std::fs::read(folder.path().join(HEAD)).unwrap();
    let head = Head::decode(bytes, HEAD).unwrap();
    let places = head.directory.unwrap();
    let in_image: BTreeSet<bool> = places
        .iter()
        .map(|place| place.offset as usize >= head.image_offset)
        .collect();
    assert_eq!(
        in_image.len(),
        2,
        "sections in the image and before it: {places:?}"
    );
    assert_clean(&index);
    folder
}

/// Many kinds of reads, as text.
fn answers(index: &Index) -> Result<String> {
    let mut text = String::new();
    for query in [
        "coffee",
        "tea",
        "\"coffee with words\"",
        "w1*",
        "",
        "-coffee",
        "unique_key:k",
    ] {
        let request = SearchRequest {
            query: query.into(),
            limit: 700,
            highlight: query == "tea",
            ..SearchRequest::default()
        };
        let response = index.search(&request, soon())?;
        let hits: Vec<_> = response
            .hits
            .iter()
            .map(|hit| (&hit.unique_key, hit.score, hit.source.get(), &hit.highlight))
            .collect();
        text.push_str(&format!(
            "{query}: {} {} {hits:?}\n",
            response.count, response.version
        ));
    }
    for key in ["k", "w1", "w3999", "nobody"] {
        text.push_str(&format!("{:?}\n", index.get(key, None, soon())?));
    }
    Ok(text)
}

/// What a cold reader and `check` make of a damaged copy.
struct Verdict {
    /// Whether the answers were the same as ever.
    harmless: bool,
    /// The files that `check` names.
    named: Vec<String>,
}

fn judge(origin: &Folder, file: &str, damage: impl Fn(&mut Vec<u8>)) -> Verdict {
    let folder = origin.copy();
    let warm = folder.reader();
    let expected = answers(&warm).unwrap();
    let path = folder.path().join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    damage(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    let faithful = |who: &str, result: Result<String>| match result {
        Ok(answer) => {
            assert_eq!(
                answer, expected,
                "{who}: a wrong answer from a damaged {file}"
            );
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{who}: {file}: {error}");
            assert_eq!(error.path(), Some(Path::new(file)), "{who}: {error}");
            false
        }
    };
    let harmless = faithful("cold", answers(&folder.reader()));
    faithful("warm", answers(&warm));
    let named = folder.reader().check().unwrap().problems;
    Verdict {
        harmless,
        named: named.into_iter().map(|problem| problem.file).collect(),
    }
}

fn flip(at: u64) -> impl Fn(&mut Vec<u8>) {
    move |bytes| bytes[at as usize] ^= 0x10
}

/// Flips the first, a middle and the last byte of a region; `check` must name the file each time. Whether all
/// of it was harmless to readers.
fn check_region(origin: &Folder, file: &str, what: &str, region: Range<u64>) -> bool {
    assert!(!region.is_empty(), "{file}: no {what}");
    let middle = (region.start + region.end) / 2;
    let mut harmless = true;
    for at in [region.start, middle, region.end - 1] {
        let verdict = judge(origin, file, flip(at));
        assert!(
            verdict.named.iter().any(|named| named == file),
            "{file}: {what} {at}: {:?}",
            verdict.named
        );
        harmless &= verdict.harmless;
    }
    harmless
}

fn len(origin: &Folder, file: &str) -> u64 {
    std::fs::metadata(origin.path().join(file)).unwrap().len()
}

fn tip(origin: &Folder) -> Manifest {
    origin.reader().snapshot().unwrap().manifest().clone()
}

/// The regions of a manifest.
fn check_manifest(origin: &Folder, manifest: &Manifest) {
    let file = manifest.path();
    let header = prefix::HEADER as u64;
    let bytes = std::fs::read(origin.path().join(&file)).unwrap();
    let copy = Manifest::copy_of(&bytes, &file).unwrap();
    let blob = Manifest::decode(&bytes, &file).unwrap().blob;
    let body = header + blob.len() as u64;
    check_region(origin, &file, "header", 0..header);
    check_region(origin, &file, "blob", header..body);
    check_region(
        origin,
        &file,
        "body",
        body..body + copy.len() as u64 - header,
    );
    let pages = manifest.pages_base..manifest.pages_base + manifest.pages_len;
    check_region(origin, &file, "embedded pages", pages);
    let page = bytes.len() as u64 - 4096;
    check_region(origin, &file, "mark page", page..page + BLOCK);
}

#[test]
fn a_damaged_newest_manifest() {
    let origin = origin();
    check_manifest(&origin, &tip(&origin));
    // Without the copy in HEAD, the manifest itself is read: it is never passed over for an older one.
    let (bare, file) = (origin.copy(), tip(&origin).path());
    std::fs::remove_file(bare.path().join(HEAD)).unwrap();
    for at in [10, prefix::HEADER as u64 + 10] {
        let verdict = judge(&bare, &file, flip(at));
        assert!(!verdict.harmless);
    }
}

#[test]
fn a_damaged_older_manifest_and_its_successor_mark() {
    let origin = origin();
    let tip = tip(&origin);
    let before = tip.version.before().unwrap();
    let bytes = std::fs::read(origin.path().join(origin.manifest(before))).unwrap();
    let manifest = Manifest::decode(&bytes, "older").unwrap();
    assert!(
        tip.body
            .containers
            .iter()
            .any(|c| matches!(c.id, ContainerId::Manifest(name) if name.version == before))
    );
    check_manifest(&origin, &manifest);
    let mark = bytes.len() as u64 - 4096 + SUCCESSOR;
    check_region(
        &origin,
        &manifest.path(),
        "successor mark",
        mark..mark + BLOCK,
    );
}

#[test]
fn a_damaged_bundle() {
    let origin = origin();
    let tip = tip(&origin);
    let container = tip
        .body
        .containers
        .iter()
        .find(|c| matches!(c.id, ContainerId::Bundle(_)))
        .unwrap();
    let segment = tip
        .body
        .segments
        .iter()
        .find(|s| tip.container(s).unwrap().id == container.id)
        .unwrap();
    let hot = segment.hot;
    let file = container.id.path();
    let pages = container.bytes_on_mount();
    assert!(!check_region(&origin, &file, "pages", 0..pages));
    for page in 1..pages / 16384 {
        let verdict = judge(&origin, &file, flip(page * 16384 + 5000));
        assert_eq!(verdict.named, [&*file]);
    }
    check_region(
        &origin,
        &file,
        "hot section",
        hot.offset..hot.offset + hot.len,
    );
    let (table, end) = (hot.offset + hot.len, len(&origin, &file));
    check_region(
        &origin,
        &file,
        "file table",
        table..end - bundle::TRAILER as u64,
    );
    check_region(&origin, &file, "trailer", end - bundle::TRAILER as u64..end);
}

#[test]
fn a_damaged_head_is_harmless() {
    let origin = origin();
    let bytes = std::fs::read(origin.path().join(HEAD)).unwrap();
    let head = Head::decode(bytes, HEAD).unwrap();
    let places = head.directory.unwrap();
    let header = head::HEADER as u64;
    let young = places
        .iter()
        .map(|place| u64::from(place.offset))
        .min()
        .unwrap();
    let directory = young - (places.len() * head::ENTRY) as u64;
    let beginning = places
        .iter()
        .filter(|place| (place.offset as usize) < head.image_offset)
        .map(|place| u64::from(place.offset + place.len))
        .max()
        .unwrap();
    let image = head.image_offset as u64;
    let end = places
        .iter()
        .map(|place| u64::from(place.offset + place.len))
        .max()
        .unwrap();
    for (what, region) in [
        ("header", 0..header),
        ("copy", header..directory),
        ("directory", directory..young),
        ("young sections", young..beginning),
        ("image", image..end),
    ] {
        assert!(check_region(&origin, HEAD, what, region), "{what}");
    }
    for len in [
        0,
        10,
        header,
        header + 10,
        directory + 10,
        young + 10,
        image + 10,
    ] {
        let verdict = judge(&origin, HEAD, |bytes| bytes.truncate(len as usize));
        assert!(verdict.harmless);
        assert_eq!(verdict.named, [HEAD], "{len} bytes");
    }
    // The next commit mends it.
    std::fs::write(origin.path().join(HEAD), "nonsense").unwrap();
    let index = origin.open(&config());
    post(&index, vec![document("new", "x")]).unwrap();
    assert_clean(&index);
}

#[test]
fn a_damaged_batch_is_laid_aside_and_told() {
    let origin = origin();
    let file = format!("{}/{}", layout::INBOX, origin.names(layout::INBOX)[0]);
    let end = len(&origin, &file);
    assert!(check_region(
        &origin,
        &file,
        "header",
        0..batch::HEADER as u64
    ));
    assert!(check_region(
        &origin,
        &file,
        "body",
        batch::HEADER as u64..end
    ));
    // The writer lays it aside and goes on.
    let path = origin.path().join(&file);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let index = origin.open(&config());
    post(&index, vec![document("new", "x")]).unwrap();
    let aside = file.replace(".batch", ".damaged");
    let named: Vec<_> = index
        .check()
        .unwrap()
        .problems
        .into_iter()
        .map(|p| p.file)
        .collect();
    assert_eq!(named, [aside]);
    assert!(index.get("new", None, soon()).unwrap().is_some());
}

/// Nothing is read out of the lock but signs of life.
#[test]
fn a_damaged_lock_is_harmless() {
    let origin = origin();
    std::fs::write(origin.path().join("lock"), [7; 5000]).unwrap();
    for damage in [0, 2500] {
        let verdict = judge(&origin, "lock", |bytes| bytes.truncate(damage));
        assert!(verdict.harmless && verdict.named.is_empty());
    }
    let index = origin.open(&config());
    post(&index, vec![document("new", "x")]).unwrap();
    assert_clean(&index);
}

#[test]
fn a_file_that_is_cut_short() {
    let origin = origin();
    let tip = tip(&origin);
    let bundle = tip
        .body
        .containers
        .iter()
        .find(|c| matches!(c.id, ContainerId::Bundle(_)))
        .unwrap();
    let manifests = [
        origin.manifest(tip.version),
        origin.manifest(tip.version.before().unwrap()),
    ];
    for file in manifests.into_iter().chain([bundle.id.path()]) {
        let end = len(&origin, &file);
        // 4032 cuts a mark page between its own identity and its successor's.
        for cut in [1, 10, 4032, 4095, 4096, 4200, end / 2, end - 1, end] {
            let verdict = judge(&origin, &file, |bytes| bytes.truncate((end - cut) as usize));
            assert!(
                verdict.named.contains(&file),
                "{file} without its last {cut} bytes: {:?}",
                verdict.named
            );
        }
    }
}

/// A file that the newest version names and that is gone is not taken for one that was collected.
#[test]
fn a_file_that_is_lost_is_named_as_damage_by_readers_and_writers() {
    for part in [layout::BUNDLES, layout::MANIFESTS] {
        let folder = origin();
        let names = folder.names(part);
        let lost = match part {
            layout::BUNDLES => names[0].clone(),
            // Segments of the newest version are in it.
            _ => {
                let index = folder.reader();
                let snapshot = index.snapshot().unwrap();
                let mut files = snapshot.manifest().files().into_iter();
                let inside = files.find_map(|file| match file {
                    ContainerId::Manifest(name) if name.version < snapshot.version() => Some(name),
                    _ => None,
                });
                inside.unwrap().to_string()
            }
        };
        let path = format!("{part}/{lost}");
        std::fs::remove_file(folder.path().join(&path)).unwrap();
        std::fs::remove_file(folder.path().join(HEAD)).unwrap();
        let told = |who: &str, error: aquifer_indexer::Error| {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{who}: {error}");
            assert!(error.to_string().starts_with(&path), "{who}: {error}");
        };
        told("a reader", answers(&folder.reader()).unwrap_err());
        let writer = folder.open(&config());
        told(
            "a writer",
            post(&writer, vec![document("w7", "x")]).unwrap_err(),
        );
        told("a merge", writer.compact(None).unwrap_err());
    }
}

/// The mark of the newest version that is there leads to one that is not.
#[test]
fn a_newest_version_that_is_lost_is_named_as_damage() {
    let folder = origin();
    let newest = folder.names(layout::MANIFESTS).pop().unwrap();
    let path = format!("{}/{newest}", layout::MANIFESTS);
    std::fs::remove_file(folder.path().join(&path)).unwrap();
    let error = answers(&folder.reader()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().starts_with(&path), "{error}");
}

/// A FIFO would hang whoever opens it as a file.
#[test]
fn a_fifo_in_the_place_of_any_file_is_reported_and_hangs_nobody() {
    let folder = origin();
    for file in folder.files() {
        let copy = folder.copy();
        let path = copy.path().join(&file);
        std::fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let honest = |what: &str, error: Option<aquifer_indexer::Error>| {
            if let Some(error) = error {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{what} {name}: {error}");
                assert!(error.to_string().contains(&name), "{what} {name}: {error}");
            }
        };
        honest("reading", answers(&copy.reader()).err());
        let writer = copy.open(&config());
        honest("posting", post(&writer, vec![document("w7", "x")]).err());
        drop(writer.check());
    }
}
