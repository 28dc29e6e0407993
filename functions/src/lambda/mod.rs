//! The functions of AWS Lambda: events in, answers out, nothing left to do when one has been given.
//!
//! | function | what it is asked | what it may do |
//! |---|---|---|
//! | writer | HTTP events; events of other services ([`feed`]); a bare body of documents | everything the router knows |
//! | search | HTTP events; a bare body that asks | reads; takes no lock, needs no write permission |
//! | reindex | a schedule, or an [`order`] of what to do | drains, rebuilds, merges, collects, verifies, examines the mount |
//!
//! An HTTP event flows one way: [`event`] tells what it is, [`request`] makes an HTTP request of it ([`path`] finds its route,
//! [`doors`] says how requests come and answers leave), [`front`] lets the router answer, [`answer`] writes what the event's sender understands,
//! [`metrics`] counts. A payload that is no event is a [`bare`] request. What the writer leaves undone it hands over ([`handoff`]) to the reindex
//! function ([`round`], [`tend`]). The next schedule resumes what that one has no time for.
//!
//! What a function is told by its environment:
//!
//! | variable | meaning | without it |
//! |---|---|---|
//! | `AQUIFER_ROOT` | the folder of the indexes: where the file system is mounted | refused |
//! | `AQUIFER_INDEX` | the index behind the paths that name none | `default` |
//! | `AQUIFER_REINDEX_FUNCTION` | of the writer: name or ARN of the reindex function, which it invokes for long work | long work waits for the next schedule |
//! | `AQUIFER_SOURCES` | what a reindex may read documents from, and events of S3 name: folders and `s3://BUCKET/PREFIX/`, between commas, with what lies below them; a relative path begins at the root folder | nothing |
//! | `AQUIFER_INDEXES` | the only indexes that the function serves, comma-separated; others are answered like missing ones | all |
//! | `AQUIFER_EVENT_VERSION` | the field of a document that is its position, for events of sources without an order of their own | the event that arrives last wins |
//! | `AQUIFER_DYNAMODB_KEY` | the attribute that names an item of a table, or two of them, comma-separated | `unique_key` |
//! | `AQUIFER_BASE_PATH` | what the paths of a custom domain begin with | nothing |
//! | `AQUIFER_PATH` | a path that is answered like `/`, also where it is a route | none |
//! | `AQUIFER_CORS_ORIGINS` | origins of web pages that may read answers and write, comma-separated; `*` is every page | none |
//! | `AQUIFER_CACHE_CONTROL` | the header `Cache-Control` of searches and documents that are read with GET | `no-cache` |
//! | `AQUIFER_COMPRESSION` | whether answers are packed for clients that accept gzip: `always`, `never`, or `auto`: not behind a REST API | `auto` |
//! | `AQUIFER_METRICS` | metrics by function and index (`full`), by `function` alone, or none (`off`) | `full` |
//! | `AQUIFER_MEMORY_MIB` | memory that the process may use, in MiB | the function's size |
//! | `AQUIFER_SCRATCH_MIB` | scratch disk that merges may use in the folder `TMPDIR`, in MiB | nine tenths of what is free in `/tmp` |
//! | `AQUIFER_CACHE_MIB` | memory for parts of the indexes, in MiB | 3/16 of the memory above 32 MiB, 256 at most |
//! | `AQUIFER_RETENTION` | how long a file that no version names is kept for readers: longer than any request takes | `1h` |
//! | `RUST_LOG`, else `AWS_LAMBDA_LOG_LEVEL` | what is written to the log | `info` |
//! | `AWS_ENDPOINT_URL_LAMBDA`, else `AWS_ENDPOINT_URL` | where functions are invoked | Amazon's address |
//!
//! **SIGTERM** ends a function at once, as SIGKILL does: what was answered is durable. Lambda sends it only when it ends the
//! environment of a function that registered an extension.

pub mod answer;
pub mod bare;
pub mod doors;
pub mod environment;
pub mod event;
mod examine;
pub mod feed;
pub mod front;
pub mod handoff;
mod init;
pub mod log;
pub mod metrics;
pub mod order;
pub mod path;
pub mod ping;
pub mod request;
pub mod role;
pub mod root;
pub mod round;
pub mod run;
pub mod tend;
pub mod time;
