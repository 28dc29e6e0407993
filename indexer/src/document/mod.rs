//! (module document)
