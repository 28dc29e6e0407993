//! What kind of file system a folder is on.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{major, minor};

/// `f_type` of file systems that live in this kernel alone (`statfs(2)`): a plain read is coherent,
/// and a direct one would only go to the disk for nothing.
const LOCAL_FILE_SYSTEMS: [u32; 9] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683E, // btrfs
    0x0102_1994, // tmpfs
    0x794C_7630, // overlayfs
    0x2FC1_2FC1, // zfs
    0xF2F5_2010, // f2fs
    0x8584_58F6, // ramfs
    0xE0F5_E1E2, // erofs
];

/// `f_type` of NFS.
const NFS: u32 = 0x6969;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Plain reads are coherent.
    Local,
    /// Coherent reads bypass the page cache; names are durable when a call returns.
    Nfs,
    /// Nothing is known of it: the dearer way is taken everywhere.
    Other,
}

impl Kind {
    pub(super) fn of(folder: &OwnedFd) -> io::Result<Self> {
        // `statfs` asks the server, which the list of mounts does not.
        let device = rustix::fs::fstat(folder)?.st_dev;
        let device = format!("{}:{}", major(device), minor(device));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        if mounts.lines().any(|line| is_nfs(line, &device)) {
            return Ok(Self::Nfs);
        }
        let found = rustix::fs::fstatfs(folder)?.f_type;
        let is = |known: u32| i128::from(known) == i128::from(found);
        Ok(if is(NFS) {
            Self::Nfs
        } else if LOCAL_FILE_SYSTEMS.into_iter().any(is) {
            Self::Local
        } else {
            Self::Other
        })
    }
}

/// Whether a line of `/proc/self/mountinfo` (`proc(5)`) says that `device` is mounted by NFS.
fn is_nfs(line: &str, device: &str) -> bool {
    let Some((mount, source)) = line.split_once(" - ") else {
        return false;
    };
    let kind = source.split(' ').next().unwrap_or_default();
    mount.split(' ').nth(2) == Some(device) && (kind == "nfs" || kind == "nfs4")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_device() {
        let line = "61 28 0:48 / /mnt/efs rw,relatime shared:1 - nfs4 10.99.0.1:/ rw,vers=4.1";
        assert!(is_nfs(line, "0:48"));
        assert!(!is_nfs(line, "0:4"));
        assert!(!is_nfs(&line.replace("nfs4", "ext4"), "0:48"));
        assert!(!is_nfs("", ""));
    }

    #[test]
    fn the_folder_of_this_program_is_of_some_kind() {
        let folder = std::fs::File::open(std::env::temp_dir()).unwrap();
        assert_ne!(Kind::of(&folder.into()).unwrap(), Kind::Nfs);
    }
}
