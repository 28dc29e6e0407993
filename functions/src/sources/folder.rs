//! The files below a folder. Links are not followed, so that nothing outside of it is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use aquifer_indexer::{Error, Result};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use super::objects::{Failed, Found, Objects, Opened, Page, unavailable, unreadable};
use super::reading::Form;

/// Names in a page. Each page lists the folders on its way again, so it is not small.
const PAGE_NAMES: usize = 10_000;

/// How deep folders may lie in each other; each that is being listed is held open.
const LEVELS_MAX: usize = 64;

/// A folder, held open.
pub(super) struct Folder {
    folder: OwnedFd,
    shown: String,
}

impl Folder {
    /// Opens `path`, which lies at or below `base`. Links on the way to `base` are followed, none below it.
    pub(super) fn open(base: &Path, path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let failed = |error: Errno| match error {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => {
                unreadable(&shown, "there is no such folder (links are not followed)")
            }
            Errno::ACCESS | Errno::PERM => unreadable(&shown, "this process has no right to"),
            error => unavailable(&shown, io::Error::from(error)),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut folder = openat(CWD, base, flags, Mode::empty()).map_err(failed)?;
        for part in path.strip_prefix(base).unwrap_or(Path::new("")) {
            let name = Path::new(part);
            folder =
                openat(&folder, name, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(failed)?;
        }
        Ok(Self { folder, shown })
    }

    fn failed(&self, error: Errno) -> Error {
        unavailable(&self.shown, io::Error::from(error))
    }

    /// Adds the files of one folder and of those in it to `page` until it is full; whether it is.
    fn gather(
        &self,
        folder: impl AsFd,
        prefix: &str,
        after: &str,
        page: &mut Page,
        level: usize,
    ) -> Result<bool> {
        if level > LEVELS_MAX {
            return Err(unreadable(
                &self.shown,
                &format!("{prefix:?} lies more than {LEVELS_MAX} folders deep"),
            ));
        }
        for name in self.names(&folder, prefix)? {
            let Some((own, is_folder)) = own_name(&name, prefix) else {
                continue;
            };
            if is_folder {
                // All names in it begin with its own, which tells which side of `after` they are on.
                if name.as_str() < after && !after.starts_with(&name) {
                    continue;
                }
                let Some(below) =
                    existing(open_folder(&folder, own)).map_err(|error| self.failed(error))?
                else {
                    continue;
                };
                if self.gather(below, &name, after, page, level + 1)? {
                    return Ok(true);
                }
            } else if name.as_str() > after && Form::of(&name).is_some() {
                let stat = statat(&folder, own, AtFlags::SYMLINK_NOFOLLOW);
                let Some(stat) = existing(stat).map_err(|error| self.failed(error))? else {
                    continue;
                };
                let size = u64::try_from(stat.st_size).unwrap_or_default();
                page.found.push(Found { name, size });
                if page.found.len() == PAGE_NAMES {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The names of files and folders in a folder, those of folders with a slash, in the order in which the names
    /// of all files come.
    fn names(&self, folder: impl AsFd, prefix: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = Dir::read_from(&folder).map_err(|error| self.failed(error))?;
        for entry in entries {
            let entry = entry.map_err(|error| self.failed(error))?;
            // One that is not UTF-8 has no name that a position or a key could hold.
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
                let stat = existing(stat).map_err(|error| self.failed(error))?;
                kind = stat.map_or(kind, |stat| FileType::from_raw_mode(stat.st_mode));
            }
            match kind {
                FileType::RegularFile => names.push(format!("{prefix}{name}")),
                FileType::Directory => names.push(format!("{prefix}{name}/")),
                _ => {}
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

impl Objects for Folder {
    fn list(&self, after: Option<&str>) -> Result<Page> {
        let mut page = Page::default();
        if self.gather(&self.folder, "", after.unwrap_or_default(), &mut page, 0)? {
            page.after = page.found.last().map(|last| last.name.clone());
        }
        Ok(page)
    }

    fn open(&self, name: &str) -> Result<Option<Opened>> {
        let opened = open_file(&self.folder, name);
        let Some((file, version)) = existing(opened).map_err(|error| self.failed(error))? else {
            return Ok(None);
        };
        let what = format!("{}/{name}", self.shown);
        let bytes = Box::new(Bytes { file, what });
        Ok(Some(Opened { version, bytes }))
    }
}

/// The last part of a name, and whether it is a folder's.
fn own_name<'a>(name: &'a str, prefix: &str) -> Option<(&'a str, bool)> {
    let own = name.strip_prefix(prefix)?;
    match own.strip_suffix('/') {
        Some(folder) => Some((folder, true)),
        None => Some((own, false)),
    }
}

fn open_folder(above: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(above, name, flags, Mode::empty())
}

/// Opens a regular file, and says which version it is.
fn open_file(folder: &OwnedFd, name: &str) -> rustix::io::Result<(File, String)> {
    let (path, own) = name.rsplit_once('/').unwrap_or(("", name));
    let mut above = None;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        above = Some(open_folder(above.as_ref().unwrap_or(folder), part)?);
    }
    // A pipe that took the file's place must not be waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = openat(above.as_ref().unwrap_or(folder), own, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::NOENT);
    }
    let version = format!(
        "{}-{}.{:09}",
        stat.st_size, stat.st_mtime, stat.st_mtime_nsec
    );
    Ok((File::from(file), version))
}

/// None for what is gone, or is something else by now.
fn existing<T>(result: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a file holds.
struct Bytes {
    file: File,
    what: String,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).map_err(|error| {
            let failed = match error.raw_os_error() {
                Some(errno) if errno == Errno::STALE.raw_os_error() => Failed::Gone,
                _ => Failed::Source(unavailable(&self.what, error)),
            };
            failed.into_io()
        })
    }
}
