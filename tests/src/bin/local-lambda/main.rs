//! Runs Aquifer's three functions on this machine as Lambda runs them, behind a door for plain HTTP, until Ctrl-C.
//!
//! The programs must lie beside this one: `scripts/local-lambda` builds and starts it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aquifer_tests::local_lambda::{Front, Trio};
use clap::{Parser, ValueEnum};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// The stage behind the door of a REST API.
const STAGE: &str = "prod";

/// Environments of a function at the most. Each takes two processes and some 20 MiB of memory.
const ENVIRONMENTS_MAX: u16 = 200;

/// Run the writer, search and reindex functions in environments of the Runtime Interface Emulator
#[derive(Parser, Debug)]
struct Options {
    /// The folder of the indexes
    #[arg(long, env = "AQUIFER_ROOT", default_value = "./data")]
    root: PathBuf,
    /// Where the door for plain HTTP listens; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// What stands between the client and the functions
    #[arg(long, value_enum, default_value = "http-api")]
    door: Door,
    /// Environments of the writer and of the search, each, at the most; as many are started as are invoked at once
    #[arg(long, default_value_t = ENVIRONMENTS_MAX, value_parser = clap::value_parser!(u16).range(1..=i64::from(ENVIRONMENTS_MAX)))]
    environments: u16,
    /// Seconds that an invocation of the writer and of the search may take
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=900))]
    timeout: u64,
    /// Let idle functions run, rather than stop them between two invocations
    #[arg(long)]
    no_freeze: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Door {
    /// API Gateway's HTTP API: payload 2.0
    HttpApi,
    /// API Gateway's REST API: payload 1.0, with the stage prod
    RestApi,
    /// A function URL: payload 2.0
    FunctionUrl,
    /// An Application Load Balancer with multi-value headers
    Balancer,
}

impl Door {
    fn front(self) -> Front {
        match self {
            Self::HttpApi => Front::HttpApi { stage: None },
            Self::RestApi => Front::RestApi {
                stage: STAGE.to_owned(),
            },
            Self::FunctionUrl => Front::FunctionUrl,
            Self::Balancer => Front::Balancer { multi_value: true },
        }
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    std::fs::create_dir_all(&options.root)
        .with_context(|| format!("cannot create {}", options.root.display()))?;
    let root = options
        .root
        .canonicalize()
        .context("cannot find the root")?;
    // They are kept: who looks for a failure does so afterwards.
    let logs = tempfile::Builder::new()
        .prefix("local-lambda-")
        .tempdir()?
        .keep();
    let trio = Trio {
        environments_max: options.environments.into(),
        freezes: !options.no_freeze,
        timeout: Duration::from_secs(options.timeout),
        ..Trio::default()
    };
    let lambda = match trio.start(&root, &logs) {
        Ok(lambda) => lambda,
        Err(missing) => bail!("{missing}"),
    };
    let url = lambda
        .open(options.door.front(), Trio::routes(), options.listen)
        .with_context(|| format!("cannot listen to {}", options.listen))?;
    let prefix = match options.door {
        Door::RestApi => format!("{url}/{STAGE}"),
        _ => url.clone(),
    };
    println!("listening on {prefix}");
    println!("logs of the functions, which are kept: {}", logs.display());
    print_requests(&prefix, &url, &lambda.endpoint());
    until_told()
    // What was started is ended here, process by process.
}

fn print_requests(prefix: &str, url: &str, endpoint: &str) {
    println!(
        r#"
    curl -X POST {prefix}/documents -H 'content-type: application/json' \
         -d '{{"unique_key":"418","lang":"en","title":"418 I am a teapot","content":"The server refuses to brew coffee with a teapot.","tags":["418","joke"]}}'
    curl '{prefix}/search?q=coffee&tag=joke'
    curl -G {prefix}/search --data-urlencode 'q=認証' -d lang=ja

The schedule of the reindex function, and an invocation as the SDKs make it:

    curl -X POST {url}/_schedule
    curl -d '{{"query":"coffee"}}' {endpoint}/2015-03-31/functions/aquifer-search/invocations

The search function as the emulator alone would have it:

    curl -d '{{"query":"coffee"}}' {url}/2015-03-31/functions/function/invocations

Ctrl-C ends it."#
    );
}

fn until_told() -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
