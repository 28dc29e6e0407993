//! (module search)
