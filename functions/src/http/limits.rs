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
