//! The names in a folder, as a file server gives them.

use std::collections::HashSet;
use std::io;

use rustix::fs::Dir;
use rustix::io::Errno;

/// Names that a listing may give more than once before it is taken for one without an end.
const AGAIN_MAX: usize = 10_000;

/// All names, in no order.
pub(super) fn names(folder: Dir) -> io::Result<Vec<String>> {
    each_once(folder.map(|entry| Ok(entry?.file_name().to_str().map(str::to_owned).ok())))
}

/// A file server may give a name again that was removed and made anew meanwhile; one that loses count begins again
/// and again, and would fill the memory.
fn each_once(names: impl Iterator<Item = io::Result<Option<String>>>) -> io::Result<Vec<String>> {
    let mut once = HashSet::new();
    let mut again = 0;
    for name in names {
        let Some(name) = name?.filter(|name| name != "." && name != "..") else {
            continue;
        };
        if !once.insert(name) {
            again += 1;
        }
        if again > AGAIN_MAX {
            return Err(Errno::LOOP.into());
        }
    }
    Ok(once.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_gives_each_name_once_and_ends() {
        let names = ["..", "5", "4", "."].map(|name| Some(name.to_owned()));
        let again = [None, Some("4".into())];
        let mut listed = each_once(names.iter().cloned().chain(again).map(Ok)).unwrap();
        listed.sort_unstable();
        assert_eq!(listed, ["4", "5"]);
        let endless = each_once(names.into_iter().cycle().map(Ok)).unwrap_err();
        assert_eq!(endless.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
    }
}
