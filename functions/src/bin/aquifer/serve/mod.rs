//! `aquifer serve`.

mod connections;
mod maintenance;
mod pages;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use aquifer_functions::duration::duration;
use aquifer_functions::http::{self, AppState, Settings, limits};
use aquifer_functions::log_queue::LogQueue;
use aquifer_functions::sources::ExternalSources;
use aquifer_indexer::config::{Config, MIB};
use aquifer_indexer::index::Aquifer;
use aquifer_indexer::reindex::Sources;
use clap::Args;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::maintenance::{Left, Maintenance};
use self::pages::Pages;
use crate::place::Place;
use crate::resources::Resources;

/// Where a server listens that is told nothing: to this machine only.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// What the answering of accepted requests may take beyond their deadline when the server stops.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// How long work that nobody waits for any more may delay the end of the process. It is safe
/// to kill at any moment.
const ABANDON_AFTER: Duration = Duration::from_secs(2);

/// Answer HTTP requests
///
/// Prints the address on standard output once requests are answered, and logs to standard
/// error. SIGTERM and SIGINT let it finish what it has accepted.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    place: Place,
    /// Where to listen [default: 127.0.0.1:8080, or 0.0.0.0:$PORT where PORT is set]; port 0
    /// takes a free one
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The port of every interface to listen on, unless --listen says otherwise
    #[arg(long, env = "PORT", hide = true)]
    port: Option<u16>,
    /// Create the root folder where it is missing; without this only the default one is
    #[arg(long)]
    create_root: bool,
    /// Refuse writes, and never write to the folder
    #[arg(long)]
    read_only: bool,
    /// How often to merge, to collect garbage and to look for jobs that others have left (30s, 5m, 1h; 0 is never)
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration)]
    maintenance_interval: Duration,
    /// The longest that a request may take
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = duration)]
    deadline: Duration,
    /// How long a file that no version names any more is kept for readers; longer than any request
    /// takes
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    retention: Duration,
    /// How long a writer that holds the lock may show no sign of life before it is overtaken
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    overtake_after: Duration,
    /// Where a reindex over HTTP may read documents from: folders and s3://BUCKET/PREFIX/, between commas, with what
    /// lies below them; a relative path begins at the root folder
    #[arg(long, env = "AQUIFER_SOURCES", value_name = "LIST", default_value = "")]
    sources: String,
    #[command(flatten)]
    pages: Pages,
    #[command(flatten)]
    resources: Resources,
    /// Memory for cached parts of the indexes, in MiB [default: a share of the memory, 256 at most]
    #[arg(long, env = "AQUIFER_CACHE_MIB", value_name = "MIB")]
    cache: Option<usize>,
}

impl Serve {
    pub(crate) fn run(self, log: &LogQueue) -> Result<ExitCode> {
        if self.deadline.is_zero() {
            bail!("--deadline is zero, which leaves no time to answer: the default is 25s");
        }
        let runtime = runtime()?;
        let outcome = runtime.block_on(self.serve(log));
        runtime.shutdown_timeout(ABANDON_AFTER);
        outcome.map(|()| ExitCode::SUCCESS)
    }

    async fn serve(self, log: &LogQueue) -> Result<()> {
        // Before anything else, so that a signal never meets a process that does not know it.
        let signalled = Signalled::new()?;
        let aquifer = Arc::new(self.open()?);
        let (stop, stopped) = watch::channel(false);
        let sources: Arc<dyn Sources> = Arc::new(self.sources()?);
        let left = Arc::new(Left::default());
        if !self.read_only {
            let maintenance = Maintenance {
                aquifer: Arc::clone(&aquifer),
                sources: Arc::clone(&sources),
                left: Arc::clone(&left),
                interval: self.maintenance_interval,
                retention: self.retention,
            };
            tokio::spawn(maintenance.run(stopped.clone()));
        }
        let listener = self.listen().await?;
        let address = listener.local_addr()?;
        let settings = Settings {
            hosts: self.pages.hosts(address.ip()),
            origins: self.pages.origins(),
            cache_control: self.pages.cache_control(),
            default_index: self.place.index.clone(),
            read_only: self.read_only,
            deadline: self.deadline,
            request_bytes: self.resources.config().budget.request_bytes(),
            sources,
            left,
            log: Some(log.clone()),
            ..Settings::default()
        };
        let router = http::router(AppState::new(Arc::clone(&aquifer), settings));
        announce(address);
        let server = tokio::spawn(connections::serve(listener, router, stopped));
        signalled.wait().await;
        tracing::info!("stopping: finishing what was accepted");
        stop.send_replace(true);
        match tokio::time::timeout(self.deadline + STOP_MARGIN, server).await {
            Ok(outcome) => outcome.context("the server failed")?,
            Err(_elapsed) => tracing::warn!("some requests did not end in time: leaving them"),
        }
        let stop = move || aquifer.stop(Instant::now() + ABANDON_AFTER);
        tokio::task::spawn_blocking(stop)
            .await
            .context("the server failed")?;
        tracing::info!("stopped");
        Ok(())
    }

    /// Requests may only name what is listed.
    fn sources(&self) -> Result<ExternalSources> {
        ExternalSources::listed(&self.place.root.root, &self.sources)
            .context("--sources (AQUIFER_SOURCES) cannot be read")
    }

    fn open(&self) -> Result<Aquifer> {
        let default = self.resources.config();
        let cache_bytes = match self.cache {
            Some(mebibytes) => mebibytes.saturating_mul(MIB),
            None => default.cache_bytes,
        };
        let aquifer = self.place.root.open(Config {
            read_only: self.read_only,
            create_root: self.create_root || self.place.root.is_default(),
            cache_bytes,
            retention: self.retention,
            overtake_after: self.overtake_after,
            ..default
        })?;
        if !self.read_only {
            // So that a search before the first document finds nothing, not no index.
            aquifer.index_or_create(&self.place.index)?;
        }
        Ok(aquifer)
    }

    async fn listen(&self) -> Result<TcpListener> {
        let address = match (&self.listen, self.port) {
            (Some(listen), _) => listen.clone(),
            (None, Some(port)) => format!("0.0.0.0:{port}"),
            (None, None) => DEFAULT_LISTEN.to_owned(),
        };
        TcpListener::bind(&address).await.with_context(|| {
            format!("cannot listen on {address}: choose another address with --listen HOST:PORT")
        })
    }
}

/// Threads for connections, and enough that may block for every request that has a turn.
fn runtime() -> Result<Runtime> {
    let blocking = limits::DEFAULT_CONCURRENT_READS
        + limits::DEFAULT_CONCURRENT_SEARCHES
        + limits::DEFAULT_CONCURRENT_WRITES
        + 16;
    Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(blocking)
        .build()
        .context("cannot start the threads of the server")
}

/// The one line that a script may wait for. A server serves, too, where nobody reads it.
fn announce(address: SocketAddr) {
    let mut out = io::stdout();
    if let Err(error) = writeln!(out, "listening on http://{address}").and_then(|()| out.flush()) {
        tracing::warn!(%error, "standard output is closed");
    }
    tracing::info!(%address, "listening");
}

/// The signals that end a server.
struct Signalled {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signalled {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
