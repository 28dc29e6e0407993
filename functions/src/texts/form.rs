//! Which files hold documents, and how their names say that these are written.
//!
//! This is the one rule for `import`, `create-index` and the external sources of a reindex:
//!
//! | name ends in | holds |
//! |---|---|
//! | `.json` | one document, an array of documents, `{"documents": [...]}`, or a document a line |
//! | `.ndjson`, `.jsonl` | a document a line, or an array of documents |
//! | `.gz` or `.zst` after one of these | the same, packed |
//!
//! Upper and lower case mean the same. In a folder every other file is passed over. A file that is named
//! by itself is read whatever its name is, as a `.json` is.

/// Why a file in a folder is passed over.
pub const NO_ENDING: &str =
    "its name does not end in .json, .ndjson or .jsonl, or in one of these and .gz or .zst";

/// Why a folder with no file to read is an error.
pub const NO_NAME: &str =
    "no name there ends in .json, .ndjson or .jsonl, or in one of these and .gz or .zst";

/// How the documents of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One document, an array, `{"documents": [...]}`, or a document a line.
    Json,
    /// A document a line, or an array.
    Lines,
    /// As [`Self::Json`], but nothing at all holds no documents.
    Unknown,
}

impl Form {
    /// What the end of a name promises; none for a file that holds no documents.
    pub fn of(name: &str) -> Option<Self> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let (rest, ending) = split(name)?;
        let ending = match ending.as_str() {
            "gz" | "zst" => split(rest)?.1,
            _ => ending,
        };
        match ending.as_str() {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Lines),
            _ => None,
        }
    }
}

/// A name without its last ending, and that ending in lower case.
fn split(name: &str) -> Option<(&str, String)> {
    let (rest, ending) = name.rsplit_once('.')?;
    Some((rest, ending.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_how_documents_are_written() {
        for (name, expected) in [
            ("a.json", Some(Form::Json)),
            ("UP.JSON", Some(Form::Json)),
            ("d/a.json.gz", Some(Form::Json)),
            ("d/A.Json.GZ", Some(Form::Json)),
            ("a.ndjson", Some(Form::Lines)),
            ("a.jsonl.zst", Some(Form::Lines)),
            ("a.b.JSONL", Some(Form::Lines)),
            (".json", Some(Form::Json)),
            ("a.txt", None),
            ("a.json/b", None),
            ("json", None),
            ("a.gz", None),
            ("a.gz.gz", None),
            ("a.json.gz.tmp", None),
        ] {
            assert_eq!(Form::of(name), expected, "{name}");
        }
    }
}
