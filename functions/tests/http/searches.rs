//! What a search may cost, as a client sees it.

use std::time::{Duration, Instant};

use aquifer_functions::http::AnswerBytes;
use tokio::time::sleep;

use super::*;

/// Documents whose highlights take long, and bytes of text in each.
const LONG_DOCUMENTS: usize = 120;
const LONG_BYTES: usize = 200_000;

/// A service with one turn for searches, in which [`LONG`] takes long.
async fn slow() -> Service {
    let service = Service::with(Settings {
        concurrent_searches: 1,
        queue: 0,
        ..Settings::default()
    });
    let text = "some words of a long text ".repeat(LONG_BYTES / 26);
    for batch in 0..LONG_DOCUMENTS / 20 {
        let lines: String = (0..20)
            .map(|n| format!("{{\"unique_key\":\"{batch}-{n}\",\"content\":\"{text}\"}}\n"))
            .collect();
        let answer = service.post("/documents", lines).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer}");
    }
    service
}

const LONG: &str = "/search?q=words+missing&highlight=true&limit=1000&fields=unique_key";

#[tokio::test]
async fn a_search_whose_client_has_gone_gives_its_turn_back() {
    let service = slow().await;
    let begun = Instant::now();
    let whole = service.get(LONG).await;
    let whole_took = begun.elapsed();
    assert_eq!(whole.status, StatusCode::OK, "{whole}");
    let router = service.router.clone();
    let long = tokio::spawn(async move {
        loop {
            let request = Request::builder().uri(LONG).body(Body::empty()).unwrap();
            let answer = answer(&router, request).await;
            // One that looks whether the turn is taken may have it.
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    // It has begun as soon as another one finds no turn.
    while service.get("/search?limit=0").await.status == StatusCode::OK {
        sleep(Duration::from_millis(1)).await;
    }
    long.abort();
    let gone = Instant::now();
    while service.get("/search?limit=0").await.status != StatusCode::OK {
        assert!(
            gone.elapsed() < whole_took / 2,
            "the search goes on for {:?} of {whole_took:?}",
            gone.elapsed()
        );
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_query_that_stands_for_too_much_is_refused_and_one_clause_many_times_is_not() {
    let service = Service::filled().await;
    let many = "a*+".repeat(256);
    let answer = service.get(&format!("/search?q={many}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer}");
    let words: Vec<String> = (0..70_000).map(|n| format!("x{n}")).collect();
    let document = format!(r#"{{"unique_key":"many","content":"{}"}}"#, words.join(" "));
    service.post("/documents", document).await;
    let answer = service.get("/search?q=x*").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(answer.body.contains("too broad"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_a_problem_that_says_so() {
    let service = Service::filled().await;
    let ask = async |path: &str| {
        let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(AnswerBytes(300));
        service.request(request).await
    };
    let answer = ask("/search").await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    assert!(
        answer.body.contains("/problems/answer-too-large"),
        "{answer}"
    );
    let answer = ask("/search?fields=unique_key").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer}");
}
