//! Building an index anew: nothing is lost, readers notice nothing but the new version, and a job ends well
//! whatever comes between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aquifer_indexer::clock::{Clock, SystemClock};
use aquifer_indexer::config::{Config, Observer, Step};
use aquifer_indexer::document::Document;
use aquifer_indexer::index::{Batch, Index, Operation, Wait};
use aquifer_indexer::mapping::Definition;
use aquifer_indexer::reindex::{
    Chunk, DocumentSource, JobState, JobStatus, NoSources, OnRefused, Refusal, ReindexRequest,
    Sourced, Sources,
};
use aquifer_indexer::world::World;
use aquifer_indexer::{ErrorKind, Result};

use crate::rig::{
    Contents, Folder, applied, assert_clean, config, contents, delete, docs, document, post,
    search, soon,
};

/// Steps as small as can be, so that a few hundred documents take several.
fn small_steps() -> Config {
    Config {
        job_step_bytes: 1,
        ..config()
    }
}

fn key(number: u64) -> String {
    format!("k{number:04}")
}

/// An index of so many documents, in several segments.
fn filled(documents: u64) -> Folder {
    let folder = Folder::new();
    let index = folder.open(&config());
    for part in 0..3 {
        let keys = (0..documents).filter(|number| number % 3 == part);
        post(
            &index,
            keys.map(|number| document(&key(number), "first")).collect(),
        )
        .unwrap();
    }
    folder
}

fn start(index: &Index, request: &ReindexRequest) -> JobStatus {
    index.start_reindex(request, soon()).unwrap()
}

fn definition(json: &str) -> Option<Definition> {
    Some(serde_json::from_str(json).unwrap())
}

/// An external source of documents that are in memory; each chunk is one.
struct Fixed(Vec<&'static str>);

impl Sources for Fixed {
    fn check(&self, _url: &str) -> Result<()> {
        Ok(())
    }

    fn open(&self, _url: &str) -> Result<Box<dyn DocumentSource>> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

impl DocumentSource for Fixed {
    fn next(&mut self, position: Option<&str>, _bytes: usize) -> Result<Chunk> {
        let at: usize = position.map_or(0, |position| position.parse().unwrap());
        let texts = self.0.get(at).into_iter();
        let documents = texts.map(|text| match text.strip_prefix("bad ") {
            None => Ok(Sourced {
                place: format!("line {at}"),
                text: (*text).to_owned(),
            }),
            Some(detail) => Err(Refusal {
                place: format!("line {at}"),
                detail: detail.to_owned(),
            }),
        });
        Ok(Chunk {
            documents: documents.collect(),
            position: (at + 1 < self.0.len()).then(|| (at + 1).to_string()),
            read_bytes: at as u64 + 1,
            total_bytes: Some(self.0.len() as u64),
        })
    }
}

fn from_source() -> ReindexRequest {
    ReindexRequest {
        source: Some("memory:".into()),
        ..ReindexRequest::default()
    }
}

#[test]
fn what_is_posted_and_deleted_between_the_steps_is_in_the_result() {
    let folder = filled(700);
    let (worker, poster) = (folder.open(&small_steps()), folder.open(&config()));
    let reader = folder.reader();
    let mut expected = BTreeMap::new();
    for number in 0..700 {
        expected.insert(key(number), "first".to_owned());
    }
    let started = start(&worker, &ReindexRequest::default());
    let mut random = sequence(1);
    let mut steps = 0;
    let mut versions = vec![reader.snapshot().unwrap().version()];
    let mut watch = |status: &JobStatus| {
        steps += 1;
        assert!(status.checkpoints <= steps);
        let batch: Vec<Operation> = (0..20)
            .map(|n| match random() % 3 {
                0 => delete(&key(random() % 900)),
                _ => document(&key(random() % 900), &format!("step {steps}, {n}")),
            })
            .collect();
        post(&poster, batch.clone()).unwrap();
        expected = applied(&expected, &batch);
        // What no reader needs may go at any time.
        poster.gc().unwrap();
        assert_eq!(contents_of(&reader), expected);
        versions.push(reader.snapshot().unwrap().version());
    };
    let ended = worker
        .carry_on(&NoSources, soon(), &mut watch)
        .unwrap()
        .unwrap();
    assert_eq!(ended.state, JobState::Finished);
    assert!(
        ended.checkpoints > 5 && ended.replayed > docs(0),
        "{ended:?}"
    );
    assert!(versions.is_sorted());
    assert_eq!(contents_of(&reader), expected);
    assert_eq!(contents_of(&folder.reader()), expected);
    assert_eq!(reader.job(started.id).unwrap(), ended);
    assert_clean(&worker);
    folder.assert_swept(&poster);
    assert_eq!(contents_of(&folder.reader()), expected);
}

/// All contents.
fn contents_of(index: &Index) -> Contents {
    contents(index).unwrap().0
}

/// A small generator whose sequence is the same in every run.
fn sequence(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

#[test]
fn a_job_goes_on_in_another_process_where_the_last_one_stopped() {
    let folder = filled(500);
    start(&folder.open(&small_steps()), &ReindexRequest::default());
    let mut processes = 0;
    let mut last = 0;
    loop {
        let clock = Arc::new(Hasty::default());
        let process = folder.open(&small_steps_at(&clock));
        let status = make_step(&process, &clock).unwrap();
        assert!(status.checkpoints >= last, "{status:?}");
        last = status.checkpoints;
        processes += 1;
        assert!(processes < 10_000, "it does not get on");
        if !status.state.is_running() {
            assert_eq!(status.state, JobState::Finished);
            break;
        }
    }
    assert!(
        last >= 3 && processes >= 3,
        "{last} checkpoints in {processes} processes"
    );
    assert_eq!(contents_of(&folder.reader()).len(), 500);
    assert_clean(&folder.open(&config()));
}

#[test]
fn another_mapping_is_there_with_the_swap() {
    let folder = Folder::new();
    let index = folder.open(&config());
    let priced = |key: &str, price: &str| {
        let text =
            format!(r#"{{"unique_key":"{key}","lang":"en","content":"thing","code":{price}}}"#);
        Operation::Upsert(Document::parse(&text, &index.schema().unwrap()).unwrap())
    };
    post(&index, vec![priced("a", "\"x y\""), priced("b", "\"y\"")]).unwrap();
    assert_eq!(search(&index, "code:y").unwrap(), ["a", "b"], "by words");
    let request = ReindexRequest {
        definition: definition(r#"{"mapping":{"fields":{"code":{"type":"keyword"}}}}"#),
        ..ReindexRequest::default()
    };
    start(&index, &request);
    // What does not fit into what is being built is refused from now on.
    let refused = index.schema().unwrap();
    let text = r#"{"unique_key":"c","code":{"deep":1}}"#;
    let error = Document::parse(text, &refused).unwrap_err();
    assert!(error.detail.contains("built anew"), "{error}");
    let status = index
        .carry_on(&NoSources, soon(), &mut |_| {})
        .unwrap()
        .unwrap();
    assert_eq!(status.state, JobState::Finished, "{status:?}");
    for index in [&index, &folder.reader()] {
        assert_eq!(search(index, "code:y").unwrap(), ["b"], "as a whole");
        assert_eq!(search(index, "thing").unwrap(), ["a", "b"]);
    }
    assert_eq!(
        Some(index.schema().unwrap().definition().clone()),
        request.definition
    );
    post(&index, vec![document("d", "thing")]).unwrap();
    assert_eq!(search(&folder.reader(), "thing").unwrap(), ["a", "b", "d"]);
    assert_clean(&index);
}

/// A process that has not looked since a swap applies by the new mapping what it has read by the earlier one: what
/// does not fit is refused, unless it was acknowledged.
#[test]
fn what_was_accepted_under_the_earlier_mapping_is_never_lost() {
    let folder = filled(3);
    let late = folder.open(&config());
    let schema = late.schema().unwrap();
    let parse = |text: &str| {
        let document = Document::parse(text, &schema);
        Operation::Upsert(document.unwrap())
    };
    let unfit = r#"{"unique_key":"unfit","lang":"en","content":"thing","code":"seven"}"#;
    let fit = r#"{"unique_key":"fit","lang":"en","content":"thing","code":7}"#;
    let (refused, taken) = (vec![parse(unfit)], vec![parse(fit)]);
    let other = folder.open(&config());
    let request = ReindexRequest {
        definition: definition(r#"{"mapping":{"fields":{"code":{"type":"integer"}}}}"#),
        on_refused: OnRefused::Skip,
        ..ReindexRequest::default()
    };
    start(&other, &request);
    let status = other
        .carry_on(&NoSources, soon(), &mut |_| {})
        .unwrap()
        .unwrap();
    assert_eq!(status.state, JobState::Finished, "{status:?}");
    let refused = late.submit(
        Batch {
            operations: refused,
        },
        Wait::Visible,
        soon(),
    );
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("code"), "{error}");
    post(&late, taken).unwrap();
    // As one that was accepted before, and whose answer was 202.
    let laid = vec![parse(&unfit.replace("unfit", "laid"))];
    folder.lay(folder.mount(), laid).unwrap();
    late.drain(soon()).unwrap();
    for (key, there) in [("unfit", false), ("laid", true), ("fit", true)] {
        let found = folder.reader().get(key, None, soon()).unwrap();
        assert_eq!(found.is_some(), there, "{key}");
    }
    assert_eq!(search(&late, "thing").unwrap(), ["fit"]);
    assert_eq!(search(&late, "code:7").unwrap(), ["fit"]);
    assert_clean(&late);
}

#[test]
fn a_source_replaces_what_was_there_but_not_what_comes_while_it_is_read() {
    let folder = filled(4);
    let (worker, poster) = (folder.open(&config()), folder.open(&config()));
    let source = Fixed(vec![
        r#"{"unique_key":"k0001","lang":"en","content":"from the source"}"#,
        r#"{"unique_key":"new","lang":"en","content":"from the source"}"#,
        r#"{"unique_key":"posted","lang":"en","content":"from the source"}"#,
        r#"{"unique_key":"deleted","lang":"en","content":"from the source"}"#,
        r#"{"unique_key":"new","lang":"en","content":"the last counts"}"#,
    ]);
    start(&worker, &from_source());
    let mut posted = false;
    let mut watch = |status: &JobStatus| {
        if !std::mem::replace(&mut posted, true) {
            assert_eq!((status.done, status.total), (1, Some(5)));
            // The same again as before, one that the source has, and a deletion of one that is not there yet.
            let batch = vec![
                document("k0002", "first"),
                document("posted", "later"),
                delete("deleted"),
            ];
            post(&poster, batch).unwrap();
        }
    };
    let status = worker
        .carry_on(&source, soon(), &mut watch)
        .unwrap()
        .unwrap();
    assert_eq!(status.state, JobState::Finished, "{status:?}");
    let expected = [
        ("k0001", "from the source"),
        ("k0002", "first"),
        ("new", "the last counts"),
        ("posted", "later"),
    ];
    let expected = expected.map(|(key, text)| (key.to_owned(), text.to_owned()));
    assert_eq!(contents_of(&folder.reader()), Contents::from(expected));
    assert_clean(&worker);
}

#[test]
fn a_refused_document_ends_the_job_or_is_left_out() {
    let folder = filled(2);
    let index = folder.open(&config());
    let before = contents_of(&index);
    let source = Fixed(vec![
        r#"{"unique_key":"good","lang":"en","content":"x"}"#,
        "bad not JSON",
        r#"{"content":"no key"}"#,
    ]);
    let job = start(&index, &from_source());
    let status = index
        .carry_on(&source, soon(), &mut |_| {})
        .unwrap()
        .unwrap();
    assert_eq!(status.state, JobState::Failed);
    let error = status.error.clone().unwrap();
    assert!(error.contains("line 1: not JSON"), "{error}");
    assert_eq!(contents_of(&folder.reader()), before);
    assert_eq!(index.job(job.id).unwrap(), status);

    let request = ReindexRequest {
        on_refused: OnRefused::Skip,
        ..from_source()
    };
    start(&index, &request);
    let status = index
        .carry_on(&source, soon(), &mut |_| {})
        .unwrap()
        .unwrap();
    assert_eq!(
        (status.state, status.refused),
        (JobState::Finished, docs(2))
    );
    let places: Vec<_> = status
        .refusals
        .iter()
        .map(|refusal| refusal.place.as_str())
        .collect();
    assert_eq!(places, ["line 1", "line 2"]);
    let keys: Vec<_> = contents_of(&folder.reader()).into_keys().collect();
    assert_eq!(keys, ["good"]);
    folder.assert_swept(&index);
}

#[test]
fn there_is_one_job_at_a_time_and_it_can_be_cancelled() {
    let folder = filled(300);
    let (index, other) = (folder.open(&small_steps()), folder.open(&small_steps()));
    let first = start(&index, &ReindexRequest::default());
    let error = other
        .start_reindex(&ReindexRequest::default(), soon())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&first.id.to_string()), "{error}");
    let mut watch = |status: &JobStatus| {
        if status.state.is_running() {
            let cancelled = other.cancel_job(first.id, soon()).unwrap();
            assert_eq!(cancelled.state, JobState::Cancelled);
        }
    };
    let ended = index
        .carry_on(&NoSources, soon(), &mut watch)
        .unwrap()
        .unwrap();
    assert_eq!(ended.state, JobState::Cancelled);
    assert_eq!(
        index.cancel_job(first.id, soon()).unwrap(),
        ended,
        "it stays what it is"
    );
    let unknown = index.cancel_job(uuid::Uuid::new_v4(), soon()).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert_eq!(contents_of(&folder.reader()).len(), 300);
    folder.assert_swept(&index);
    let next = start(&other, &ReindexRequest::default());
    let jobs: Vec<_> = folder
        .reader()
        .jobs()
        .unwrap()
        .iter()
        .map(|job| job.id)
        .collect();
    assert_eq!(jobs, [next.id, first.id]);
}

/// Of two processes that work on one job, one leaves.
#[test]
fn who_finds_a_job_carried_on_by_another_leaves_it_to_that_one() {
    let folder = filled(400);
    let (slow, fast) = (folder.open(&small_steps()), folder.open(&small_steps()));
    start(&slow, &ReindexRequest::default());
    let mut other = None;
    let mut watch = |_: &JobStatus| {
        other.get_or_insert_with(|| fast.carry_on(&NoSources, soon(), &mut |_| {}).unwrap());
    };
    let ended = slow.carry_on(&NoSources, soon(), &mut watch);
    let finished = other.unwrap().unwrap();
    assert_eq!(finished.state, JobState::Finished);
    // The slow one learns that the job has ended.
    assert_eq!(ended.unwrap().unwrap(), finished);
    assert_eq!(contents_of(&folder.reader()).len(), 400);
    folder.assert_swept(&fast);
}

/// A job that nobody carries on does not keep its files for ever.
#[test]
fn an_abandoned_job_is_given_up_by_collection() {
    let folder = filled(300);
    let index = folder.open(&small_steps());
    let job = start(&index, &ReindexRequest::default());
    let mut steps = 0;
    let until = Instant::now() + Duration::from_millis(1);
    index
        .carry_on(&NoSources, until, &mut |_| steps += 1)
        .unwrap();
    index.gc().unwrap();
    assert!(
        index.job(job.id).unwrap().state.is_running(),
        "it was carried on lately"
    );
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(8 * 24 * 3600);
    for folder_name in ["jobs", "manifests"] {
        for name in folder.names(folder_name) {
            let path = folder.path().join(folder_name).join(name);
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(long_ago).unwrap();
        }
    }
    index.gc().unwrap();
    let status = index.job(job.id).unwrap();
    assert_eq!(status.state, JobState::Failed, "{status:?}");
    assert!(status.error.unwrap().contains("nobody"));
    folder.assert_swept(&index);
}

/// A step that comes to its end when another process has made one does not take the job back.
#[test]
fn a_checkpoint_is_not_published_over_a_later_one() {
    let folder = filled(500);
    let clock = Arc::new(Hasty::default());
    let rival = folder.open(&small_steps_at(&clock));
    start(&rival, &ReindexRequest::default());
    let once = AtomicBool::new(false);
    let observer = Observer::new(move |step| {
        if step == Step::BeforeBundle && !once.swap(true, Ordering::SeqCst) {
            make_step(&rival, &clock);
            make_step(&rival, &clock);
        }
    });
    let slow = folder.open(&Config {
        observer,
        ..small_steps()
    });
    let mut seen = Vec::new();
    let mut watch = |status: &JobStatus| seen.push(status.checkpoints);
    let ended = slow
        .carry_on(&NoSources, soon(), &mut watch)
        .unwrap()
        .unwrap();
    assert_eq!(ended.state, JobState::Finished);
    assert!(seen[0] > 2 && seen.is_sorted(), "{seen:?}");
    assert_eq!(contents_of(&folder.reader()).len(), 500);
}

/// A clock on which pauses take no time.
#[derive(Debug, Default)]
struct Hasty(std::sync::Mutex<Duration>);

/// Small steps by a clock of the test's own.
fn small_steps_at(clock: &Arc<Hasty>) -> Config {
    Config {
        world: World::at(Arc::clone(clock) as _),
        ..small_steps()
    }
}

/// Works on a job until it has made a step. Then the time is over, by the clock.
fn make_step(index: &Index, clock: &Hasty) -> Option<JobStatus> {
    let time = Duration::from_secs(60);
    let mut watch = |_: &JobStatus| clock.sleep(time);
    let until = clock.now() + time;
    index.carry_on(&NoSources, until, &mut watch).unwrap()
}

impl Clock for Hasty {
    fn now(&self) -> Instant {
        Instant::now() + *self.0.lock().unwrap()
    }

    fn wall_ms(&self) -> u64 {
        SystemClock.wall_ms()
    }

    fn sleep(&self, pause: Duration) {
        *self.0.lock().unwrap() += pause;
    }
}

/// A source that cannot be opened so many times.
struct Down {
    times: AtomicU32,
    kind: ErrorKind,
}

impl Sources for Down {
    fn check(&self, _url: &str) -> Result<()> {
        Ok(())
    }

    fn open(&self, url: &str) -> Result<Box<dyn DocumentSource>> {
        let left = self.times.load(Ordering::SeqCst);
        if left > 0 {
            self.times.store(left - 1, Ordering::SeqCst);
            return Err(aquifer_indexer::Error::new(
                self.kind,
                "the network is down",
            ));
        }
        Fixed(vec![r#"{"unique_key": "a", "content": "x"}"#]).open(url)
    }
}

#[test]
fn a_source_that_stays_unreachable_fails_the_job_and_one_that_comes_back_does_not() {
    for (times, state) in [(3, JobState::Finished), (1000, JobState::Failed)] {
        let folder = Folder::new();
        let index = folder.open(&Config {
            world: World::at(Arc::new(Hasty::default())),
            ..config()
        });
        let job = index.start_reindex(&from_source(), soon()).unwrap();
        let down = Down {
            times: AtomicU32::new(times),
            kind: ErrorKind::Unavailable,
        };
        let status = index.carry_on(&down, soon(), &mut |_| {}).unwrap().unwrap();
        assert_eq!(status.state, state, "{status:?}");
        let told = index.job(job.id).unwrap();
        assert_eq!(told.state, state);
        if state == JobState::Failed {
            let error = told.error.unwrap();
            assert!(error.contains("the network is down"), "{error}");
        }
    }
}

#[test]
fn a_job_whose_source_this_process_must_not_read_is_left_to_another() {
    let folder = Folder::new();
    let index = folder.open(&config());
    let job = index.start_reindex(&from_source(), soon()).unwrap();
    let down = Down {
        times: AtomicU32::new(1),
        kind: ErrorKind::Conflict,
    };
    index.carry_on(&down, soon(), &mut |_| {}).unwrap_err();
    assert_eq!(index.job(job.id).unwrap().state, JobState::Building);
    let status = index.carry_on(&down, soon(), &mut |_| {}).unwrap().unwrap();
    assert_eq!(status.state, JobState::Finished, "{status:?}");
}
