//! Whether a service is well, and whether it is ready.

use aquifer_indexer::mount::{Fault, FaultyMount, Mount, PosixMount, Wrap};
use axum::http::StatusCode;

use super::*;

#[tokio::test]
async fn a_service_is_ready_while_its_folder_takes_files() {
    let service = Service::new();
    let answer = service.get("/health/ready").await;
    assert_eq!(
        (answer.status, answer.json()),
        (StatusCode::OK, serde_json::json!({"status": "ready"}))
    );
    assert_eq!(
        std::fs::read_dir(service.root.path()).unwrap().count(),
        0,
        "a probe leaves nothing"
    );
    // The result counts for a while: a probe writes.
    std::fs::remove_dir(service.root.path()).unwrap();
    assert_eq!(service.get("/health/ready").await.status, StatusCode::OK);
    assert_eq!(service.get("/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_service_without_its_folder_is_not_ready() {
    for read_only in [false, true] {
        let service = Service::new();
        let router = if read_only {
            service.reader()
        } else {
            service.router.clone()
        };
        std::fs::remove_dir(service.root.path()).unwrap();
        let ready = || Request::get("/health/ready").body(Body::empty()).unwrap();
        let told = answer(&router, ready()).await;
        assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE, "{told}");
        let root = service.root.path().display().to_string();
        assert!(told.body.contains(&root), "{told}");
    }
}

#[tokio::test]
async fn a_service_whose_folder_takes_no_file_is_not_ready() {
    const EROFS: i32 = 30;
    const ENOSPC: i32 = 28;
    // A folder is made, a file in it is written, and both are removed.
    for (error, said) in [(EROFS, "mounted read-only"), (ENOSPC, "full")] {
        for operation in 0..2 {
            let service = Service::new();
            let mount: Arc<dyn Mount> = Arc::new(PosixMount::open(service.root.path()).unwrap());
            let faulty = FaultyMount::new(mount, operation, Fault::Fail(error));
            let (told, _) = probe(&service, faulty, Settings::default()).await;
            assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE, "{told}");
            let root = service.root.path().display().to_string();
            assert!(
                told.body.contains(&root) && told.body.contains(said),
                "{told}"
            );
        }
    }
}

#[tokio::test]
async fn a_service_that_only_reads_is_ready_where_nothing_can_be_written() {
    const EROFS: i32 = 30;
    let service = Service::new();
    let mount: Arc<dyn Mount> = Arc::new(PosixMount::open(service.root.path()).unwrap());
    let faulty = FaultyMount::new(mount, 0, Fault::Fail(EROFS));
    let settings = Settings {
        read_only: true,
        ..Settings::default()
    };
    let (told, faulty) = probe(&service, faulty, settings).await;
    assert_eq!(told.status, StatusCode::OK, "{told}");
    assert_eq!(faulty.operations(), 0, "a reader writes nothing");
}

/// What a service says whose folder is reached through `faulty`.
async fn probe(
    service: &Service,
    faulty: FaultyMount,
    settings: Settings,
) -> (Answer, FaultyMount) {
    let through = faulty.clone();
    let wrap = Wrap::new(move |inner| Arc::new(through.over(inner)));
    let config = Config {
        read_only: settings.read_only,
        ..Config::default()
    };
    let aquifer = Aquifer::open_through(wrap, service.root.path(), config).unwrap();
    let router = router(AppState::new(Arc::new(aquifer), settings));
    let request = Request::get("/health/ready").body(Body::empty()).unwrap();
    (answer(&router, request).await, faulty)
}
