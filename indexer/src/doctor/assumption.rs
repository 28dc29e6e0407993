//! What is assumed of a file system, with the check of each assumption.
//!
//! `STORAGE.md`, section 2, has the same names beside the same assumptions.

use super::checks::{clock, files, folders, links, listing, locks, options, pages};
use super::evidence::Checked;
use super::session::Session;

/// An assumption, and how it is checked.
pub(super) struct Assumption {
    /// The name of the check.
    pub(super) name: &'static str,
    /// What is assumed.
    pub(super) statement: &'static str,
    /// What it means if that does not hold, and what to do.
    pub(super) advice: &'static str,
    /// Looks whether it holds.
    pub(super) check: fn(&Session<'_>) -> Checked,
}

/// All of them, in the order in which they are checked. The last check kills the companion.
pub(super) const ASSUMPTIONS: &[Assumption] = &[
    Assumption {
        name: "mount-options",
        statement: "the mount is a local disk, or NFS 4.1 or 4.2 with `hard`",
        advice: "The index was not tested on such a mount. With `soft`, a slow server turns into failed writes. Mount with the \
                 options that the README lists.",
        check: options::are_known,
    },
    Assumption {
        name: "exclusive-create",
        statement: "a file is created once",
        advice: "Batches and segments could overwrite each other: do not keep an index here. Use a local disk, or NFS 4.1.",
        check: files::are_created_once,
    },
    Assumption {
        name: "exclusive-link",
        statement: "a symbolic link is made once, and keeps its text",
        advice: "Versions are published by symbolic links, so documents could be lost: do not write an index here. Use a file \
                 system with symlink(2), such as Amazon EFS, any NFS 4.1 server, or a local disk.",
        check: links::are_made_once,
    },
    Assumption {
        name: "link-text",
        statement: "other processes read a symbolic link, and opening it does not follow it",
        advice: "A process that starts without HEAD finds the newest version by reading links: do not keep an index here.",
        check: links::are_read,
    },
    Assumption {
        name: "rename-of-folder",
        statement: "a folder replaces an empty folder and no other, and one of several wins",
        advice: "Two processes could create one index at the same time and lose documents: create indexes before several \
                 processes use them, or use another file system.",
        check: folders::are_renamed_once,
    },
    Assumption {
        name: "removed-folder",
        statement: "only an empty folder is removed, and a removed folder takes no files",
        advice: "A batch could be accepted by an index that was deleted: do not delete indexes here.",
        check: folders::take_no_files_once_removed,
    },
    Assumption {
        name: "durable-write",
        statement: "a durable write, fsync of a file and fsync of a folder succeed",
        advice: "Acknowledged batches could be lost with the server: do not keep an index here.",
        check: files::are_written_durably,
    },
    Assumption {
        name: "close-to-open",
        statement: "a file that was written and closed is read whole by whoever opens it afterwards",
        advice: "Readers would report damaged files: do not share an index through this mount.",
        check: files::are_seen_once_closed,
    },
    Assumption {
        name: "coherent-page",
        statement: "a page that is overwritten in place is seen by the next read of a file that stays open",
        advice: "Readers would miss new versions: do not share an index through this mount. If caching by the client can be \
                 switched off (for Amazon S3 Files: direct reads), switch it off and examine again.",
        check: pages::are_coherent,
    },
    Assumption {
        name: "unlinked-file",
        statement: "an open file whose name is removed is still read, or the read fails as stale",
        advice: "A search could return wrong results: do not share an index through this mount.",
        check: files::are_read_after_their_removal,
    },
    Assumption {
        name: "listing",
        statement: "a folder that is listed again shows every new name",
        advice: "Batches would wait in the inbox unseen: mount without `nocto` and with shorter `acdirmax`.",
        check: listing::shows_new_names,
    },
    Assumption {
        name: "early-name",
        statement: "a name that was looked up before it existed appears after a while (no process waits for one)",
        advice: "No process looks up a name that may not exist, so that nothing is lost. A person may have to wait.",
        check: listing::forgets_that_a_name_was_missing,
    },
    Assumption {
        name: "one-clock",
        statement: "the modification times of all files come from one clock",
        advice: "Files that readers need could be taken for old and removed: set the clocks of all machines by NTP, and use \
                 a file system whose server sets the times.",
        check: clock::is_one,
    },
    Assumption {
        name: "clock-skew",
        statement: "this machine and the file server agree about the time to within five minutes",
        advice: "No guarantee depends on it, but requests to S3 and the times in reports do: set the clock by NTP.",
        check: clock::agrees_with_the_server,
    },
    Assumption {
        name: "lock",
        statement: "a lock has one holder, and is free once that releases it",
        advice: "No guarantee depends on locks, but writers would do the same work twice: run one writer, or mount NFS 4.1 \
                 without `nolock` and `local_lock`.",
        check: locks::exclude,
    },
    Assumption {
        name: "lock-of-the-dead",
        statement: "the lock of a killed process becomes free",
        advice: "Writers would wait for the dead until they overtake them: restart the client's lock service, or mount NFS 4.1.",
        check: locks::are_free_once_their_holder_is_dead,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_md_names_every_check_beside_its_assumption() {
        let text = include_str!("../../STORAGE.md");
        let (_, section) = text.split_once("\n## 2 ").unwrap();
        let (section, _) = section.split_once("\n## 3 ").unwrap();
        for assumption in ASSUMPTIONS {
            let name = format!("`{}`", assumption.name);
            assert!(section.contains(&name), "section 2 does not name {name}");
        }
    }
}
