//! HTTP router.
