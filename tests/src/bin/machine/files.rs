//! Single calls of the index's file layer, on the mount, so that a test can see what they do there.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use aquifer_indexer::mount::{
    Access, COHERENT_PAGE, LockGuard, Mount as _, MountFailure, MountFile, MountOperation,
    MountResult, PosixMount,
};
use aquifer_tests::lab::{FileAccess, FileOrder, MOUNT_POINT};

/// What is open.
#[derive(Default)]
pub(crate) struct Files {
    open: Mutex<HashMap<String, Arc<dyn MountFile>>>,
    locks: Mutex<HashMap<String, Box<dyn LockGuard>>>,
}

impl Files {
    /// Makes a call. Its failure is an answer; only an order that makes no sense is an error.
    pub(crate) fn carry_out(&self, order: FileOrder) -> Result<std::result::Result<String, i32>> {
        Ok(self
            .call(order)
            .map_err(|failure| failure.errno().unwrap_or(0)))
    }

    fn call(&self, order: FileOrder) -> MountResult<String> {
        let mount = PosixMount::open(Path::new(MOUNT_POINT))?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |file: &str| {
            open.get(file).cloned().ok_or_else(|| {
                let closed = io::Error::other("no such file is open");
                MountFailure::new(MountOperation::Read, file, closed)
            })
        };
        match order {
            FileOrder::Open { file, path, access } => {
                let opened = mount.open(&path, access_of(access))?;
                open.insert(file, opened);
            }
            FileOrder::Read { file } => {
                let mut page = vec![0; COHERENT_PAGE];
                let read = known(&file)?.read_at(&mut page, 0)?;
                page.truncate(read);
                let text = page.split(|byte| *byte == 0).next().unwrap_or_default();
                return Ok(String::from_utf8_lossy(text).into_owned());
            }
            FileOrder::Write { file, text } => {
                let mut page = text.into_bytes();
                page.resize(COHERENT_PAGE, 0);
                known(&file)?.write_durably_at(&page, 0)?;
            }
            FileOrder::Close { file } => {
                open.remove(&file);
            }
            FileOrder::Symlink { text, path } => mount.symlink(&text, &path)?,
            FileOrder::ReadLink { path } => return mount.read_link(&path),
            FileOrder::Unlink { path } => mount.unlink(&path)?,
            FileOrder::MakeDir { folder } => mount.make_dir(&folder)?,
            FileOrder::List { folder } => {
                let mut names = mount.list(&folder)?;
                names.sort_unstable();
                return Ok(names.join("\n"));
            }
            FileOrder::TryLock { path } => {
                let Some(guard) = mount.try_lock(&path)? else {
                    return Ok("taken".into());
                };
                locks.insert(path, guard);
                return Ok("held".into());
            }
            FileOrder::Unlock { path } => {
                locks.remove(&path);
            }
        }
        Ok(String::new())
    }
}

fn access_of(access: FileAccess) -> Access {
    match access {
        FileAccess::Read => Access::Read,
        FileAccess::CoherentRead => Access::CoherentRead,
        FileAccess::CoherentUpdate => Access::CoherentUpdate,
        FileAccess::Update => Access::Update,
        FileAccess::CreateNew => Access::CreateNew,
        FileAccess::CoherentNew => Access::CoherentNew,
    }
}
