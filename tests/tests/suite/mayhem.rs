//! Writers that are killed and frozen at random, readers that must not notice, and an account of every acknowledged post.
//!
//! `AQUIFER_MAYHEM_SECONDS` lets it go on for longer, `AQUIFER_MAYHEM_SEED` repeats the choices of an
//! earlier run (not its timing, which is the machine's).

mod account;
mod poster;

use std::env;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use aquifer_tests::{Client, Cluster, Server, eventually};
use fastrand::Rng;
use serde_json::Value;

use account::Account;
use poster::Figures;

const WRITERS: usize = 4;
const READERS: usize = 4;
const POSTERS: usize = 6;
const SECONDS: u64 = 20;
/// A writer that is frozen for longer is overtaken.
const OVERTAKE_AFTER: Duration = Duration::from_secs(1);
/// Some sleep for longer than what they know is kept.
const FROZEN_MS: std::ops::Range<u64> = 100..4000;
const RETENTION: Duration = Duration::from_secs(2);
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(1);
/// Bounds what must happen at all once everything is quiet.
const PATIENCE: Duration = Duration::from_secs(300);
/// What manifests, HEAD and locks take, however small the index. It was several times as much while it lasted.
const OVERHEAD_BYTES: u64 = 1024 * 1024;
const FILES_MAX: usize = 100;

/// A document that is there all the time.
const ANCHOR: &str = r#"{"unique_key":"anchor","title":"always here"}"#;

/// What everybody shares while it lasts.
struct Stage {
    writers: Vec<RwLock<Client>>,
    readers: Vec<Server>,
    over: AtomicBool,
    /// The highest version that was acknowledged.
    version: AtomicU64,
    /// Keys that several posters write, one at a time.
    shared: Mutex<Account>,
}

impl Stage {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    fn writer(&self, random: &mut Rng) -> Client {
        let writer = &self.writers[random.usize(..WRITERS)];
        writer.read().unwrap().clone()
    }

    fn reader(&self, random: &mut Rng) -> &Client {
        &self.readers[random.usize(..READERS)]
    }

    /// What a reader finds, which includes every version that was acknowledged before.
    #[track_caller]
    fn search(&self, reader: &Client, parameters: &[(&str, &str)]) -> Value {
        let acknowledged = self.version.load(Ordering::SeqCst);
        let answer = reader.search(parameters);
        let version = answer["version"].as_u64().unwrap();
        assert!(version >= acknowledged, "{version} after {acknowledged}");
        answer
    }
}

/// Ends the others when one of them fails.
struct Curtain<'a>(&'a AtomicBool);

impl Drop for Curtain<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|error| panic!("{name} is {text:?}: {error}")))
}

fn start_writer(cluster: &Cluster) -> Server {
    let writer = cluster.writer().overtake_after(OVERTAKE_AFTER);
    let writer = writer.retention(RETENTION);
    writer.maintenance_interval(MAINTENANCE_INTERVAL).start()
}

#[test]
fn nothing_acknowledged_is_lost_and_no_reader_fails() {
    let seed = number("AQUIFER_MAYHEM_SEED").unwrap_or_else(|| fastrand::u64(..));
    let time = Duration::from_secs(number("AQUIFER_MAYHEM_SECONDS").unwrap_or(SECONDS));
    println!("AQUIFER_MAYHEM_SEED={seed}");
    let mut random = Rng::with_seed(seed);

    let cluster = Cluster::new();
    let mut writers: Vec<Server> = (0..WRITERS).map(|_| start_writer(&cluster)).collect();
    assert_eq!(writers[0].post("/documents", ANCHOR).status, 200);
    let stage = Stage {
        writers: writers
            .iter()
            .map(|writer| RwLock::new(writer.client()))
            .collect(),
        readers: (0..READERS).map(|_| cluster.reader().start()).collect(),
        over: AtomicBool::new(false),
        version: AtomicU64::new(0),
        shared: Mutex::default(),
    };

    let mut account = Account::default();
    let mut figures = Figures::default();
    let (kills, searches, peak) = thread::scope(|scope| {
        let stage = &stage;
        let posting: Vec<_> = (0..POSTERS)
            .map(|poster| {
                let random = random.fork();
                scope.spawn(move || {
                    let _curtain = Curtain(&stage.over);
                    poster::post(stage, poster, random)
                })
            })
            .collect();
        let reading: Vec<_> = stage
            .readers
            .iter()
            .map(|reader| {
                let random = random.fork();
                scope.spawn(move || {
                    let _curtain = Curtain(&stage.over);
                    read(stage, reader, random)
                })
            })
            .collect();
        let (kills, peak) = {
            let _curtain = Curtain(&stage.over);
            kill(stage, &cluster, &mut writers, &mut random, time)
        };
        stage.over.store(true, Ordering::SeqCst);
        for posting in posting {
            let (own, posted) = posting.join().unwrap();
            account.merge(own);
            figures.add(posted);
        }
        let searches: u64 = reading
            .into_iter()
            .map(|reading| reading.join().unwrap())
            .sum();
        (kills, searches, peak)
    });
    account.merge(stage.shared.into_inner().unwrap());
    println!("{kills} kills, {searches} reads beside those of the posters, {peak} bytes at most");
    println!("posts: {figures:?}");
    assert!(kills > 0 && figures.applied > 0 && figures.durable > 0 && searches > 0);

    settle(&cluster, &stage.readers[0]);
    let cold = cluster.reader().start();
    for reader in stage.readers.iter().chain([&cold]) {
        account.verify(reader);
    }
    writers.into_iter().for_each(Server::end);
    stage.readers.into_iter().for_each(Server::end);
    cluster.check();
}

/// Kills a writer every now and then and starts another in its place; some are frozen before, and some of
/// those wake up again. Gives how many, and how large the
/// index has been.
fn kill(
    stage: &Stage,
    cluster: &Cluster,
    writers: &mut [Server],
    random: &mut Rng,
    time: Duration,
) -> (u32, u64) {
    let end = Instant::now() + time;
    let (mut kills, mut peak) = (0, 0);
    while Instant::now() < end && stage.goes_on() {
        thread::sleep(Duration::from_millis(random.u64(200..1200)));
        peak = peak.max(cluster.usage().1);
        let place = random.usize(..writers.len());
        let frozen = random.u8(..4) == 0;
        if frozen {
            writers[place].freeze();
            thread::sleep(Duration::from_millis(random.u64(FROZEN_MS)));
        }
        if frozen && random.bool() {
            writers[place].go_on();
            continue;
        }
        let next = start_writer(cluster);
        let client = next.client();
        std::mem::replace(&mut writers[place], next).kill();
        *stage.writers[place].write().unwrap() = client;
        kills += 1;
    }
    (kills, peak)
}

/// Asks one reader this and that all the time: whatever it does not answer with 200 is a failure.
fn read(stage: &Stage, reader: &Client, mut random: Rng) -> u64 {
    let mut reads = 0;
    while stage.goes_on() {
        match random.u8(..4) {
            0 => {
                let answer = reader.get("/documents/anchor");
                assert_eq!((answer.status, &*answer.text), (200, ANCHOR), "{answer:?}");
            }
            1 => {
                let answer = stage.search(reader, &[("q", "\"always here\"")]);
                assert_eq!(answer["count"], 1, "{answer}");
            }
            2 => drop(stage.search(reader, &[("q", poster::word(&mut random)), ("limit", "50")])),
            _ => drop(reader.stats()),
        }
        reads += 1;
        thread::sleep(Duration::from_millis(random.u64(..10)));
    }
    reads
}

/// Waits until everything that was accepted is applied, and everything that is not needed is gone.
fn settle(cluster: &Cluster, reader: &Client) {
    let began = Instant::now();
    eventually("the inbox is empty", PATIENCE, || {
        // What a writer has not finished writing when it was killed is kept for long otherwise.
        cluster.age_inbox();
        (cluster.names("inbox").is_empty() && reader.stats()["inbox"] == 0).then_some(())
    });
    println!("the inbox is empty after {:?}", began.elapsed());
    let settled = aquifer_tests::within(PATIENCE, || {
        let live = reader.stats()["bytes"].as_u64().unwrap();
        let (files, bytes) = cluster.usage();
        let bounded = bytes <= 2 * live + OVERHEAD_BYTES && files <= FILES_MAX;
        bounded.then(|| println!("{bytes} bytes in {files} files for {live} bytes of segments"))
    });
    println!("what is not needed is gone after {:?}", began.elapsed());
    assert!(
        settled.is_some(),
        "not collected: {:?} of {}",
        cluster.usage(),
        reader.stats()
    );
}
