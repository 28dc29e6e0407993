//! The file system refuses: a clear error, the previous version still there, and afterwards all is as before.

use std::io::ErrorKind::PermissionDenied;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer_indexer::ErrorKind;
use aquifer_indexer::config::Config;
use aquifer_indexer::index::{Aquifer, Index};
use aquifer_indexer::layout;
use aquifer_indexer::mount::{Fault, FaultyMount};

use crate::rig::{
    Folder, assert_clean, config, contents, document, open, post, search, see, soon, wide,
};

/// A file system of its own in memory, unmounted when dropped.
struct Small(PathBuf);

impl Small {
    /// `None` where this user may not mount.
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap().keep();
        let small = Self(folder);
        let size = format!("size={megabytes}m,mode=755");
        if small.run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs"]) {
            return Some(small);
        }
        println!("SKIPPED: this user may not mount a tmpfs, so no real file system was filled");
        None
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let status = Command::new(program).args(arguments).arg(&self.0).output();
        status.is_ok_and(|output| output.status.success())
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.run("umount", &["-l"]);
        drop(std::fs::remove_dir(&self.0));
    }
}

fn open_default(root: &Path) -> Arc<Index> {
    let aquifer = Aquifer::open(root, config()).unwrap();
    aquifer.index_or_create("default").unwrap()
}

/// Every refusal says what is wrong and how to mend it, wherever it comes.
#[test]
fn each_refusal_says_how_to_mend_it() {
    let refusals = [
        (28, "free some space"),
        (122, "free some space"),
        (30, "mount it read-write"),
        (13, "writable) by this user"),
        (1, "writable) by this user"),
    ];
    for (code, advice) in refusals {
        for target in 0.. {
            let folder = Folder::new();
            post(&folder.open(&config()), vec![document("old", "words")]).unwrap();
            let warm = folder.reader();
            see("before", &folder, &warm);
            let mount = FaultyMount::new(folder.mount(), target, Fault::Fail(code));
            let index = open(Arc::new(mount.clone()), &config());
            let posted = post(&index, vec![document("new", "words")]);
            let seen = see("after", &folder, &warm);
            assert_eq!(seen["old"], "words");
            match posted {
                Ok(_) => assert_eq!(seen.len(), 2),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    assert!(error.to_string().contains(advice), "{target}: {error}");
                }
            }
            let hit = mount.hit();
            mount.arm(u64::MAX);
            post(&index, vec![document("new", "words")]).unwrap();
            assert_eq!(see("afterwards", &folder, &warm).len(), 2);
            assert_clean(&index);
            if !hit {
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_and_works_again_when_there_is_space() {
    let Some(small) = Small::mount(6) else { return };
    let index = open_default(small.path());
    post(&index, vec![document("old", "words")]).unwrap();
    let mut kept = vec!["old".to_owned()];
    let mut refused = 0;
    for round in 0..40 {
        let key = format!("w{round}");
        let batch = (0..20).map(|n| wide(&format!("{key}-{n}"), 400));
        let batch = batch.chain([document(&key, "words")]).collect();
        match post(&index, batch) {
            Ok(_) => kept.push(key),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert!(error.to_string().contains("free some space"), "{error}");
                refused += 1;
            }
        }
        let mut found = search(&index, "words").unwrap();
        found.retain(|key| !key.contains('-'));
        kept.sort();
        assert_eq!(found, kept);
    }
    assert!(refused > 0, "it never was full");
    assert_clean(&index);
    assert!(small.run("mount", &["-o", "remount,size=64m"]));
    post(&index, vec![document("new", "words")]).unwrap();
    index.gc().unwrap();
    assert_eq!(
        search(&open_default(small.path()), "words").unwrap().len(),
        kept.len() + 1
    );
    assert_clean(&index);
}

#[test]
fn a_folder_that_becomes_read_only_is_still_searched() {
    let Some(small) = Small::mount(16) else {
        return;
    };
    let index = open_default(small.path());
    post(&index, vec![document("old", "words")]).unwrap();
    // The system makes nothing read-only that somebody has open for writing.
    drop(index);
    let reader = Config {
        read_only: true,
        ..config()
    };
    let warm = Aquifer::open(small.path(), reader)
        .unwrap()
        .index("default")
        .unwrap();
    assert_eq!(search(&warm, "words").unwrap(), ["old"]);
    // The thread that read for the writer may still be letting go of its files.
    let deadline = soon();
    while !small.run("mount", &["-o", "remount,ro"]) {
        assert!(Instant::now() < deadline, "somebody writes");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(search(&warm, "words").unwrap(), ["old"]);
    // A process that may write finds that it cannot, and reads on.
    let index = open_default(small.path());
    for _ in 0..2 {
        assert_eq!(search(&index, "words").unwrap(), ["old"]);
        let error = post(&index, vec![document("new", "words")]).unwrap_err();
        assert!(error.to_string().contains("mount it read-write"), "{error}");
        assert!(index.gc().is_err());
        assert_clean(&index);
    }
    assert!(small.run("mount", &["-o", "remount,rw"]));
    for key in ["first", "second"] {
        post(&index, vec![document(key, "words")]).unwrap();
    }
    assert_eq!(search(&warm, "words").unwrap(), ["first", "old", "second"]);
    assert_clean(&warm);
}

/// What a child of this test does: writes under a umask, or as somebody who may not write.
#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn child() {
    let root = std::env::var_os("SUITE_CHILD_ROOT").unwrap();
    let index = open_default(Path::new(&root));
    println!("found {:?}", search(&index, "words").unwrap());
    match post(&index, vec![document("child", "words")]) {
        Ok(_) => {
            post(
                &index,
                (0..100).map(|n| wide(&format!("w{n}"), 150)).collect(),
            )
            .unwrap();
            index.compact(None).unwrap();
            index.gc().unwrap();
            println!("posted");
        }
        Err(error) => println!("refused: {error}"),
    }
}

/// Runs [`child`] on `root`, after the shell's `prepare`; gives what it printed.
fn run_child(root: &Path, prepare: &str, run: &str) -> String {
    let script =
        format!("{prepare}; exec {run} \"$0\" --exact refusals::child --ignored --nocapture");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("SUITE_CHILD_ROOT", root)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

#[test]
fn a_writers_umask_does_not_lock_readers_out() {
    let root = tempfile::tempdir().unwrap();
    assert!(run_child(root.path(), "umask 077", "").contains("posted"));
    let folder = root.path().join("default");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o755);
    let mut files = 0;
    for inner in [".", layout::MANIFESTS, layout::BUNDLES, layout::INBOX] {
        assert_eq!(mode(&folder.join(inner)), 0o755, "{inner}");
        for entry in std::fs::read_dir(folder.join(inner)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                assert_eq!(mode(&path), 0o644, "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files >= 4, "{files} files");
}

#[test]
fn somebody_who_may_not_write_can_still_search() {
    // Where others can come: the folder of the test program is often somebody's own.
    let root = tempfile::tempdir().unwrap();
    std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let index = open_default(root.path());
    post(&index, vec![document("old", "words")]).unwrap();
    let program = root.path().join("suite");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let nobody = format!(
        "setpriv --reuid 65534 --regid 65534 --clear-groups {}",
        program.display()
    );
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("exec {nobody} --exact refusals::child --ignored --nocapture"),
        ])
        .env("SUITE_CHILD_ROOT", root.path())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let printed = String::from_utf8_lossy(&output.stdout);
            assert!(printed.contains("found [\"old\"]"), "{printed}");
            assert!(printed.contains("permission denied"), "{printed}");
        }
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("setpriv") => {
            println!("SKIPPED: this user cannot become another");
        }
        Err(error) if error.kind() == PermissionDenied => println!("SKIPPED: {error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(contents(&index).unwrap().0.len(), 1);
    assert!(index.get("old", None, soon()).unwrap().is_some());
}
