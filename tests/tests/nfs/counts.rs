//! How many RPCs things take, and how many must wait for one another. These numbers depend on no machine; times are
//! for `scripts/bench-nfs`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aquifer_tests::lab::{
    Kind, Lab, MOUNT_POINT, Machine, Mounted, Plan, Proxy, ROOT, RpcCounts, Setting, depth,
};
use serde_json::json;

use crate::scene::{View, batch};

/// Documents of the index that is opened cold.
const DOCUMENTS: u64 = 200_000;
/// Rounds at most, each on an index of its own; the first one within the bounds is the last.
const ROUNDS: u64 = 12;
/// Small posts to an index before the one that is counted.
const WARM: u64 = 3;
/// Documents of a small post, and of one that makes a bundle.
const SIZES: [u64; 2] = [1, 100];
/// RPCs of these posts, at most. NFS-Ganesha does not say whether a change to a folder was the only one, so that the client asks
/// it for its permissions before it creates anything there: 2 ACCESS more.
const GANESHA_POSTS: [u64; 2] = [10, 13];
const KERNEL_POSTS: [u64; 2] = [8, 11];
/// Queries, and the READs of a cold open and its answer, at most, beside one for each document of the answer. What lies
/// near what differs a little from one building of the index to the next.
const COLD: [(&str, u64); 2] = [("w4000", 7), ("w4000 w5000 w6000", 13)];
/// READs that must wait for one another, at most.
const COLD_READ_ROUNDS_MAX: u32 = 4;
/// Where the indexes lie, as the folder of the export that is mounted and the folder of the mount, and the RPCs that must wait
/// for one another, at most. Each folder to walk through takes two, ACCESS and LOOKUP. Then come ACCESS to the folder of the
/// index and OPEN of HEAD, its READ, one to open what it names, three READs. The folder of the indexes is what the deployments
/// mount (`cdk`, `deploy`).
const ROOTS: [(&str, &str, u32); 2] = [("/", ROOT, 11), ("/root", MOUNT_POINT, 9)];
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
    let maxima = match setting.server {
        Kind::Ganesha => GANESHA_POSTS,
        Kind::Kernel => KERNEL_POSTS,
    };
    for (size, max) in SIZES.into_iter().zip(maxima) {
        let mut rounds: Vec<[RpcCounts; 3]> = Vec::new();
        for number in 0..ROUNDS {
            let index = format!("size-{size}-{number}");
            writer.create_index(&index);
            let [writer, reader] = [&writer, &reader].map(|serving| View::new(serving, &index));
            // The first ones open what stays open.
            for number in 0..WARM {
                writer.post(&batch("number", number..number + 1));
                reader.count("number");
            }
            let (_, posted) = a.rpc_counts(|| writer.post(&batch("number", WARM..WARM + size)));
            let (_, news) = b.rpc_counts(|| reader.count("number"));
            let (_, nothing) = b.rpc_counts(|| reader.count("number"));
            rounds.push([posted, news, nothing]);
            if least(&rounds, 0).total() <= max && least(&rounds, 2).total() <= 1 {
                break;
            }
        }
        let [posted, news, nothing] = [0, 1, 2].map(|what| least(&rounds, what));
        println!("{setting}: a post of {size}: {posted}");
        println!("{setting}: the refresh after it, and a search: {news}");
        println!("{setting}: a refresh without news, and a search: {nothing}");
        let bundle = u64::from(size > 1);
        let expected = [
            ("WRITE", 3 + bundle),
            ("OPEN", 1 + bundle),
            ("CLOSE", 1 + bundle),
            ("READ", 1),
            ("SYMLINK", 1),
            ("SETATTR", 0),
            ("REMOVE", 0),
            // No other process writes, so most posts leave the lock out.
            ("LOCK", 0),
            ("LOCKU", 0),
            ("FREE_STATEID", 0),
        ];
        for (operation, count) in expected {
            assert_eq!(posted.of(operation), count, "{operation}: {posted}");
        }
        // The rest are looks at folders: GETATTR to the inbox, and ACCESS.
        assert!(posted.total() <= max, "{posted}");
        assert_eq!(
            (news.of("READ"), news.of("OPEN")),
            (2 + bundle, 1 + bundle),
            "{news}"
        );
        assert_eq!((nothing.total(), nothing.of("READ")), (1, 1), "{nothing}");
    }
}

/// The round with the fewest: a process looks every five seconds whether an index is still the one of its name, and a busy
/// machine adds signs of life, or looks at what was forgotten meanwhile.
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
        let (hits, counts) = reader.rpc_counts(|| ask(reader, ROOT, words));
        println!("{setting}: cold open and `{words}`, {hits} documents: {counts}");
        reader.unmount();
        // Documents lie where they lie, each in a block of its own as a rule.
        let beside = counts.of("READ").saturating_sub(hits);
        assert!(
            beside <= reads_max,
            "{beside} READs beside those of documents"
        );
        for (exported, root, max) in ROOTS {
            let (all, reads) = fewest_rounds(reader, &proxy, (exported, root, max), words);
            println!(
                "{setting}: {all} of these must wait for one another in {root}, {reads} READs"
            );
            assert!(
                reads <= COLD_READ_ROUNDS_MAX,
                "{reads} READs wait for one another"
            );
            assert!(all <= max, "{all} RPCs wait for one another in {root}");
        }
    }
}

/// The RPCs and the READs of a cold open and its answer that must wait for one another: the fewest of some attempts, the
/// last of which is the first within the bounds.
fn fewest_rounds(
    reader: &Machine,
    proxy: &Proxy,
    (exported, root, max): (&str, &str, u32),
    words: &str,
) -> (u32, u32) {
    let (mut delay, mut fewest) = (DELAY, (u32::MAX, u32::MAX));
    for _ in 0..ATTEMPTS {
        proxy.delay(delay);
        reader.mount_folder(exported, Mounted::ReadOnlyThrough(proxy.port()));
        proxy.forget();
        ask(reader, root, words);
        let (all, reads) = depth(&proxy.record());
        reader.unmount();
        fewest = (fewest.0.min(all), fewest.1.min(reads));
        if fewest.0 <= max && fewest.1 <= COLD_READ_ROUNDS_MAX {
            break;
        }
        delay *= DELAY_GROWTH;
    }
    fewest
}

/// Asks, in a process of its own; gives the number of documents in the answer.
#[track_caller]
fn ask(reader: &Machine, root: &str, words: &str) -> u64 {
    let (code, out, err) = reader.aquifer(&["search", "--json", "--root", root, words]);
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
