//! (module analysis)
