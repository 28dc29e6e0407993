//! The bounds on what one request may cost, beside those that the library sets on documents
//! and searches.

use std::time::Duration;

/// Bytes of a request body as it travels. A function's payload may not be larger either.
pub const MAX_BODY_BYTES: usize = 6 * 1024 * 1024;

/// Bytes of a gzip body once it is unpacked, so that a small body cannot fill the memory.
pub const MAX_UNPACKED_BODY_BYTES: usize = 16 * 1024 * 1024;

/// How long a request may take where [`Settings`](super::Settings) say nothing else: under the
/// 30 seconds after which the usual gateways give up.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(25);

/// What a library call may take beyond the deadline that it was given before the client is
/// answered without it.
pub const DEADLINE_OVERRUN: Duration = Duration::from_secs(2);

/// Bytes of an answer: what the hits of a search may come to, as they lie in memory. Half a minute of a
/// connection of 8 Mbit/s.
pub const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// Reads of documents and numbers that run at once. They wait for the file system more than they
/// compute.
pub const DEFAULT_CONCURRENT_READS: usize = 64;

/// Searches that are under way at once; only as many compute as there are processors. Of these at most
/// [`EXPENSIVE_WAITING`](aquifer_indexer::search::limits::EXPENSIVE_WAITING) are expensive ones that wait for a
/// processor, so that cheap ones find a place.
pub const DEFAULT_CONCURRENT_SEARCHES: usize = 96;

/// Requests that wait for a version at once. Each costs a few kilobytes and no thread.
pub const MAX_VERSION_WAITERS: usize = 1024;

/// How far ahead of the newest version one may be that is waited for. A client waits for what a write has
/// answered, which is there a moment later; what is further ahead comes from another index, or from this one
/// before it was created anew.
pub const MAX_VERSIONS_AHEAD: u64 = 1000;

/// How long a version is waited for. One that a write has answered exists, and only the look at it takes time.
pub const VERSION_WAIT: Duration = Duration::from_secs(5);

/// The pause before the first look for a version; each further one is twice as long.
pub const VERSION_POLL_FIRST: Duration = Duration::from_millis(10);

/// The longest pause between two looks for a version.
pub const VERSION_POLL_LONGEST: Duration = Duration::from_millis(80);

/// Writes that run at once. Nearly all of them wait for one commit that they share, so there
/// must be many for the sharing to pay.
pub const DEFAULT_CONCURRENT_WRITES: usize = 128;

/// Requests that wait for a turn, of each sort, before the next one is turned away.
pub const DEFAULT_QUEUE: usize = 256;

/// Seconds after which a request that was turned away should come again.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// Bytes of an `x-request-id` that is taken over from the client.
pub const MAX_REQUEST_ID_BYTES: usize = 128;

/// Bytes of a request's line and headers together. A query may have 4 KiB, which percent-encoding makes three times as long.
/// Each connection may hold this much before its request is known.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Connections at once, however many descriptors there are: each may hold [`MAX_HEADER_BYTES`] twice, 256 MiB in all.
pub const MAX_CONNECTIONS: usize = 4096;

/// How long the line and the headers of a request may take from their first byte on. They fit into a few packets.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection stays open without a request: longer than the 60 seconds after which the usual load balancers
/// close theirs, so that they never send one into a connection that is being closed.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a client may take for the next [`STALL_BYTES`] of a body that it sends, or of an answer that it reads.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What counts as progress within [`STALL_TIMEOUT`]: 6.4 KiB a second. A byte now and then would hold a body for as long as
/// a request may take.
pub const STALL_BYTES: usize = 64 * 1024;

/// How long a client may take to read an answer, whatever its progress. The largest answer takes that long at 2.2 Mbit/s.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a connection stays half open after its last answer while the client sends nothing more, so that a client which
/// is still sending reads the answer before it learns that nobody listens.
pub const LINGER: Duration = Duration::from_secs(2);

/// Bytes that are read and thrown away after an answer that came before the end of its request: a body of ten times the
/// limit. A client that sends more sees its connection break.
pub const DISCARD_BYTES: usize = 64 * 1024 * 1024;

/// How long that may take. It occupies a connection.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of JSON that ask or define something: a search (4 KiB of query, 64 filters) or a mapping of 1,000 fields.
pub const MAX_JSON_BYTES: usize = 1024 * 1024;

/// Bytes of the documents of one request in memory. A number in an array takes about 20 times its text there, so that
/// [`MAX_UNPACKED_BODY_BYTES`] alone would allow 300 MiB.
pub const MAX_PARSED_BYTES: usize = 64 * 1024 * 1024;

/// How many times its text a parsed body may take in memory: two bytes of an array of digits become a node of 32 bytes and a
/// value of 40, in vectors that grow by doubling.
pub const PARSED_FACTOR: usize = 64;

/// How many times their text documents may take in memory however small the budget is. Texts with some fields take two
/// to three times theirs, so that a function of 128 MB takes every body that fits into an invocation.
pub const USUAL_FACTOR: usize = 4;

/// Bytes for the bodies of all requests, what is read from them, and all answers, where
/// [`Settings`](super::Settings) say nothing else.
pub const DEFAULT_REQUEST_BYTES: usize = 256 * 1024 * 1024;

/// Requests and answers up to this size have memory of their own, so that large ones never keep small ones waiting: a document
/// of 4 KiB, which may take [`PARSED_FACTOR`] times as much.
pub const SMALL_BYTES: usize = 256 * 1024;

/// The same for those of middling size: a body of 128 KiB.
pub const MEDIUM_BYTES: usize = 8 * 1024 * 1024;

/// Answers up to this size are not counted: all connections together hold 64 MiB of them. `/health` must not fail because
/// others are large.
pub const UNCOUNTED_ANSWER_BYTES: usize = 16 * 1024;

/// Answers from this size on are packed for clients that unpack them. One that fits into a packet of the network arrives no
/// sooner for being smaller.
pub const MIN_PACKED_BYTES: u64 = 1024;

/// Answers up to this size are packed at once, which takes less than a millisecond.
pub const PACKED_AT_ONCE_BYTES: usize = 64 * 1024;

/// Bytes of the refused documents that an answer lists; the others are counted in `more_errors`. Some thousand fit.
pub const MAX_LISTED_BYTES: usize = 1024 * 1024;

/// Bytes of the address of a source in a request: it is kept with its job.
pub const MAX_SOURCE_BYTES: usize = 2_048;
