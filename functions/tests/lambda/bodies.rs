//! Bodies: base64, gzip, and both.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::senders::{Asked, SENDERS};
use crate::{Answer, LONG, Place, invoke};

const DOCUMENT: &str = r#"{"unique_key":"k","title":"日本 \"quoted\" coffee"}"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn a_body_may_be_text_base64_or_gzip_in_base64() {
    let packed = gzip(DOCUMENT.as_bytes());
    for (name, sender) in SENDERS {
        let place = Place::new();
        for (body, binary, encoding) in [
            (DOCUMENT.as_bytes(), false, None),
            (DOCUMENT.as_bytes(), true, None),
            (packed.as_slice(), true, Some(("Content-Encoding", "gzip"))),
        ] {
            let mut asked = Asked::new("POST", "/documents");
            asked.body = body.to_vec();
            asked.binary = binary;
            asked.headers.extend(encoding);
            let answer = Answer::of(&invoke(&place.writer, sender(&asked).to_string(), LONG).await);
            assert_eq!(answer.json()["accepted"], 1, "{name}: {answer:?}");
        }
        let kept = place.plain("GET", "/documents/k", "").await;
        assert_eq!(kept.body, DOCUMENT, "{name}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_it_says_is_the_clients_mistake() {
    let place = Place::new();
    for (name, sender) in SENDERS {
        let mut asked = Asked::new("POST", "/documents");
        asked.body = DOCUMENT.as_bytes().to_vec();
        let mut event = sender(&asked);
        event["isBase64Encoded"] = true.into();
        let answer = Answer::of(&invoke(&place.writer, event.to_string(), LONG).await);
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
        assert!(answer.body.contains("base64"), "{name}: {answer:?}");
        asked.headers.push(("Content-Encoding", "gzip"));
        let answer = Answer::of(&invoke(&place.writer, sender(&asked).to_string(), LONG).await);
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
    }
}
