//! The bounds of one search: every input that costs work has one.
//!
//! They are generous for people and for programs, and low enough that the most expensive request
//! that passes cannot occupy a process for long.

/// The longest query text, in bytes. A pasted paragraph fits; a pasted book does not.
pub const QUERY_BYTES: usize = 4096;

/// The most clauses (words, phrases, ranges, ...) that a query may have as it is written. Each
/// costs a dictionary look-up for every text field in every segment.
pub const CLAUSES: usize = 256;

/// The most words that the clauses of one query may come to after analysis, where a sentence
/// without spaces turns into many. Twice what the longest accepted sentence in Han characters
/// would need (4,096 bytes of three-byte characters).
pub const WORDS: usize = 2730;

/// How deeply parentheses may be nested. Deeper ones are read as spaces, so that a row of brackets
/// can neither fail nor exhaust the stack.
pub const DEPTH: usize = 32;

/// The largest `limit + offset`: each segment keeps that many candidates while it collects.
pub const WINDOW: usize = 10_000;

/// The most hits in one answer. Each costs a read of the document store and lies in memory whole.
pub const HITS: usize = 1_000;

/// The most tags that a request may demand at once.
pub const TAGS: usize = 64;

/// The most filters in one request.
pub const FILTERS: usize = 64;

/// The most sort keys in one request; ties beyond that are settled by the order of the documents.
pub const SORTS: usize = 8;

/// The most names in `fields`.
pub const FIELDS: usize = 256;

/// The most words of one field and one segment that a prefix may stand for. All their postings are
/// read, so an unlimited `a*` would read a good part of the index.
pub const PREFIX_WORDS: u64 = 65_536;

/// How many of the best candidates are looked at again for how close together their words stand.
///
/// Fixed, not a function of `limit`, so that the pages of one result never overlap.
pub const RESCORED: usize = 100;

/// How many fragments of one field are highlighted.
pub const FRAGMENTS: usize = 3;

/// How long a fragment is, in characters: about two lines.
pub const FRAGMENT_CHARS: usize = 150;

/// How many bytes of one field are looked at for highlights. Analysing costs about a millisecond
/// for each 100 KB, for every hit.
pub const HIGHLIGHT_BYTES: usize = 256 * 1024;
