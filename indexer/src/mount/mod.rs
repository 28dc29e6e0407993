//! (module mount)
