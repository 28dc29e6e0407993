//! What a folder holds under one name.

use std::ffi::CStr;

use rustix::fs::FileType;

use crate::texts::{Form, NO_ENDING};

const LINK: &str = "it is a link, and links are not followed";
const SPECIAL: &str = "it is neither a file nor a folder";
const NOT_UTF8: &str = "its name is not UTF-8, so that no key could hold it";

/// What a folder holds under one name.
pub(super) struct Entry {
    /// Its name in the source, a folder's with a slash at the end.
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    /// Documents, as its name says.
    File,
    /// No documents.
    Skipped(&'static str),
    /// Documents that cannot be read.
    Problem(&'static str),
}

impl Entry {
    pub(super) fn new(prefix: &str, own: &CStr, kind: FileType) -> Self {
        let own_name = own.to_string_lossy();
        let mut name = format!("{prefix}{own_name}");
        let is_folder = kind == FileType::Directory;
        let promises = is_folder || Form::of(&own_name).is_some();
        let kind = match kind {
            FileType::Symlink => Kind::Skipped(LINK),
            FileType::Directory | FileType::RegularFile if !promises => Kind::Skipped(NO_ENDING),
            // No position and no key could hold such a name.
            FileType::Directory | FileType::RegularFile if own.to_str().is_err() => {
                Kind::Problem(NOT_UTF8)
            }
            FileType::Directory => Kind::Folder,
            FileType::RegularFile => Kind::File,
            _ => Kind::Skipped(SPECIAL),
        };
        if is_folder {
            name.push('/');
        }
        Self { name, kind }
    }
}

/// The last part of a name.
pub(super) fn own_name<'a>(name: &'a str, prefix: &str) -> &'a str {
    let own = name.strip_prefix(prefix).unwrap_or(name);
    own.strip_suffix('/').unwrap_or(own)
}
