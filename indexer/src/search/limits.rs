//! The bounds of one search: every input that costs work has one.
//!
//! They are generous for people and for programs, and low enough that the most expensive request
//! that passes cannot occupy a process for long.

use std::time::Duration;

/// The longest query text, in bytes. A pasted paragraph fits; a pasted book does not.
pub const QUERY_BYTES: usize = 4096;

/// The most clauses (words, phrases, ranges, ...) that a query may have as it is written. Each
/// costs a dictionary look-up for every text field in every segment.
pub const CLAUSES: usize = 256;

/// The most words that the clauses of one query may come to after analysis, where a sentence
/// without spaces turns into many. Twice what the longest accepted sentence in Han characters
/// would need (4,096 bytes of three-byte characters).
pub const WORDS: usize = 2730;

/// The most terms that a query may look up in a segment: its words, once for each field that is searched, with
/// those of its filters. [`WORDS`] in three fields with two analysers each fit.
pub const LOOKUPS: usize = 16_384;

/// Bytes that a term costs beside its postings while its segment is searched, about.
pub const TERM_BYTES: usize = 3 * 1024;

/// How deeply parentheses may be nested. Deeper ones are read as spaces, so that a row of brackets
/// can neither fail nor exhaust the stack.
pub const DEPTH: usize = 32;

/// The largest `limit + offset`: each segment keeps that many candidates while it collects.
pub const WINDOW: usize = 10_000;

/// The most hits in one answer. Each costs a read of the document store.
pub const HITS: usize = 1_000;

/// Bytes that the hits of one answer may come to where whoever asks says nothing else: a page of a thousand
/// documents of 32 KiB. They lie in memory whole.
pub const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// Hits that are fetched at once before their size is known. Of documents of 1 MiB, the largest there are, these come
/// to 16 MiB; a usual page is one round of reads.
pub const FIRST_GROUP: usize = 16;

/// Bytes of stored documents that the later groups of an answer are to come to, by the largest one so far.
pub const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// The most hits that are fetched at once.
pub const GROUP_MOST: usize = 256;

/// The most tags that a request may demand at once.
pub const TAGS: usize = 64;

/// The most filters in one request.
pub const FILTERS: usize = 64;

/// The most sort keys in one request; ties beyond that are settled by the order of the documents.
pub const SORTS: usize = 8;

/// Bytes of the texts that the candidates of a search may be sorted by. A window of 10,000 candidates by keywords of
/// up to 8 KiB would hold 80 MiB for each key.
pub const SORT_BYTES: usize = 32 * 1024 * 1024;

/// The most names in `fields`.
pub const FIELDS: usize = 256;

/// The most words that all prefixes and ranges of a query together may stand for in one segment. All their
/// postings are read, so an unlimited `a*` would read a good part of the index.
pub const PREFIX_WORDS: u64 = 65_536;

/// The most words that all prefixes and ranges of a query together may stand for in all segments: what sixteen
/// segments at their limit come to, more than a maintained index has. A word that is in several segments
/// counts in each. Opening the postings of one takes under a microsecond.
pub const EXPANDED_WORDS: u64 = 16 * PREFIX_WORDS;

/// Bytes of postings of one prefix in one segment that are read ahead, and then at a time. They are adjacent in
/// their file, so that each part is one read.
pub const EXPANDED_READ: usize = 4 * 1024 * 1024;

/// Bytes of postings and columns that all searches of a process read ahead at once, where there is memory for them: more
/// does not make a network faster.
pub const READ_AHEAD: usize = 32 * 1024 * 1024;

/// Segments that one search reads ahead at once: each costs a thread that waits for its file. Of more, the
/// others follow in further rounds.
pub const SEGMENTS_AT_ONCE: usize = 64;

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

/// After so many steps (documents, words, postings of a prefix) the deadline is looked at: well under a
/// millisecond, while looking takes 0.1 microseconds.
pub const CHECK_EVERY: u32 = 1024;

/// How long a search computes before it lets a cheaper one go first. With a search on each processor, a cheap one waits
/// that long at most.
pub const SLICE: Duration = Duration::from_millis(1);

/// A search that has computed for less goes before all others; each further level stands for four times as much.
pub const CHEAP: Duration = Duration::from_millis(4);

/// A search that has computed for longer is an expensive one.
pub const EXPENSIVE: Duration = Duration::from_millis(64);

/// Searches that compute at once beyond one for each processor, since some of them wait for a file.
pub const TURNS_FOR_FILES: usize = 1;

/// Expensive searches that wait for a processor. More are turned away, so that they cannot hold
/// every thread that answers searches.
pub const EXPENSIVE_WAITING: usize = 64;
