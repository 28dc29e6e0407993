//! The rules about files and keys.

use super::build::*;
use super::*;
use crate::format::manifest::Cause;
use crate::layout;
use crate::numbers::{DocCount, Version};

pub(super) const RULES_BROKEN: [&str; 4] = [
    "applied_batches_that_remain_are_named",
    "files_of_the_newest_version_exist",
    "files_of_the_job_exist",
    "each_key_is_there_once",
];

/// A newest version with a job that is at its first checkpoint, and all files that it needs.
fn complete() -> (Manifest, Folder) {
    let newest = job_advances().next;
    let job = newest.body.job.as_deref().unwrap();
    let named = job.checkpoint.unwrap();
    let mut built = base();
    (built.version, built.nonce, built.lineage) =
        (Version::new(named.number), named.nonce, job.lineage);
    built.body.containers = vec![container(bundle(Version::FIRST), 10)];
    built.body.segments = vec![segment(1, 1, 0)];
    let files = newest.files().into_iter().chain(built.files());
    let mut folder = Folder::default();
    folder.paths.extend(files.map(|file| file.path()));
    folder.paths.insert(newest.path());
    folder.paths.insert(layout::version_link(newest.version));
    folder
        .paths
        .insert(layout::checkpoint(job.status.id, named.number, named.nonce));
    folder.built = Some(built);
    let batches = newest.body.applied.iter();
    folder.applied = batches.map(|entry| entry.batch).collect();
    folder.inbox = folder.applied.iter().copied().collect();
    (newest, folder)
}

fn broken_by(newest: &Manifest, folder: &Folder) -> Vec<&'static str> {
    broken(|check| match check {
        Check::Folder(check) => check(newest, folder),
        _ => Ok(()),
    })
}

#[test]
fn each_file_that_is_missing_breaks_its_rule_and_is_named() {
    let (newest, folder) = complete();
    assert_eq!(broken_by(&newest, &folder), Vec::<&str>::new());
    for path in &folder.paths {
        let (_, mut lacking) = complete();
        lacking.paths.remove(path);
        let of_job = path.starts_with(layout::JOBS) || *path == bundle(Version::FIRST).path();
        let rule = match of_job {
            true => "files_of_the_job_exist",
            false => "files_of_the_newest_version_exist",
        };
        let broken = broken_by(&newest, &lacking);
        assert!(broken.contains(&rule), "{path}: {broken:?}");
        let violations = check_folder(&newest, &lacking);
        assert!(
            violations.iter().all(|violation| violation.file == *path),
            "{violations:?}"
        );
    }
}

#[test]
fn a_job_needs_the_versions_that_it_has_yet_to_carry_over() {
    let (mut newest, mut folder) = complete();
    newest.body.job.as_mut().unwrap().replayed_to = BEFORE;
    assert_eq!(broken_by(&newest, &folder), ["files_of_the_job_exist"]);
    folder.paths.insert(layout::version_link(BASE));
    assert_eq!(broken_by(&newest, &folder), Vec::<&str>::new());
}

#[test]
fn a_checkpoint_of_another_job_breaks_the_rule() {
    let (newest, mut folder) = complete();
    folder.built.as_mut().unwrap().nonce = uuid::Uuid::nil();
    assert_eq!(broken_by(&newest, &folder), ["files_of_the_job_exist"]);
}

#[test]
fn an_applied_batch_that_is_left_and_not_named_breaks_the_rule() {
    let (mut newest, mut folder) = complete();
    let batch = newest.body.applied.remove(0).batch;
    let violations = check_folder(&newest, &folder);
    assert_eq!(violations[0].file, layout::batch(batch));
    assert_eq!(
        broken_by(&newest, &folder),
        ["applied_batches_that_remain_are_named"]
    );
    folder.inbox.clear();
    assert_eq!(broken_by(&newest, &folder), Vec::<&str>::new());
}

#[test]
fn a_key_that_is_there_twice_or_not_at_all_breaks_the_rule() {
    let newest = after(&base(), Cause::Merge).next;
    let found = |live, keyed, twice: Option<&str>| Found {
        live: DocCount::new(live),
        keyed: DocCount::new(keyed),
        twice: twice.map(str::to_owned),
    };
    for (documents, records, is_right) in [
        (found(12, 12, None), found(3, 3, None), true),
        (found(12, 12, Some("a")), found(3, 3, None), false),
        (found(12, 11, None), found(3, 3, None), false),
        (found(13, 13, None), found(3, 3, None), false),
        (found(12, 12, None), found(3, 3, Some("a")), false),
        (found(12, 12, None), found(0, 0, None), false),
    ] {
        let keys = Keys { documents, records };
        let violations = check_keys(&newest, &keys);
        assert_eq!(violations.is_empty(), is_right, "{keys:?}: {violations:?}");
        assert!(violations.iter().all(|violation| violation.rule == "I9"));
    }
}
