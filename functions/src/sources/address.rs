//! Where a source is.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use aquifer_indexer::{Error, Result};

/// A source, or what sources may lie below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// An absolute path without `.` and `..`.
    Folder(PathBuf),
    /// What lies below `prefix`, which has a slash neither in front nor at its end.
    Bucket { bucket: String, prefix: String },
}

impl Address {
    /// Reads a URL or a path; a relative path begins at `root`.
    pub(super) fn parse(url: &str, root: &Path) -> Result<Self> {
        if let Some(rest) = url.strip_prefix("s3://") {
            return bucket(url, rest);
        }
        let path = match url.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => path,
            Some(_) => return Err(wrong(url, "after file:// an absolute path should come")),
            None if url.contains("://") => return Err(wrong(url, "its scheme is not known")),
            None => url,
        };
        if path.is_empty() || path.contains('\0') {
            return Err(wrong(url, "it is no path"));
        }
        if Path::new(path)
            .components()
            .any(|part| part == Component::ParentDir)
        {
            return Err(wrong(url, "it may not contain `..`"));
        }
        let absolute = std::path::absolute(root.join(path))
            .map_err(|error| wrong(url, "it is no path").because(error))?;
        // Leaves out `.` and doubled slashes.
        Ok(Self::Folder(absolute.components().collect()))
    }

    /// Whether `other` lies at or below this.
    pub(super) fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Folder(above), Self::Folder(path)) => path.starts_with(above),
            (
                Self::Bucket { bucket, prefix },
                Self::Bucket {
                    bucket: other,
                    prefix: below,
                },
            ) => {
                let rest = below.strip_prefix(prefix.as_str());
                bucket == other
                    && rest.is_some_and(|rest| {
                        prefix.is_empty() || rest.is_empty() || rest.starts_with('/')
                    })
            }
            _ => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}/"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}/"),
        }
    }
}

fn bucket(url: &str, rest: &str) -> Result<Address> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if bucket.is_empty() || !bucket.bytes().all(known) {
        return Err(wrong(url, "a bucket's name should come after s3://"));
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if rest.ends_with("//") || !prefix.is_empty() && prefix.split('/').any(odd) {
        return Err(wrong(
            url,
            "no part of its prefix may be empty, `.` or `..`",
        ));
    }
    Ok(Address::Bucket {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

fn wrong(url: &str, why: &str) -> Error {
    Error::invalid(format!(
        "{url:?} names no source: {why}. Name a folder by its absolute path or by its path in the root \
         folder of the indexes, or objects by s3://BUCKET/PREFIX/"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Address {
        Address::parse(url, Path::new("/indexes")).unwrap()
    }

    #[test]
    fn a_source_has_one_name() {
        for (url, expected) in [
            ("/a//b/./c/", "/a/b/c"),
            ("file:///a/b", "/a/b"),
            ("sources/books", "/indexes/sources/books"),
            ("s3://b", "s3://b/"),
            ("s3://b/", "s3://b/"),
            ("s3://b/x/y", "s3://b/x/y/"),
            ("s3://b/x/y/", "s3://b/x/y/"),
        ] {
            assert_eq!(parse(url).to_string(), expected, "{url}");
        }
    }

    #[test]
    fn what_names_no_source_is_refused() {
        for url in [
            "",
            "/a/../b",
            "..",
            "a/..",
            "file://host/a",
            "file://",
            "http://h/",
            "gs://b/x",
            "s3://",
            "s3:///x",
            "s3://b/../x",
            "s3://b/a//b",
            "s3://b/./x",
            "s3://b@h/x",
            "s3://b//",
        ] {
            let error = Address::parse(url, Path::new("/indexes")).unwrap_err();
            assert!(
                error.to_string().contains("names no source"),
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn below_means_by_whole_parts() {
        for (above, url, expected) in [
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/b/c", true),
            ("/a/b", "/a/bc", false),
            ("/a/b", "/a", false),
            ("sources", "sources/x", true),
            ("sources", "/indexes/sources/x", true),
            ("sources", "other", false),
            ("s3://b/x", "s3://b/x", true),
            ("s3://b/x/", "s3://b/x/y/", true),
            ("s3://b/x", "s3://b/xy", false),
            ("s3://b/x", "s3://b/", false),
            ("s3://b", "s3://b/x", true),
            ("s3://b", "s3://bc/x", false),
            ("/b", "s3://b/x", false),
        ] {
            assert_eq!(parse(above).holds(&parse(url)), expected, "{above} {url}");
        }
    }
}
