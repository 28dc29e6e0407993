//! How many RPCs things take, and how many must wait for one another. These numbers depend on no machine; times are
//! for `scripts/bench-nfs`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aquifer_tests::lab::{
    Lab, Machine, Mounted, Plan, Proxy, ROOT, RpcCounts, Setting, depth,
};
use serde_json::json;

use crate::scene::{View, batch};

/// Documents of the index that is opened cold.
const DOCUMENTS: u64 = 200_000;
/// Posts that are counted, of which the best counts.
const ROUNDS: u64 = 5;
/// RPCs of a small post, at most.
const POST_MAX: u64 = 14;
/// RPCs of a post that makes a bundle, at most. It looks for its keys in the bundle before, which it has not read yet.
const BUNDLE_POST_MAX: u64 = 22;
/// Queries, and the READs of a cold open and its answer, at most, beside one for each document of the answer. What lies
/// near what differs a little from one building of the index to the next.
const COLD: [(&str, u64); 2] = [("w4000", 7), ("w4000 w5000 w6000", 13)];
/// READs that must wait for one another, at most.
const COLD_READ_ROUNDS_MAX: u32 = 4;
/// RPCs that must wait for one another, at most: six to walk to HEAD from the root of the mount and to open it, that
/// READ, one to open what it names, three READs.
const COLD_ROUNDS_MAX: u32 = 11;
/// The delay of each reply in the first attempt at counting rounds, and how much longer it is in each further one.
const DELAY: Duration = Duration::from_millis(100);
const DELAY_GROWTH: u32 = 2;
/// Attempts at counting rounds. A busy machine may take longer than the delay between two RPCs that do not depend on
/// each other, so that they look as if they did. The opposite cannot happen: a call that needs a reply is never made
/// before it. So the smallest count is the one to judge, and more attempts hide no defect.
const ATTEMPTS: u32 = 6;

pub(crate) fn posts_and_refreshes(setting: Setting) {
    let lab = Lab::mounted(Plan::new(setting, 2));
    let (a, b) = (lab.client('A'), lab.client('B'));
    let (writer, reader) = (a.serve().start(), b.serve().read_only().start());
    let [writer, reader] = [&writer, &reader].map(|serving| View::new(serving, "default"));
    let mut next = 0;
    let mut post = |size: u64| {
        next += size;
        writer.post(&batch("number", next - size..next))
    };
    // The first ones open what stays open.
    for _ in 0..3 {
        post(1);
        reader.count("number");
    }
    for (size, max) in [(1, POST_MAX), (100, BUNDLE_POST_MAX)] {
        let rounds: Vec<[RpcCounts; 3]> = (0..ROUNDS)
            .map(|_| {
                let (_, posted) = a.rpc_counts(|| post(size));
                let (_, news) = b.rpc_counts(|| reader.count("number"));
                let (_, nothing) = b.rpc_counts(|| reader.count("number"));
                [posted, news, nothing]
            })
            .collect();
        let [posted, news, nothing] = [0, 1, 2].map(|what| least(&rounds, what));
        println!("{setting}: a post of {size}: {posted}");
        println!("{setting}: the refresh after it, and a search: {news}");
        println!("{setting}: a refresh without news, and a search: {nothing}");
        assert!(posted.total() <= max, "{posted}");
        // The rest are looks at folders, which depend on what the client remembers.
        let bundle = u64::from(size > 1);
        let expected = [
            ("WRITE", 3 + bundle),
            ("OPEN", 1 + bundle),
            ("CLOSE", 1 + bundle),
            ("SYMLINK", 1),
        ];
        // The mark, and the bundle before unless there is none: on a busy machine the first round need not be the least.
        let reads = posted.of("READ");
        assert!((1..=1 + bundle).contains(&reads), "{posted}");
        let locking = [
            ("LOCK", 1),
            ("LOCKU", 1),
            ("FREE_STATEID", 1),
            ("REMOVE", 0),
        ];
        for (operation, count) in expected.into_iter().chain(locking) {
            assert_eq!(posted.of(operation), count, "{operation}: {posted}");
        }
        assert_eq!(
            (news.of("READ"), news.of("OPEN")),
            (2 + bundle, 1 + bundle),
            "{news}"
        );
        assert_eq!((nothing.total(), nothing.of("READ")), (1, 1), "{nothing}");
    }
}

/// The round with the fewest: a busy machine may add signs of life, or looks at what was forgotten meanwhile.
fn least(rounds: &[[RpcCounts; 3]], what: usize) -> RpcCounts {
    let counts = rounds.iter().map(|round| &round[what]);
    counts.min_by_key(|counts| counts.total()).unwrap().clone()
}

pub(crate) fn a_cold_open_and_its_first_query(setting: Setting) {
    let mut plan = Plan::new(setting, 1);
    plan.client_mib = 1024;
    let lab = Lab::boot(plan);
    let export = lab.server().export().unwrap();
    build(&export);
    let reader = lab.client('A');
    let proxy = Proxy::start();
    for (words, reads_max) in COLD {
        reader.mount(Mounted::ReadOnly);
        let (hits, counts) = reader.rpc_counts(|| ask(reader, words));
        println!("{setting}: cold open and `{words}`, {hits} documents: {counts}");
        reader.unmount();
        let (all, reads) = fewest_rounds(reader, &proxy, words);
        println!("{setting}: {all} of these must wait for one another, {reads} of the READs");
        // Documents lie where they lie, each in a block of its own as a rule.
        let beside = counts.of("READ").saturating_sub(hits);
        assert!(
            beside <= reads_max,
            "{beside} READs beside those of documents"
        );
        assert!(
            reads <= COLD_READ_ROUNDS_MAX,
            "{reads} READs wait for one another"
        );
        assert!(all <= COLD_ROUNDS_MAX, "{all} RPCs wait for one another");
    }
}

/// The RPCs and the READs of a cold open and its answer that must wait for one another: the fewest of some attempts, the
/// last of which is the first within the bounds.
fn fewest_rounds(reader: &Machine, proxy: &Proxy, words: &str) -> (u32, u32) {
    let (mut delay, mut fewest) = (DELAY, (u32::MAX, u32::MAX));
    for _ in 0..ATTEMPTS {
        proxy.delay(delay);
        reader.mount(Mounted::ReadOnlyThrough(proxy.port()));
        proxy.forget();
        ask(reader, words);
        let (all, reads) = depth(&proxy.record());
        reader.unmount();
        fewest = (fewest.0.min(all), fewest.1.min(reads));
        if fewest.0 <= COLD_ROUNDS_MAX && fewest.1 <= COLD_READ_ROUNDS_MAX {
            break;
        }
        delay *= DELAY_GROWTH;
    }
    fewest
}

/// Asks, in a process of its own; gives the number of documents in the answer.
#[track_caller]
fn ask(reader: &Machine, words: &str) -> u64 {
    let (code, out, err) = reader.aquifer(&["search", "--json", words]);
    assert_eq!(code, Some(0), "{out}{err}");
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    let hits = answer["result"].as_array().unwrap().len();
    assert!(hits > 0, "{answer}");
    hits.try_into().unwrap()
}

/// A word of a vocabulary in which the n-th is about n times rarer than the first.
fn word(random: &mut fastrand::Rng) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank"
    )]
    let rank = 200_000_f64.powf(random.f64()) as u64;
    format!("w{rank}")
}

/// Fills an index, not over NFS, and merges it.
fn build(export: &Path) {
    let root = export.join(Path::new(ROOT).file_name().unwrap());
    let program = aquifer_tests::lab::aquifer();
    let mut import = Command::new(&program)
        .args(["import", "-", "--root"])
        .arg(&root)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut random = fastrand::Rng::with_seed(52);
    let mut lines = std::io::BufWriter::new(import.stdin.take().unwrap());
    for number in 0..DOCUMENTS {
        let words: Vec<String> = (0..30).map(|_| word(&mut random)).collect();
        let document = json!({"unique_key": number.to_string(), "lang": "en", "title": words[0], "content": words.join(" ")});
        writeln!(lines, "{document}").unwrap();
    }
    drop(lines);
    assert!(import.wait().unwrap().success());
    let merged = Command::new(&program)
        .args(["merge", "--root"])
        .arg(&root)
        .stdout(Stdio::null())
        .status();
    assert!(merged.unwrap().success());
}
