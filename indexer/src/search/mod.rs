//! Search: from a request to hits.

pub mod limits;
mod parse;
mod query;
mod request;

pub use request::{Hit, Operator, SearchRequest, SearchResponse, Sort};
