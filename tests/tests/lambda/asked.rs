//! What is asked of every front door, one after the other: each request builds on those before.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    /// Path and query, encoded as a client sends them.
    pub(crate) target: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) body: Vec<u8>,
    /// Compare the answer's body, and not only its status and headers.
    pub(crate) whole: bool,
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

fn get(target: &'static str) -> Asked {
    asked("GET", target, &[], "")
}

fn post(target: &'static str, body: &str) -> Asked {
    asked("POST", target, JSON, body)
}

fn asked(
    method: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &str,
) -> Asked {
    Asked {
        method,
        target,
        headers,
        body: body.as_bytes().to_vec(),
        whole: true,
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// All of them, in order.
pub(crate) fn all() -> Vec<Asked> {
    [documents(), keys(), searches(), indexes(), refusals()].concat()
}

const TEAPOT: &str = r#"{"unique_key":"418","lang":"en","title":"418 I am a teapot","content":"The server refuses to brew coffee with a teapot.","tags":["418","joke"]}"#;
const JAPANESE: &str = r#"{"unique_key":"401-ja","lang":"ja","title":"401 認証が必要です","content":"要求には利用者の認証が必要です。","tags":["認証","401"]}"#;

/// Documents come in every way that a body may take, are replaced, and deleted.
fn documents() -> Vec<Asked> {
    let ndjson = "{\"unique_key\":\"n1\",\"title\":\"line one\"}\n{\"unique_key\":\"n2\",\"title\":\"line two\"}\n";
    let zipped = r#"[{"unique_key":"z1","title":"zipped","price":2.5},{"unique_key":"z2","title":"zipped too","price":7}]"#;
    let mixed = r#"[{"unique_key":"good","title":"good"},{"title":"has no key"},{"unique_key":"bad","tags":{"a":1}}]"#;
    vec![
        post("/documents", TEAPOT),
        get("/search?q=nothing"),
        post(
            "/documents",
            &format!(
                "[{JAPANESE},{{\"unique_key\":\"200\",\"title\":\"200 OK\",\"content\":\"Fine, & well\"}}]"
            ),
        ),
        post(
            "/documents",
            r#"{"documents":[{"unique_key":"200","title":"200 OK","content":"replaced 100% + more"}]}"#,
        ),
        asked(
            "POST",
            "/documents",
            &[("content-type", "application/x-ndjson")],
            ndjson,
        ),
        Asked {
            body: gzip(zipped),
            ..asked(
                "POST",
                "/documents",
                &[
                    ("content-type", "application/json"),
                    ("content-encoding", "gzip"),
                ],
                "",
            )
        },
        post("/documents", mixed),
        get("/documents/418"),
        get("/documents/401-ja"),
        get("/documents/absent"),
        asked("DELETE", "/documents/n1", &[], ""),
        asked("DELETE", "/documents/n1", &[], ""),
        get("/documents/n1"),
        post("/documents/delete", r#"{"keys":["n2","never"]}"#),
        get("/search?q=line"),
    ]
}

/// Keys that a path has to escape.
fn keys() -> Vec<Asked> {
    let odd = r#"[{"unique_key":"a/b c"},{"unique_key":"100%"},{"unique_key":"日本/語"},{"unique_key":"x+y&z=1"},{"unique_key":"%41"}]"#;
    vec![
        post("/documents", odd),
        get("/documents/a/b%20c"),
        get("/documents/a%2Fb%20c"),
        get("/documents/100%25"),
        get("/documents/%E6%97%A5%E6%9C%AC/%E8%AA%9E"),
        get("/documents/x+y&z=1"),
        get("/documents/x%2By%26z%3D1"),
        get("/documents/%2541"),
        asked("DELETE", "/documents/100%25", &[], ""),
        asked(
            "DELETE",
            "/documents/%E6%97%A5%E6%9C%AC%2F%E8%AA%9E",
            &[],
            "",
        ),
        get("/documents/100%25"),
    ]
}

/// Searches by parameters and by JSON.
fn searches() -> Vec<Asked> {
    vec![
        get("/search"),
        get("/search?q=coffee&tag=joke"),
        get("/search?q=teapot&tag=joke&tag=418"),
        get("/search?q=teapot&tag=joke&tag=401"),
        get("/search?q=%E8%AA%8D%E8%A8%BC&lang=ja&highlight=true"),
        get("/search?q=100%25+%2B+more"),
        get("/search?q=%22refuses%20to+brew%22"),
        post(
            "/documents",
            r#"[{"unique_key":"space","tags":["two words"]},{"unique_key":"plus","tags":["two+words"]},{"unique_key":"percent","tags":["two%20words"]}]"#,
        ),
        get("/search?tag=two+words"),
        get("/search?tag=two%20words"),
        get("/search?tag=two%2Bwords"),
        get("/search?tag=two%2520words"),
        get("/search?q=Fine%2C%20%26%20well"),
        get("/search?q=a%3Db%3B%5B%7B%22(%3F%23%25%2525"),
        get("/search?q="),
        get("/search?sort=unique_key:desc&limit=3&offset=1&fields=unique_key,title"),
        get("/search?filter=price:%3E=2&filter=price:%3C=5&sort=price"),
        get("/search?q=zipped&operator=and&min_version=1"),
        post(
            "/search",
            r#"{"query":"coffee","lang":"en","tags":["joke"]}"#,
        ),
        post("/search", r#"{"query":"認証"}"#),
        post("/search", r#"{"query":"body","lang":"en","tags":[]}"#),
        post("/search", ""),
        get("/stats"),
    ]
}

/// Indexes beside the default one.
fn indexes() -> Vec<Asked> {
    let mapping = r#"{"mapping":{"dynamic":"strict","fields":{"title":{"type":"text"},"price":{"type":"float"}}}}"#;
    vec![
        asked("PUT", "/indexes/books", JSON, mapping),
        asked("PUT", "/indexes/books", JSON, mapping),
        asked(
            "PUT",
            "/indexes/books",
            JSON,
            r#"{"mapping":{"dynamic":"strict","fields":{"title":{"type":"keyword"}}}}"#,
        ),
        asked("PUT", "/indexes/Not%20a%20name", JSON, ""),
        get("/indexes"),
        post(
            "/indexes/books/documents",
            r#"[{"unique_key":"1","title":"A book","price":9.5},{"unique_key":"2","pages":3}]"#,
        ),
        get("/indexes/books/search?q=book"),
        post(
            "/indexes/books/search",
            r#"{"query":"book","fields":["title"]}"#,
        ),
        get("/indexes/books/documents/1"),
        get("/indexes/books"),
        get("/indexes/absent/search?q=x"),
        asked("DELETE", "/indexes/books", &[], ""),
        // A process that had it open says so without its name; after that it finds another in its place.
        Asked {
            whole: false,
            ..get("/indexes/books")
        },
        asked("PUT", "/indexes/books", JSON, mapping),
        get("/indexes/books/search?q=book"),
        asked("PUT", "/indexes/gone", &[], ""),
        asked("DELETE", "/indexes/gone", &[], ""),
        asked("DELETE", "/indexes/gone", &[], ""),
        get("/indexes/gone"),
    ]
}

/// What is refused, and how.
fn refusals() -> Vec<Asked> {
    vec![
        post("/documents", "{\"unique_key\":"),
        post("/documents", "[]"),
        post("/documents", r#"{"title":"no key"}"#),
        post("/search", r#"{"query":1}"#),
        get("/search?limit=many"),
        get("/search?limit=100000"),
        get("/search?nonsense=1"),
        get("/batches/none"),
        get("/indexes/books/nowhere"),
        get("/search/nowhere"),
        asked("PUT", "/search", &[], ""),
        asked("OPTIONS", "/search", &[], ""),
        asked(
            "POST",
            "/documents",
            &[
                ("content-type", "application/json"),
                ("content-encoding", "gzip"),
            ],
            "not zipped",
        ),
        asked(
            "POST",
            "/documents",
            &[
                ("content-type", "application/json"),
                ("content-encoding", "br"),
            ],
            "{}",
        ),
    ]
}
