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

/// Reads (searches, documents, numbers) that run at once. They wait for the file system more
/// than they compute.
pub const DEFAULT_CONCURRENT_READS: usize = 64;

/// Writes that run at once. Nearly all of them wait for one commit that they share, so there
/// must be many for the sharing to pay.
pub const DEFAULT_CONCURRENT_WRITES: usize = 128;

/// Requests that wait for a turn, of each sort, before the next one is turned away.
pub const DEFAULT_QUEUE: usize = 256;

/// Seconds after which a request that was turned away should come again.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// Bytes of an `x-request-id` that is taken over from the client.
pub const MAX_REQUEST_ID_BYTES: usize = 128;
