//! Work that outlives the request which made it.

use std::fmt::Debug;

/// Is told of work that nobody does before the request is answered: a batch that is durable and not yet
/// applied, a reindex that was started. A server wakes its maintenance, a function calls another one.
pub trait WorkLeft: Send + Sync + Debug {
    /// Told, off the async threads and before the answer, that an index has work that outlives the request.
    /// It may block for as long as a request may, and may fail silently: the work lies in the
    /// index, and whoever tends it next finds it there.
    fn left(&self, index: &str);
}

/// Tells nobody: what is left is found when the index is tended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unannounced;

impl WorkLeft for Unannounced {
    fn left(&self, _index: &str) {}
}
