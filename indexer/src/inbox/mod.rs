//! (module inbox)
