//! What an answer tells whoever counts, beside what it tells the client.

/// Numbers of one request, among its response's extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Documents, or keys to delete, that were accepted.
    pub(crate) documents: usize,
    /// Documents that were refused.
    pub(crate) refused: usize,
    /// Documents that a search found, in all.
    pub(crate) hits: Option<u64>,
}
