//! Lambda on this machine: the real function programs, each in environments of the Runtime Interface Emulator, behind
//! what Amazon has in front of them.
//!
//! An emulator runs one invocation at a time and knows nothing else, so what makes Lambda of several of them is here:
//!
//! | | |
//! |---|---|
//! | `emulator` | where the emulator comes from |
//! | `environment` | one emulator and its function, which is stopped between two invocations |
//! | `process` | the processes of an environment, which are ended by their number |
//! | `function` | the environments of a function: a free one, a new one, or throttled |
//! | `asynchronous` | invocations that nobody waits for, and their retries |
//! | `endpoint` | the Invoke operation, for the SDKs |
//! | `gateway` | plain HTTP made into events and back, as API Gateway, function URLs and load balancers do |
//! | `schedule` | what the scheduler sends |
//! | `trio` | Aquifer's functions |
//!
//! [`startup`] measures instead: one process, without an emulator.

mod asynchronous;
mod emulator;
mod endpoint;
mod environment;
mod function;
mod gateway;
mod process;
mod schedule;
pub mod startup;
mod trio;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use function::Function;

pub use emulator::fetched;
pub use environment::Outcome;
pub use function::{Refused, Spec, Tally};
pub use gateway::{Front, Routes};
pub use trio::{READS, REINDEX, Trio, WRITES};

/// How old an asynchronous invocation may get before it is dropped.
const AGE_MAX: Duration = Duration::from_secs(60 * 60);
/// How long what still runs may delay the end.
const ABANDON_AFTER: Duration = Duration::from_secs(5);

/// What the functions' invocations go through.
#[derive(Debug)]
struct Functions {
    by_name: BTreeMap<String, Arc<Function>>,
    retry_pause: Duration,
}

impl Functions {
    fn get(&self, name: &str) -> Option<Arc<Function>> {
        self.by_name.get(name).cloned()
    }

    fn queue(&self, function: Arc<Function>, payload: Vec<u8>) {
        let run = asynchronous::run(function, payload, self.retry_pause, AGE_MAX);
        drop(tokio::spawn(run));
    }
}

/// A running local Lambda. Whatever it started is ended when it goes out of scope.
#[derive(Debug)]
pub struct LocalLambda {
    runtime: Option<Runtime>,
    functions: Arc<Functions>,
    endpoint: SocketAddr,
}

impl LocalLambda {
    /// Serves these functions at a loopback address. Each is told where that is, so that it can invoke the others.
    /// `retry_pause` is what production's minute before an asynchronous invocation is tried again takes here.
    ///
    /// # Panics
    /// When nothing can be listened to.
    pub fn start(emulator: &std::path::Path, specs: Vec<Spec>, retry_pause: Duration) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = listener.local_addr().unwrap();
        let function = |mut spec: Spec| {
            let variable = "AWS_ENDPOINT_URL_LAMBDA".to_owned();
            spec.variables
                .insert(variable, format!("http://{endpoint}"));
            let name = spec.name.clone();
            (name, Arc::new(Function::new(emulator.to_owned(), spec)))
        };
        let functions = Arc::new(Functions {
            by_name: specs.into_iter().map(function).collect(),
            retry_pause,
        });
        serve(
            &runtime,
            listener,
            endpoint::router(Arc::clone(&functions), READS),
        );
        Self {
            runtime: Some(runtime),
            functions,
            endpoint,
        }
    }

    /// The address of Lambda's API.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.endpoint)
    }

    /// Opens a door for plain HTTP and gives its address; port 0 takes a free one.
    ///
    /// # Errors
    /// It cannot be listened to.
    pub fn open(
        &self,
        front: Front,
        routes: Routes,
        listen: SocketAddr,
    ) -> std::io::Result<String> {
        let runtime = self.runtime.as_ref().unwrap();
        let listener = runtime.block_on(TcpListener::bind(listen))?;
        let address = listener.local_addr()?;
        let router = gateway::router(Arc::clone(&self.functions), front, routes);
        serve(runtime, listener, router);
        Ok(format!("http://{address}"))
    }

    /// Invokes a function as the API does, without its API.
    ///
    /// # Errors
    /// The invocation did not reach it.
    ///
    /// # Panics
    /// When there is no such function.
    pub fn invoke(&self, name: &str, payload: &str) -> Result<Outcome, Refused> {
        let invocation = async { self.function(name).invoke(payload.into()).await };
        self.runtime.as_ref().unwrap().block_on(invocation)
    }

    /// What a function has been through.
    ///
    /// # Panics
    /// When there is no such function.
    pub fn tally(&self, name: &str) -> Tally {
        self.function(name).tally()
    }

    /// Idle environments of a function that are stopped now.
    ///
    /// # Panics
    /// When there is no such function.
    pub fn frozen(&self, name: &str) -> usize {
        self.function(name).frozen()
    }

    fn function(&self, name: &str) -> Arc<Function> {
        let function = self.functions.get(name);
        function.unwrap_or_else(|| panic!("there is no function {name}"))
    }

    /// The log of a function.
    ///
    /// # Panics
    /// When there is no such function.
    pub fn log(&self, name: &str) -> PathBuf {
        self.function(name).spec().log.clone()
    }
}

impl Drop for LocalLambda {
    fn drop(&mut self) {
        for function in self.functions.by_name.values() {
            function.end();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(ABANDON_AFTER);
        }
    }
}

fn serve(runtime: &Runtime, listener: TcpListener, router: Router) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    runtime.spawn(async move { axum::serve(listener, service).await.unwrap() });
}
