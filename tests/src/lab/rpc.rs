//! The RPCs of a mount, from `/proc/self/mountstats` (`fs/nfs/super.c`, `net/sunrpc/stats.c` of Linux).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Sub;

/// RPCs by kind. The kernel's client keeps its lease alive by itself; those are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcCounts(BTreeMap<String, u64>);

/// What renews a lease or belongs to a session, not to anybody's work.
const UPKEEP: [&str; 3] = ["RENEW", "SEQUENCE", "GET_LEASE_TIME"];

impl RpcCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those of one kind, `READ` for one.
    pub fn of(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or(0)
    }
}

impl Sub for RpcCounts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        let later = self.0.into_iter().map(|(kind, count)| {
            let count = count.saturating_sub(before.of(&kind));
            (kind, count)
        });
        Self(later.filter(|(_, count)| *count > 0).collect())
    }
}

impl fmt::Display for RpcCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} RPCs", self.total())?;
        let kinds: Vec<String> = self
            .0
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        if !kinds.is_empty() {
            write!(formatter, " ({})", kinds.join(", "))?;
        }
        Ok(())
    }
}

/// Reads the section of the mount at `folder`: a line `device ... mounted on FOLDER ...`, and below it lines `KIND: operations transmissions ...`.
pub(super) fn parse(mountstats: &str, folder: &str) -> RpcCounts {
    let mut counts = BTreeMap::new();
    let mut here = false;
    for line in mountstats.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if first == "device" {
            here = words.nth(3) == Some(folder);
            continue;
        }
        let Some(kind) = first.strip_suffix(':').filter(|_| here) else {
            continue;
        };
        let shouted = kind
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let count = words.next().and_then(|word| word.parse().ok());
        if let Some(count) = count.filter(|_| shouted && !UPKEEP.contains(&kind)) {
            counts.insert(kind.to_owned(), count);
        }
    }
    RpcCounts(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATS: &str = "device tmpfs mounted on /run with fstype tmpfs\n\
        device 10.99.0.1:/ mounted on /mnt/efs with fstype nfs4 statvers=1.1\n\
        \topts:\trw,vers=4.1\n\
        \tage:\t7\n\
        \tevents:\t1 2 3\n\
        \tper-op statistics\n\
        \t        NULL: 0 0 0\n\
        \t        READ: 5 5 0 700\n\
        \t    SEQUENCE: 9 9 0\n\
        \tOPEN_NOATTR: 2 3 0\n\
        device other:/ mounted on /mnt/other with fstype nfs4\n\
        \tREAD: 100 100\n";

    #[test]
    fn one_mount_is_counted_without_its_upkeep() {
        let counts = parse(STATS, "/mnt/efs");
        assert_eq!((counts.of("READ"), counts.of("OPEN_NOATTR")), (5, 2));
        assert_eq!(counts.total(), 7);
        let more = parse(&STATS.replace("READ: 5", "READ: 6"), "/mnt/efs");
        assert_eq!((more - counts).to_string(), "1 RPCs (READ 1)");
    }
}
