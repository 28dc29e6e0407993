//! How much a document may hold, and why that much.

/// The longest JSON text of one document, in bytes: 1 MiB.
///
/// A document is read whole to answer a hit, from a file system where a megabyte takes several
/// round trips; a longer text is better searched as chapters, each a document.
pub const DOCUMENT_BYTES: usize = 1 << 20;

/// The documents in one batch.
///
/// A batch is applied whole, within the time of one request; ten thousand small documents take a
/// second or two.
pub const BATCH_DOCUMENTS: usize = 10_000;

/// The longest `unique_key`, in bytes: long enough for a path or most addresses, short enough that
/// a segment's keys stay a small part of it.
pub const UNIQUE_KEY_BYTES: usize = 512;

/// The tags of one document: each is a term and a column entry of its own.
pub const TAGS: usize = 1_000;

/// The longest value of a keyword field, in bytes: 8 KiB.
///
/// As long as the longest address that web servers commonly accept. A keyword stands whole in the
/// term dictionary and in the column dictionary, which readers fetch by the block; whoever has more
/// than this wants a text field.
pub const KEYWORD_BYTES: usize = 8 << 10;

/// The longest string of an undeclared field that is also kept whole, in bytes, to be filtered and
/// sorted by; longer ones are prose, and found by their words alone.
pub const DYNAMIC_KEYWORD_BYTES: usize = 256;

/// How deep objects and arrays may lie in each other, the document itself counted.
pub const NESTING: usize = 32;

/// The distinct undeclared fields (dotted paths) of one document: each is a column of its own.
pub const DYNAMIC_FIELDS: usize = 1_000;

/// The longest dotted path of an undeclared field, in bytes: it stands in front of each of its
/// terms.
pub const FIELD_PATH_BYTES: usize = 512;
