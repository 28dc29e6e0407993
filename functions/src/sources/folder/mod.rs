//! The files below a folder. Only regular files are read, and links are not followed, so that nothing outside
//! of it is. A file or a folder that this process has no right to is reported, and the others are read.

mod entry;
mod file;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use aquifer_indexer::{Error, Result};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use self::entry::{Entry, Kind, own_name};
use self::file::{Bytes, Denied, NO_RIGHT, existing, is_denied, open_file, open_folder};
use super::objects::{Found, Objects, Opened, Page, Skipped, unavailable, unreadable};

/// Names in a page. Each page lists the folders on its way again, so it is not small.
const PAGE_NAMES: usize = 10_000;

/// How deep folders may lie in each other; each that is being listed is held open.
const LEVELS_MAX: usize = 64;

/// A folder, held open.
#[derive(Debug)]
pub struct Folder {
    folder: OwnedFd,
    shown: String,
}

impl Folder {
    /// Opens a folder that the user names.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        Self::below(path, path)
    }

    /// The files after a name, those in its folders included, in the order of their names.
    ///
    /// # Errors
    /// The file system fails.
    pub fn files(&self, after: Option<&str>) -> Result<Page> {
        let mut page = Page::default();
        if self.gather(&self.folder, "", after.unwrap_or_default(), &mut page, 0)? {
            let names = (page.found.last(), page.skipped.last());
            let names = (
                names.0.map(|last| &last.name),
                names.1.map(|last| &last.name),
            );
            page.after = names.0.max(names.1).cloned();
        }
        Ok(page)
    }

    /// Opens a file that a listing has named; none where it is gone, or is no regular file any more.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn file(&self, name: &str) -> io::Result<Option<File>> {
        let opened = existing(open_file(&self.folder, name))?;
        Ok(opened.map(|(file, _version)| file))
    }

    /// Opens `path`, which is at or below `base`. Links on the way to `base` are followed, none below it.
    pub(super) fn below(base: &Path, path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let failed = |error: Errno| match error {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => {
                unreadable(&shown, "there is no such folder (links are not followed)")
            }
            Errno::ACCESS | Errno::PERM => unreadable(&shown, NO_RIGHT),
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
        for Entry { name, kind } in self.entries(&folder, prefix)? {
            let own = own_name(&name, prefix);
            // All names in a folder begin with its own, which tells which side of `after` they are on.
            if name.as_str() <= after && !(kind == Kind::Folder && after.starts_with(&name)) {
                continue;
            }
            match kind {
                Kind::Folder if level == LEVELS_MAX => {
                    let why = format!("it lies more than {LEVELS_MAX} folders deep");
                    page.add_problem(name, why);
                }
                Kind::Folder => match open_folder(&folder, own) {
                    Ok(below) => {
                        if self.gather(below, &name, after, page, level + 1)? {
                            return Ok(true);
                        }
                    }
                    Err(error) if is_denied(error) => page.add_problem(name, NO_RIGHT.to_owned()),
                    Err(error) => {
                        existing::<()>(Err(error)).map_err(|error| self.failed(error))?;
                    }
                },
                Kind::File => self.add_file(&folder, name, prefix, page)?,
                Kind::Skipped(why) => page.skipped.push(Skipped { name, why }),
                Kind::Problem(why) => page.add_problem(name, why.to_owned()),
            }
            if page.found.len() + page.skipped.len() >= PAGE_NAMES {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds a file and its size, unless it is gone.
    fn add_file(
        &self,
        folder: impl AsFd,
        name: String,
        prefix: &str,
        page: &mut Page,
    ) -> Result<()> {
        let stat = statat(&folder, own_name(&name, prefix), AtFlags::SYMLINK_NOFOLLOW);
        if stat.is_err_and(is_denied) {
            page.add_problem(name, NO_RIGHT.to_owned());
            return Ok(());
        }
        if let Some(stat) = existing(stat).map_err(|error| self.failed(error))? {
            let size = u64::try_from(stat.st_size).unwrap_or_default();
            page.found.push(Found {
                name,
                size,
                problem: None,
            });
        }
        Ok(())
    }

    /// What is in a folder, in the order in which the names of all files come.
    fn entries(&self, folder: impl AsFd, prefix: &str) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let listed = Dir::read_from(&folder).map_err(|error| self.failed(error))?;
        for listed in listed {
            let listed = listed.map_err(|error| self.failed(error))?;
            let own = listed.file_name();
            if own == c"." || own == c".." {
                continue;
            }
            let mut kind = listed.file_type();
            if kind == FileType::Unknown {
                let stat = statat(&folder, own, AtFlags::SYMLINK_NOFOLLOW);
                if stat.is_err_and(is_denied) {
                    entries.push(Entry {
                        name: format!("{prefix}{}", own.to_string_lossy()),
                        kind: Kind::Problem(NO_RIGHT),
                    });
                    continue;
                }
                let stat = existing(stat).map_err(|error| self.failed(error))?;
                kind = stat.map_or(kind, |stat| FileType::from_raw_mode(stat.st_mode));
            }
            entries.push(Entry::new(prefix, own, kind));
        }
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }
}

impl Page {
    fn add_problem(&mut self, name: String, why: String) {
        self.found.push(Found {
            name,
            size: 0,
            problem: Some(why),
        });
    }
}

impl Objects for Folder {
    fn list(&self, after: Option<&str>) -> Result<Page> {
        self.files(after)
    }

    fn open(&self, name: &str) -> Result<Option<Opened>> {
        let opened = match open_file(&self.folder, name) {
            Err(error) if is_denied(error) => {
                let bytes = Box::new(Denied);
                let version = String::new();
                return Ok(Some(Opened { version, bytes }));
            }
            opened => existing(opened).map_err(|error| self.failed(error))?,
        };
        let Some((file, version)) = opened else {
            return Ok(None);
        };
        let what = format!("{}/{name}", self.shown);
        let bytes = Box::new(Bytes { file, what });
        Ok(Some(Opened { version, bytes }))
    }
}
