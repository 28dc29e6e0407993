//! An S3 server in this process: signatures are checked, objects are files.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use aquifer_functions::sources::ExternalSources;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower::ServiceExt;

pub(crate) const BUCKET: &str = "bucket";
pub(crate) const ACCESS_KEY: &str = "reader";
pub(crate) const SECRET_KEY: &str = "not-a-secret";

/// Serves one bucket until it is dropped.
pub(crate) struct Server {
    root: TempDir,
    endpoint: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let root = TempDir::new().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let folder = root.path().to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(serve(folder, tell, stopped));
        });
        Self {
            root,
            endpoint: told.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The folder whose files are the objects of the bucket.
    pub(crate) fn bucket(&self) -> PathBuf {
        self.root.path().join(BUCKET)
    }

    /// Sources with the right credentials.
    pub(crate) fn sources(&self) -> ExternalSources {
        self.sources_as(ACCESS_KEY, SECRET_KEY)
    }

    pub(crate) fn sources_as(&self, key: &str, secret: &str) -> ExternalSources {
        self.reached(ExternalSources::any(Path::new("/")), key, secret)
    }

    /// What a program finds in its environment to reach this server.
    pub(crate) fn variables<'a>(
        &'a self,
        key: &'a str,
        secret: &'a str,
    ) -> [(&'a str, &'a str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ]
    }

    /// Sources that reach this server.
    pub(crate) fn reached(
        &self,
        sources: ExternalSources,
        key: &str,
        secret: &str,
    ) -> ExternalSources {
        sources.with_environment(&self.variables(key, secret))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve(folder: PathBuf, tell: mpsc::Sender<String>, stopped: oneshot::Receiver<()>) {
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let s3 = builder.build();
    let answer = move |request: Request| {
        let s3 = s3.clone();
        async move { s3.oneshot(request).await.unwrap().map(Body::new) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tell.send(format!("http://{address}")).unwrap();
    let server = axum::serve(listener, Router::new().fallback(answer));
    tokio::select! {
        ended = async { server.await } => ended.unwrap(),
        _ = stopped => {}
    }
}
