use std::io::Write;

use flate2::write::GzEncoder;

use super::*;

const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const LINES: &[u8] = b"\n{\"a\":1}\r\n\n  {\"b\":2}";
const OF_LINES: &[&str] = &["Line(2): {\"a\":1}", "Line(4): {\"b\":2}"];

/// Gives one byte at a time, so that every boundary between reads is met.
struct Slow(Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = buffer.len().min(1);
        self.0.read(&mut buffer[..end])
    }
}

fn named(place: Place) -> String {
    match place {
        Place::Line(number) => format!("Line({number})"),
        Place::Element { number, .. } => format!("Element({number})"),
        Place::Whole(_) => "Whole".to_owned(),
    }
}

fn all(texts: Result<Texts, TextsError>) -> (Vec<String>, Option<String>) {
    let mut texts = texts.unwrap();
    let mut seen = Vec::new();
    loop {
        match texts.next_text() {
            Ok(Some(text)) => seen.push(match text.text {
                Ok(told) => format!("{}: {told}", named(text.place)),
                Err(why) => format!("refused {}: {why}", named(text.place)),
            }),
            Ok(None) => return (seen, None),
            Err(error) => {
                assert!(
                    matches!(texts.next_text(), Ok(None)),
                    "it ends with an error"
                );
                return (seen, Some(error.to_string()));
            }
        }
    }
}

fn of(form: Form, bytes: &[u8]) -> (Vec<String>, Option<String>) {
    let at_once = all(Texts::new(form, Cursor::new(bytes.to_vec())));
    let slowly = all(Texts::new(form, Slow(Cursor::new(bytes.to_vec()))));
    assert_eq!(at_once, slowly);
    at_once
}

fn of_lines(bytes: &[u8]) -> (Vec<String>, Option<String>) {
    of(Form::Lines, bytes)
}

fn of_json(bytes: &[u8]) -> (Vec<String>, Option<String>) {
    of(Form::Json, bytes)
}

fn check(read: (Vec<String>, Option<String>), expected: &[&str]) {
    assert_eq!(read.1, None);
    assert_eq!(read.0, expected);
}

#[test]
fn a_document_a_line_packed_or_not() {
    check(of_lines(LINES), OF_LINES);
    check(of_lines(&[BYTE_ORDER_MARK, LINES].concat()), OF_LINES);
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(LINES).unwrap();
    check(of_lines(&gzip.finish().unwrap()), OF_LINES);
    check(of_lines(&zstd::encode_all(LINES, 1).unwrap()), OF_LINES);
    let spaced = [&[b' '; 9], &b"\n"[..], LINES].concat();
    let expected = ["Line(3): {\"a\":1}", "Line(5): {\"b\":2}"];
    check(of_lines(&spaced), &expected);
    check(of_lines(b""), &[]);
}

#[test]
fn a_line_that_cannot_be_a_document_spoils_only_itself() {
    let mut bytes = b"{\"a\":1}\n".to_vec();
    bytes.extend(vec![b'x'; TEXT_BYTES + 10]);
    bytes.extend(b"\n\xff\n{\"b\":2}\n");
    let (seen, error) = all(Texts::new(Form::Lines, Cursor::new(bytes)));
    assert_eq!(error, None);
    assert_eq!(seen.len(), 4);
    assert!(
        seen[1].starts_with("refused Line(2): the line is longer"),
        "{}",
        seen[1]
    );
    assert!(
        seen[2].starts_with("refused Line(3): the line is not UTF-8"),
        "{}",
        seen[2]
    );
    assert_eq!(seen[3], "Line(4): {\"b\":2}");
}

#[test]
fn an_array_keeps_the_text_of_its_elements() {
    let expected = [
        "Element(1): {\"a\": 1.50}",
        "Element(2): [\n2]",
        "Element(3): \"],\\\"}\"",
        "Element(4): -1e5",
        "Element(5): null",
        "Element(6): {\"s\":\"\\\\\",\"t\":[{}]}",
    ];
    let array =
        b"      \n[{\"a\": 1.50},\n [\n2] ,\"],\\\"}\", -1e5,null , {\"s\":\"\\\\\",\"t\":[{}]}]\n";
    check(of_lines(array), &expected);
    check(of_json(array), &expected);
    let wrapped = [b"{ \"documents\"\n:", &array[..], b"} "].concat();
    check(of_json(&wrapped), &expected);
    check(of_lines(b"[]"), &[]);
    check(of_json(b" [ ]"), &[]);
    check(of_json(b"{\"documents\":[]}"), &[]);
}

#[test]
fn a_broken_array_gives_what_stands_before_and_says_where() {
    for (text, documents, told) in [
        ("[{\"a\":1},\n{]", 1, "line 2 on: a bracket closes"),
        ("[{\"a\":1}\n\n{}]", 1, "line 3 on: a comma"),
        ("[{\"a\":1},]", 1, "line 1 on: a document is expected after"),
        ("[,{}]", 0, "line 1 on: a document is expected"),
        ("[{},,{}]", 1, "line 1 on: a document is expected"),
        ("[{}", 1, "line 1 on: the array does not end"),
        ("[{\"a\":\"", 0, "line 1 on: the array does not end"),
        ("[{}] {}", 1, "line 1 on: something follows"),
    ] {
        let (seen, error) = of_json(text.as_bytes());
        let error = error.unwrap();
        assert_eq!(seen.len(), documents, "{text}");
        assert!(error.contains(told), "{text}: {error}");
    }
    let (_, error) = of_json(b"{\"documents\":[{}], \"more\":1}");
    assert!(error.unwrap().contains("only field"));
    let deep = [b"[".to_vec(), vec![b'['; 5000]].concat();
    assert!(of_json(&deep).1.unwrap().contains("too deep"));
}

#[test]
fn an_element_that_is_too_long_spoils_only_itself() {
    let long = format!("[{{\"a\":\"{}\"}}, {{\"b\":2}}]", "x".repeat(TEXT_BYTES));
    let (seen, error) = all(Texts::new(Form::Json, Cursor::new(long.into_bytes())));
    assert_eq!(error, None);
    assert!(
        seen[0].starts_with("refused Element(1): it is longer"),
        "{}",
        seen[0]
    );
    assert_eq!(seen[1..], ["Element(2): {\"b\":2}"]);
}

#[test]
fn a_file_of_one_document_is_that_document() {
    let texts = [
        "{\"a\": [1,\n2]}\n",
        "{\"documents\": 7}",
        "{\"documentary\": [1]}",
        "{ }",
        "{",
        "7",
    ];
    for text in texts {
        check(of_json(text.as_bytes()), &[&format!("Whole: {text}")]);
    }
    check(of_json(b""), &["Whole: "]);
    let (seen, _) = all(Texts::new(
        Form::Json,
        Cursor::new(vec![b'{'; TEXT_BYTES + 1]),
    ));
    assert!(
        seen[0].starts_with("refused Whole: it is longer"),
        "{}",
        seen[0]
    );
}

#[test]
fn lines_are_told_from_one_document_of_several() {
    for lines in [
        "{\"a\":1}\n{\"b\":2}",
        "\n{\"a\":1}\n\n  {\"b\":2}\n",
        "{\"a\":\n{\"b\":2}\n",
        "{\"a\":1}\nnothing\n",
        "{\"a\":1},\n{\"b\":2}\n",
        "nothing\n{\"b\":2}\n",
    ] {
        let (seen, error) = of_json(lines.as_bytes());
        assert_eq!(error, None, "{lines}");
        assert_eq!(seen.len(), 2, "{lines}: {seen:?}");
        assert!(seen[0].starts_with("Line("), "{lines}: {seen:?}");
        assert_eq!(of(Form::Unknown, lines.as_bytes()).0, seen, "{lines}");
    }
    for one in [
        "{\n\"a\":1\n}",
        "{\"a\":1}\n\n",
        "{\"a\":\"{\n\"}",
        "{\"a\":{\n\"b\":1}}\n",
    ] {
        assert_eq!(
            of(Form::Unknown, one.as_bytes()).0,
            [format!("Whole: {one}")]
        );
    }
    check(of(Form::Unknown, b" \n"), &[]);
}

#[test]
fn what_is_packed_and_broken_off_is_an_error() {
    let whole = zstd::encode_all(LINES, 1).unwrap();
    let (_, error) = all(Texts::new(
        Form::Lines,
        Cursor::new(whole[..whole.len() - 3].to_vec()),
    ));
    assert!(
        error
            .unwrap()
            .starts_with("it cannot be unpacked from line ")
    );
}
