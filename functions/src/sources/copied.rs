//! Indexes that are copied from S3 to the local disk, to be read there.
//!
//! Only the files that readers need are copied. All checksums of the newest version are verified before it is used, so an
//! upload that is not complete is an error. The next attempt copies everything again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use aquifer_indexer::config::MIB;
use aquifer_indexer::index::{Aquifer, Config, check_name};
use aquifer_indexer::{Error, Result, layout};

use super::address::Address;
use super::bucket::Bucket;

/// Files that are copied at once. Each holds a part of 8 MiB.
const TOGETHER: usize = 4;

/// Copies the indexes below `url` into `folder`, which is empty, in so many bytes of `room`. `environment` has the `AWS_` variables.
/// Blocks.
///
/// # Errors
/// [`aquifer_indexer::ErrorKind::Invalid`] where there is no index, or no room for it; [`aquifer_indexer::ErrorKind::Unavailable`];
/// [`aquifer_indexer::ErrorKind::Corrupt`] where an index is damaged or not complete.
pub fn copy(url: &str, folder: &Path, room: u64, environment: &[(String, String)]) -> Result<()> {
    let Address::Bucket { bucket, prefix } = Address::parse(url, Path::new("/"))? else {
        return Err(Error::invalid(format!(
            "{url} is no prefix of a bucket: write s3://BUCKET/PREFIX"
        )));
    };
    let bucket = Bucket::open(&bucket, &prefix, environment)?;
    let files = needed(bucket.list_all()?);
    let indexes: BTreeSet<&str> = files.iter().map(|file| file.index.as_str()).collect();
    if !files.iter().any(|file| file.path == layout::HEAD) {
        return Err(Error::invalid(format!(
            "there is no index at {url}: upload the folder of the indexes, so that {url}/INDEX/{} is there",
            layout::HEAD
        )));
    }
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    if bytes > room {
        return Err(Error::invalid(format!(
            "the indexes at {url} take {} MiB, and {} has room for {} MiB: run `aquifer merge` and `aquifer gc` before \
             the upload, give the function more ephemeral storage, or mount a file system",
            bytes.div_ceil(MIB as u64),
            folder.display(),
            room / MIB as u64
        )));
    }
    for index in &indexes {
        for sub in layout::FOLDERS {
            let path = folder.join(index).join(sub);
            fs::create_dir_all(&path).map_err(|error| Error::io(path, error))?;
        }
    }
    fetch(&bucket, &files, folder)?;
    verify(folder, &indexes)
}

/// A file of an index.
#[derive(Debug)]
struct Needed {
    name: String,
    index: String,
    path: String,
    size: u64,
}

/// What a reader needs of the objects of a root folder.
fn needed(objects: Vec<(String, u64)>) -> Vec<Needed> {
    let read = |path: &str| {
        path == layout::HEAD
            || path.split_once('/').is_some_and(|(folder, file)| {
                [layout::MANIFESTS, layout::BUNDLES].contains(&folder) && !file.contains('/')
            })
    };
    let file = |(name, size): (String, u64)| {
        let (index, path) = name.split_once('/')?;
        let (index, path) = (index.to_owned(), path.to_owned());
        (check_name(&index).is_ok() && read(&path)).then_some(Needed {
            name,
            index,
            path,
            size,
        })
    };
    objects.into_iter().filter_map(file).collect()
}

fn fetch(bucket: &Bucket, files: &[Needed], folder: &Path) -> Result<()> {
    let share = files.len().div_ceil(TOGETHER).max(1);
    std::thread::scope(|scope| {
        let fetching: Vec<_> = files
            .chunks(share)
            .map(|some| {
                scope.spawn(move || {
                    some.iter()
                        .try_for_each(|file| fetch_one(bucket, file, folder))
                })
            })
            .collect();
        fetching.into_iter().try_for_each(|thread| {
            let broken = |_panic| Err(Error::internal("copying broke off"));
            thread.join().unwrap_or_else(broken)
        })
    })
}

fn fetch_one(bucket: &Bucket, file: &Needed, folder: &Path) -> Result<()> {
    let path = folder.join(&file.index).join(&file.path);
    let Some(mut object) = bucket.open_version(&file.name, None)? else {
        return Err(Error::new(
            aquifer_indexer::ErrorKind::Unavailable,
            format!(
                "{} is gone: the index is being replaced; ask again",
                file.name
            ),
        ));
    };
    let copied = File::create(&path).and_then(|mut to| io::copy(&mut object.bytes, &mut to));
    copied.map_err(|error| Error::io(path, error)).map(drop)
}

fn verify(folder: &Path, indexes: &BTreeSet<&str>) -> Result<()> {
    let config = Config {
        read_only: true,
        // Every byte is read once.
        cache_bytes: 0,
        ..Config::default()
    };
    let aquifer = Aquifer::open(folder, config)?;
    for index in indexes {
        let report = aquifer.index(index)?.check()?;
        if let Some(problem) = report.problems.first() {
            return Err(Error::new(
                aquifer_indexer::ErrorKind::Corrupt,
                format!(
                    "the copy of the index {index:?} is not whole: {}: {}; upload it again while nobody writes to it",
                    problem.file, problem.detail
                ),
            ));
        }
    }
    Ok(())
}
