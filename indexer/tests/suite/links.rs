//! The links of versions: links that were followed by a copy, that name no manifest, or that an earlier format had none of.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use aquifer_indexer::ErrorKind;
use aquifer_indexer::layout::{self, HEAD};
use aquifer_indexer::numbers::Version;

use crate::rig::{Folder, assert_clean, config, contents, document, post};

/// An index of some versions, which a cold start finds by its links alone; and its newest version.
fn without_head() -> (Folder, Version) {
    let folder = Folder::new();
    let index = folder.open(&config());
    for n in 0..3 {
        post(&index, vec![document(&format!("k{n}"), "some words")]).unwrap();
    }
    let version = index.stats().unwrap().version;
    drop(index);
    std::fs::remove_file(folder.path().join(HEAD)).unwrap();
    (folder, version)
}

fn link(folder: &Folder, version: Version) -> PathBuf {
    folder.path().join(layout::version_link(version))
}

/// Tools such as `cp -rL` and `aws s3 sync` put the target's bytes where the link was.
#[test]
fn a_copy_that_followed_the_links_holds_the_same_index() {
    let (folder, version) = without_head();
    let expected = contents(&folder.copy().reader()).unwrap();
    for version in Version::NONE.later_up_to(version) {
        let bytes = std::fs::read(folder.path().join(folder.manifest(version))).unwrap();
        let link = link(&folder, version);
        std::fs::remove_file(&link).unwrap();
        std::fs::write(link, bytes).unwrap();
    }
    assert_eq!(contents(&folder.reader()).unwrap(), expected);
    let writer = folder.open(&config());
    let (next, _) = post(&writer, vec![document("next", "x")]).unwrap();
    assert_eq!(next, version.next());
    assert_clean(&writer);
}

#[test]
fn a_link_that_names_no_manifest_of_its_version_is_reported_and_not_followed() {
    let (folder, version) = without_head();
    let other = folder.manifest(version.before().unwrap());
    let other = other.strip_prefix("manifests/").unwrap();
    for text in ["/etc/passwd", "../../other/manifests/1", other, "."] {
        let folder = folder.copy();
        let link = link(&folder, version);
        std::fs::remove_file(&link).unwrap();
        symlink(text, &link).unwrap();
        let error = folder.reader().snapshot().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}: {error}");
        let named = layout::version_link(version);
        assert!(error.to_string().starts_with(&named), "{text}: {error}");
    }
}

/// The manifests of earlier formats have the names that links have now.
#[test]
fn an_index_of_an_earlier_format_is_rejected() {
    let (folder, version) = without_head();
    for version in Version::NONE.later_up_to(version) {
        let manifest = folder.path().join(folder.manifest(version));
        let mut bytes = std::fs::read(&manifest).unwrap();
        bytes[4] = 2;
        std::fs::remove_file(manifest).unwrap();
        let link = link(&folder, version);
        std::fs::remove_file(&link).unwrap();
        std::fs::write(link, bytes).unwrap();
    }
    let error = folder.reader().snapshot().unwrap_err().to_string();
    assert!(error.contains("format version 2"), "{error}");
}
