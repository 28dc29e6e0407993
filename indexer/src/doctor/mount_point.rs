//! The mount that a folder lies on, from `/proc/self/mountinfo` (`proc(5)`).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{major, minor};
use serde::Serialize;

/// Where the system lists its mounts.
const MOUNTS: &str = "/proc/self/mountinfo";

/// File systems of one machine, by the names that the list of mounts has for them.
const LOCAL: [&str; 9] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "f2fs",
];

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MountPoint {
    /// The folder that it is mounted on.
    pub folder: String,
    /// The type of the file system: `nfs4`.
    pub kind: String,
    /// What is mounted: `fs-0123.efs.us-east-1.amazonaws.com:/`.
    pub source: String,
    /// The options of the mount and of the file system.
    pub options: Vec<String>,
}

impl MountPoint {
    /// The mount of `folder`, where the system tells of it.
    pub fn of(folder: &Path) -> Option<Self> {
        let device = fs::metadata(folder).ok()?.dev();
        let device = format!("{}:{}", major(device), minor(device));
        let folder = folder.canonicalize().ok()?;
        let mounts = fs::read_to_string(MOUNTS).ok()?;
        Self::find(&mounts, &device, &folder)
    }

    /// The mount of this device on which `folder` lies: the innermost one, and of those the last one.
    fn find(mounts: &str, device: &str, folder: &Path) -> Option<Self> {
        let on_device = mounts.lines().filter_map(|line| Self::parse(line, device));
        on_device
            .filter(|mount| folder.starts_with(&mount.folder))
            .max_by_key(|mount| mount.folder.len())
    }

    fn parse(line: &str, device: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(2);
        if mount.next()? != device {
            return None;
        }
        let (folder, own) = (mount.nth(1)?, mount.next()?);
        let mut file_system = file_system.split(' ');
        let (kind, source) = (file_system.next()?, file_system.next()?);
        let mut options: Vec<String> = Vec::new();
        for option in own.split(',').chain(file_system.next()?.split(',')) {
            if !options.iter().any(|known| known == option) {
                options.push(option.to_owned());
            }
        }
        Some(Self {
            folder: unescaped(folder),
            kind: kind.to_owned(),
            source: unescaped(source),
            options,
        })
    }

    /// Whether it is a file system of this machine alone.
    pub fn is_local(&self) -> bool {
        LOCAL.contains(&&*self.kind)
    }

    /// Whether it is NFS.
    pub fn is_nfs(&self) -> bool {
        self.kind == "nfs" || self.kind == "nfs4"
    }

    /// Whether it has this option, as a word or with a value.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|known| known == option)
    }

    /// The value of an option.
    pub fn value(&self, option: &str) -> Option<&str> {
        let values = self
            .options
            .iter()
            .filter_map(|known| known.split_once('='));
        values
            .filter(|(name, _)| *name == option)
            .map(|(_, value)| value)
            .next()
    }

    /// The option that keeps `flock` on this machine, if there is one.
    pub fn local_locks(&self) -> Option<&str> {
        let local = |option: &&String| {
            ["nolock", "local_lock=all", "local_lock=flock"].contains(&option.as_str())
        };
        self.options.iter().find(local).map(String::as_str)
    }
}

/// Turns the octal escapes of the list (`\040` for a space) back into what they stand for.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = match rest {
            [b'\\', digits @ ..] => digits
                .get(..3)
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .and_then(|digits| u8::from_str_radix(digits, 8).ok()),
            _ => None,
        };
        bytes.push(escape.unwrap_or(*first));
        rest = match escape {
            Some(_) => after.get(3..).unwrap_or_default(),
            None => after,
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
21 1 8:1 / / rw,relatime - ext4 /dev/root rw
61 21 0:48 / /mnt/efs rw,relatime shared:1 - nfs4 10.99.0.1:/ rw,vers=4.1,hard,local_lock=none
62 21 0:49 / /mnt/with\\040space rw - nfs server:/a rw,vers=3,soft,nolock,local_lock=all
63 61 0:48 /inner /mnt/efs/inner ro,relatime - nfs4 10.99.0.1:/inner rw,vers=4.1";

    fn find(device: &str, folder: &str) -> MountPoint {
        MountPoint::find(MOUNTS, device, Path::new(folder)).unwrap()
    }

    #[test]
    fn the_innermost_mount_of_a_folder_is_found_with_its_options() {
        let mount = find("0:48", "/mnt/efs/root");
        assert_eq!((&*mount.folder, &*mount.kind), ("/mnt/efs", "nfs4"));
        assert_eq!(mount.source, "10.99.0.1:/");
        assert_eq!(mount.value("vers"), Some("4.1"));
        assert!(mount.has("hard") && mount.is_nfs() && !mount.is_local());
        assert_eq!(mount.local_locks(), None);
        assert_eq!(find("0:48", "/mnt/efs/inner/root").folder, "/mnt/efs/inner");
        assert!(find("8:1", "/home").is_local());
        assert!(MountPoint::find(MOUNTS, "0:50", Path::new("/mnt")).is_none());
    }

    #[test]
    fn locks_that_stay_on_one_machine_are_seen_in_the_options() {
        let mount = find("0:49", "/mnt/with space/root");
        assert_eq!(mount.local_locks(), Some("nolock"));
        assert!(mount.has("soft"));
    }

    #[test]
    fn the_mount_of_this_folder_is_found() {
        let mount = MountPoint::of(Path::new(".")).unwrap();
        assert!(
            !mount.kind.is_empty() && !mount.options.is_empty(),
            "{mount:?}"
        );
    }
}
