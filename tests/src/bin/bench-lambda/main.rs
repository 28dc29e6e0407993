//! How large the functions are, how fast they start, and how much several writers take; started by
//! `scripts/bench-lambda`.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use aquifer_tests::local_lambda::{LocalLambda, Spec, Trio, WRITES, startup};
use serde_json::{Value, json};

/// Starts of each function, of which the middle one counts.
const STARTS: usize = 20;
/// Documents that the first answers are about.
const SAMPLES: usize = 1_000;
/// Writers at once, and for how long they write.
const WRITERS: usize = 8;
const WRITING: Duration = Duration::from_secs(10);
/// Documents in a post, in one run each.
const POSTED: [usize; 2] = [1, 100];

fn main() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("bench-lambda-").tempdir()?;
    let root = folder.path().join("root");
    std::fs::create_dir(&root)?;
    let trio = Trio {
        environments_max: WRITERS,
        ..Trio::default()
    };
    let specs = trio.specs(&root, folder.path());
    println!("| function | binary | ready | first answer |\n|---|---:|---:|---:|");
    let [search, writer, reindex] = &specs;
    let samples = Value::Array((0..SAMPLES).map(document).collect()).to_string();
    startup::time(writer, &samples).map_err(|why| anyhow!("{why}"))?;
    for (spec, payload) in [
        (search, r#"{"query":"word7 word11"}"#.to_owned()),
        (writer, document(SAMPLES).to_string()),
        (reindex, r#"{"tasks":["drain"]}"#.to_owned()),
    ] {
        measure_start(spec, &payload)?;
    }
    println!("\n| {WRITERS} writers | posts a second | documents a second |\n|---|---:|---:|");
    for documents in POSTED {
        let root = folder.path().join(format!("of-{documents}"));
        std::fs::create_dir(&root)?;
        measure_writing(&trio, &root, folder.path(), documents)?;
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!(
        "\nMedians of {STARTS} starts, warm binaries, from the start of the process; ready is when it asks for its \
         first invocation. {SAMPLES} documents, on a local disk, {cores} cores."
    );
    Ok(())
}

fn measure_start(spec: &Spec, payload: &str) -> Result<()> {
    let (mut ready, mut answered) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let start = startup::time(spec, payload).map_err(|why| anyhow!("{}: {why}", spec.name))?;
        ready.push(start.ready);
        answered.push(start.answered);
    }
    let bytes = std::fs::metadata(&spec.program)?.len();
    let mebibytes = bytes as f64 / (1024.0 * 1024.0);
    println!(
        "| `{}` | {mebibytes:.1} MiB | {} | {} |",
        spec.name,
        shown(median(ready)?),
        shown(median(answered)?)
    );
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied();
    middle.context("nothing was measured")
}

fn shown(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// Posts from as many clients as there are environments, through the emulators.
fn measure_writing(trio: &Trio, root: &Path, logs: &Path, documents: usize) -> Result<()> {
    let lambda = trio
        .clone()
        .start(root, logs)
        .map_err(|missing| anyhow!(missing))?;
    let (posts, number) = (AtomicU64::new(0), AtomicU64::new(0));
    // Environments start with their first invocation, which is not counted.
    let write = |until: Instant, counted: bool| {
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            let first = number.fetch_add(documents as u64, Ordering::Relaxed);
                            post(&lambda, first, documents)?;
                            if Instant::now() >= until {
                                return Ok(());
                            }
                            if counted {
                                posts.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    })
                })
                .collect();
            writers.into_iter().try_for_each(|writer| {
                let ended: Result<()> = writer
                    .join()
                    .map_err(|panic| anyhow!("a writer panicked: {panic:?}"))?;
                ended
            })
        })
    };
    write(Instant::now(), false)?;
    let began = Instant::now();
    write(began + WRITING, true)?;
    let rate = posts.load(Ordering::Relaxed) as f64 / WRITING.as_secs_f64();
    let of_documents = rate * documents as f64;
    println!("| {documents} documents a post | {rate:.1} | {of_documents:.0} |");
    Ok(())
}

fn post(lambda: &LocalLambda, first: u64, documents: usize) -> Result<()> {
    let numbers = (0..documents).map(|more| usize::try_from(first).unwrap_or_default() + more);
    let body = Value::Array(numbers.map(document).collect()).to_string();
    let outcome = lambda.invoke(WRITES, &body);
    let outcome = outcome.map_err(|refused| anyhow!("{refused:?}"))?;
    let answer: Value = serde_json::from_slice(&outcome.payload)?;
    let status = answer.get("statusCode").and_then(Value::as_u64);
    ensure!(status == Some(200) || status == Some(202), "{answer}");
    Ok(())
}

fn document(number: usize) -> Value {
    let words: Vec<String> = (0..60)
        .map(|word| format!("word{}", (number * 31 + word * word * 7) % 5000))
        .collect();
    json!({"unique_key": format!("{number:08}"), "lang": "en", "title": format!("Document {number}"), "content": words.join(" ")})
}
