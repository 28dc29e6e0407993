//! What may be opened as a file of an index: a regular file.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

/// Gives what was opened, if it is a regular file. `look` says what has the name where it could not be opened.
pub(super) fn only(
    opened: io::Result<OwnedFd>,
    look: impl Fn() -> io::Result<Stat>,
) -> io::Result<OwnedFd> {
    let stat = match &opened {
        Ok(file) => rustix::fs::fstat(file)?,
        Err(error) if is_of_another_kind(error) => look()?,
        Err(_) => return opened,
    };
    match other_kind(FileType::from_raw_mode(stat.st_mode)) {
        None => opened,
        Some(kind) => {
            let message = format!(
                "this is {kind}, but it should be a regular file: remove it, and restore the file from a backup"
            );
            // Damage, and not a failure of the file system.
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
    }
}

/// Whether opening failed as it does for a socket, a FIFO without a reader, a device, a folder, or a symbolic link.
fn is_of_another_kind(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::NXIO | Errno::NODEV | Errno::ISDIR | Errno::LOOP)
    )
}

fn other_kind(kind: FileType) -> Option<&'static str> {
    match kind {
        FileType::RegularFile => None,
        FileType::Directory => Some("a folder"),
        FileType::Fifo => Some("a FIFO"),
        FileType::Symlink => Some("a symbolic link"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice | FileType::BlockDevice => Some("a device"),
        _ => Some("something else"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, Mode};

    use crate::error::{Error, ErrorKind};
    use crate::mount::{Access, FailureClass, Mount as _, PosixMount};

    #[test]
    fn what_is_no_regular_file_is_refused_by_name_and_hangs_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let mount = PosixMount::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        let mode = Mode::from_raw_mode(0o644);
        let fifo = folder.path().join("FIFO");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        fs::write(folder.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", folder.path().join("symbolic link")).unwrap();
        for name in ["folder", "socket", "FIFO", "symbolic link"] {
            for access in [
                Access::Read,
                Access::CoherentRead,
                Access::CoherentUpdate,
                Access::Update,
            ] {
                let failure = mount.open(name, access).unwrap_err();
                assert_eq!(failure.class(), FailureClass::Damaged, "{failure}");
                let error = Error::from(failure);
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
                let text = error.to_string();
                assert!(
                    text.starts_with(name) && text.contains(&format!("a {name}")),
                    "{text}"
                );
            }
            assert!(mount.try_lock(name).is_err(), "{name}");
        }
        mount.open("file", Access::Update).unwrap();
    }
}
