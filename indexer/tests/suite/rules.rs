//! A version that breaks a rule is named by `check`, and none that would break one is published.

use aquifer_indexer::ErrorKind;
use aquifer_indexer::format::manifest::Manifest;
use aquifer_indexer::format::retired::Retired;
use aquifer_indexer::layout::{HEAD, INBOX, MANIFESTS};
use aquifer_indexer::numbers::{Epoch, Version};

use crate::rig::{Folder, config, contents, document, post};

/// Changes the manifest of a version on the disk, with checksums that are right. Gives its path.
fn rewrite(folder: &Folder, version: Version, change: impl FnOnce(&mut Manifest)) -> String {
    let path = folder.manifest(version);
    let file = folder.path().join(&path);
    let bytes = std::fs::read(&file).unwrap();
    let mut manifest = Manifest::decode(&bytes, &path).unwrap();
    let start = manifest.pages_base as usize;
    let pages = &bytes[start..start + manifest.pages_len as usize];
    change(&mut manifest);
    std::fs::write(file, manifest.encode_file(pages).unwrap()).unwrap();
    // It has a copy of the manifest.
    std::fs::remove_file(folder.path().join(HEAD)).unwrap();
    path
}

fn posted() -> (Folder, Version) {
    let folder = Folder::new();
    let index = folder.open(&config());
    post(&index, vec![document("first", "x")]).unwrap();
    let (version, _) = post(&index, vec![document("second", "x")]).unwrap();
    (folder, version)
}

#[test]
fn check_names_the_rule_and_the_version_and_the_file() {
    let (folder, version) = posted();
    let path = rewrite(&folder, version, |manifest| manifest.epoch = Epoch::new(6));
    let problems = folder.reader().check().unwrap().problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].file, path);
    let expected = format!("version {version} breaks rule I26: its epoch is 6 instead of 1");
    assert_eq!(problems[0].detail, expected);
}

/// A version that cannot be followed by one that keeps the rules is met by every writer, and costs nothing that was accepted.
#[test]
fn a_version_that_would_break_a_rule_is_not_published() {
    let (folder, version) = posted();
    let whole = std::fs::read(folder.path().join(folder.manifest(version))).unwrap();
    let path = rewrite(&folder, version, |manifest| {
        let impossible = Retired {
            from: Version::FIRST,
            to: Version::FIRST,
            since: Version::new(u64::MAX),
            until: Version::new(u64::MAX),
            files: 1,
        };
        manifest.body.retired.push(impossible);
    });
    let accepted = vec![document("accepted", "x")];
    folder.lay(folder.mount(), accepted).unwrap();
    let before = (folder.names(MANIFESTS), folder.names(INBOX));
    let error = post(&folder.open(&config()), vec![document("third", "x")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(error.to_string().contains("breaks rule I10"), "{error}");
    assert_eq!(before, (folder.names(MANIFESTS), folder.names(INBOX)));

    std::fs::write(folder.path().join(path), whole).unwrap();
    let index = folder.open(&config());
    post(&index, vec![document("fourth", "x")]).unwrap();
    let seen = contents(&index).unwrap().0;
    let keys: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(keys, ["accepted", "first", "fourth", "second"]);
    folder.assert_rules("restored");
}
