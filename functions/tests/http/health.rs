//! Whether a service is well, and whether it is ready.

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
