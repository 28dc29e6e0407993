//! Everything that a writer does, on a mount that refuses hard links. All other stories on NFS-Ganesha run on such a mount
//! too.

use aquifer_tests::lab::{Lab, Machine, Plan, ROOT, Setting};
use serde_json::json;

use crate::scene::{View, batch, check};

/// Documents of a post whose segment a manifest carries, and of one that makes a bundle.
const POSTS: [u64; 2] = [1, 300];
/// Documents of the post that goes into the inbox.
const DURABLE: u64 = 5;
/// How the kernel's client says that the server does not support an operation (`ENOTSUPP`, which no library names).
const REFUSED: &str = "Unknown error 524";
/// A batch whose first bytes are not those of a batch.
const DAMAGED: &str = "0000000000000001-0000000000000001";

pub(crate) fn are_not_needed(setting: Setting) {
    let lab = Lab::mounted(Plan::new(setting, 2));
    let (a, b) = (lab.client('A'), lab.client('B'));
    refuses_hard_links(a);
    let (writer, reader) = (a.serve().start(), b.serve().read_only().start());
    writer.create_index("life");
    let [writing, reading] = [&writer, &reader].map(|serving| View::new(serving, "life"));

    for documents in POSTS {
        writing.post(&batch("posted", 0..documents));
        assert_eq!(reading.count("posted"), documents);
    }
    durable(&writing);
    set_aside(a, &writing);
    let all =
        || ["posted", "durable", "more"].map(|owner| (writing.count(owner), reading.count(owner)));
    let before = all();
    assert_eq!(before[0], (POSTS[1], POSTS[1]));
    assert_eq!(before[1], (DURABLE, DURABLE));
    for work in [
        &["merge"][..],
        &["gc", "--retention", "1s"],
        &["reindex"],
        &["gc", "--retention", "1s"],
    ] {
        let (code, out, err) = a.aquifer(&[work, &["--index", "life"]].concat());
        assert_eq!(code, Some(0), "{work:?}: {out}{err}");
        assert_eq!(all(), before, "{work:?}");
    }
    check(a, "life");
    assert_eq!(writer.try_delete("/indexes/life").unwrap().status, 204);
    assert_eq!(reader.get("/indexes/life").status, 404);
}

/// Shows that the mount is what the story says: the other way to create a version is not there.
#[track_caller]
fn refuses_hard_links(machine: &Machine) {
    machine.run(&["touch", "/mnt/efs/file"]);
    let (code, _, err) = machine.try_run(&["ln", "/mnt/efs/file", "/mnt/efs/hard"]);
    assert_eq!(code, Some(1), "a hard link was made");
    assert!(err.contains(REFUSED), "{err}");
    machine.run(&["ln", "-s", "file", "/mnt/efs/symbolic"]);
}

/// Posts into the inbox, and has it applied.
#[track_caller]
fn durable(writer: &View) {
    let path = writer.path("/documents?wait=durable");
    let answer = writer.client().post(&path, &batch("durable", 0..DURABLE));
    assert_eq!(answer.status, 202, "{answer:?}");
    writer.post(&batch("more", 0..1));
}

/// Puts a damaged batch into the inbox, which the next post sets aside.
#[track_caller]
fn set_aside(machine: &Machine, writer: &View) {
    let inbox = format!("{ROOT}/life/inbox");
    let write = format!("yes damaged | head -c 200 > {inbox}/{DAMAGED}.batch");
    machine.run(&["sh", "-c", &write]);
    writer.post(&json!({"unique_key": "more-0", "owner": "more"}).to_string());
    let aside = format!("{DAMAGED}.damaged");
    assert_eq!(machine.names("life/inbox"), [aside.as_str()]);
    machine.run(&["rm", &format!("{inbox}/{aside}")]);
}
