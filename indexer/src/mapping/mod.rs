//! (module mapping)
