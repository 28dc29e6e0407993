//! (module writer)
