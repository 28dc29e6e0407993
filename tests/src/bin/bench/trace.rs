//! The system calls of a whole process, Aquifer's and plain tantivy's, as strace sees them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::bulk::Built;
use crate::table::Table;

/// What is counted; calls on other files than the index's are not.
const CALLS: &str = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,rename,\
    renameat,renameat2,symlinkat,readlinkat,unlink,unlinkat,flock,fcntl,ftruncate,mkdirat,mkdir,read,pread64,\
    preadv,preadv2,mmap,getdents64,stat,statx,newfstatat,fstat";

/// Calls by what they do.
type Counts = BTreeMap<&'static str, u64>;

/// Counts a process that opens the index, posts one document and ends.
pub(crate) fn post(built: &Built, number: u64, table: &mut Table) -> Result<()> {
    let number = number.to_string();
    let (root, plain) = (built.root.as_path(), built.plain.folder());
    let aquifer = trace(&["aquifer-post", &root.to_string_lossy(), &number], root)?;
    let plain = trace(&["plain-post", &plain.to_string_lossy(), &number], plain)?;
    add(
        table,
        "a process opens the index and posts one document",
        aquifer,
        plain,
        true,
    );
    Ok(())
}

/// Counts a process that opens the index, answers one query and ends.
pub(crate) fn search(built: &Built, query: &str, table: &mut Table) -> Result<()> {
    let (root, plain) = (built.root.as_path(), built.plain.folder());
    let aquifer = trace(&["aquifer-search", &root.to_string_lossy(), query], root)?;
    let plain = trace(&["plain-search", &plain.to_string_lossy(), query], plain)?;
    let what = format!("a process opens the index and answers `{query}`");
    add(table, &what, aquifer, plain, false);
    Ok(())
}

fn add(
    table: &mut Table,
    what: &str,
    aquifer: Option<Counts>,
    plain: Option<Counts>,
    changing: bool,
) {
    let show = |counts: &Option<Counts>| match counts {
        None => "left out: no strace here".to_owned(),
        Some(counts) => {
            let calls: Vec<_> = counts
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            let (reads, writes) = sums(counts);
            format!("{writes} changing, {reads} reading ({})", calls.join(", "))
        }
    };
    let total = |counts: &Option<Counts>| {
        counts
            .as_ref()
            .map(sums)
            .map(|(reads, writes)| if changing { writes } else { reads })
    };
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let ratio = match (total(&aquifer), total(&plain)) {
        (Some(ours), Some(theirs)) => format!("{:.2}", ours as f64 / theirs as f64),
        _ => String::new(),
    };
    let (aquifer, plain) = (show(&aquifer), show(&plain));
    table.add([
        &format!("system calls: {what}"),
        &aquifer,
        &plain,
        &ratio,
        "",
    ]);
}

/// Reading and changing calls.
fn sums(counts: &Counts) -> (u64, u64) {
    let is_read = |name: &str| ["open", "read", "mmap", "list", "stat"].contains(&name);
    let sum = |reads: bool| {
        counts
            .iter()
            .filter(|(name, _)| is_read(name) == reads)
            .map(|(_, count)| count)
            .sum()
    };
    (sum(true), sum(false))
}

/// Runs a child under strace and counts its calls on files in `folder`; none where there is no strace.
fn trace(arguments: &[&str], folder: &Path) -> Result<Option<Counts>> {
    let log = tempfile::NamedTempFile::new()?;
    let traced = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-qq",
            "-s",
            "0",
            "-e",
            &format!("trace={CALLS}"),
            "-o",
        ])
        .arg(log.path())
        .arg(std::env::current_exe()?)
        .arg("child")
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match traced {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(status) if !status.success() => return Ok(None),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(log.path())?;
    Ok(Some(count(&text, &folder.to_string_lossy())))
}

fn count(log: &str, folder: &str) -> Counts {
    let mut counts = Counts::new();
    for line in log.lines().filter(|line| line.contains(folder)) {
        // "PID NAME(ARGUMENTS" begins a call; "<... NAME resumed>" ends one that was counted.
        let Some((_, call)) = line.trim_start().split_once(char::is_whitespace) else {
            continue;
        };
        let Some((name, rest)) = call.trim_start().split_once('(') else {
            continue;
        };
        if let Some(kind) = kind(name, rest) {
            *counts.entry(kind).or_default() += 1;
        }
    }
    counts
}

fn kind(name: &str, arguments: &str) -> Option<&'static str> {
    Some(match name {
        "open" | "openat" | "creat" if arguments.contains("O_CREAT") => "create",
        "open" | "openat" => "open",
        "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" => "write",
        "fsync" | "fdatasync" => "sync",
        "rename" | "renameat" | "renameat2" => "rename",
        "symlinkat" => "symlink",
        "readlinkat" => "read_link",
        "unlink" | "unlinkat" => "unlink",
        "flock" => "lock",
        "fcntl" if arguments.contains("LK") => "lock",
        "ftruncate" => "truncate",
        "mkdir" | "mkdirat" => "make_dir",
        "read" | "pread64" | "preadv" | "preadv2" => "read",
        "mmap" => "mmap",
        "getdents64" => "list",
        "stat" | "statx" | "newfstatat" | "fstat" => "stat",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_on_files_of_the_index_are_counted_once() {
        let log = "7 openat(AT_FDCWD</x>, \"/i/a\", O_RDWR|O_CREAT, 0666) = 3</i/a>\n\
                   7 pwrite64(3</i/a>, \"\"..., 5, 0 <unfinished ...>\n\
                   8 read(4</elsewhere>, \"\"..., 9) = 9\n\
                   7 <... pwrite64 resumed>) = 5\n\
                   7 fcntl(3</i/a>, F_GETFL) = 0\n\
                   7 fdatasync(3</i/a>) = 0\n";
        let counts = count(log, "/i");
        assert_eq!(
            counts,
            Counts::from([("create", 1), ("write", 1), ("sync", 1)])
        );
        assert_eq!(sums(&counts), (0, 3));
    }
}
