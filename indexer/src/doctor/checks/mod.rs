//! The checks, by what they look at.

pub(super) mod clock;
pub(super) mod files;
pub(super) mod folders;
pub(super) mod links;
pub(super) mod listing;
pub(super) mod locks;
pub(super) mod options;
pub(super) mod pages;
mod race;
