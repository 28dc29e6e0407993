//! Errors of this library on their way through interfaces that only know [`io::Error`]: tantivy reads and writes files
//! through such interfaces, and wraps what they give.

use std::io;
use std::sync::Arc;

use tantivy::TantivyError;
use tantivy::directory::error::{OpenDirectoryError, OpenReadError, OpenWriteError};

use super::{Error, ErrorKind};
use crate::mount::MountFailure;

impl Error {
    /// Wraps this error so that it can travel through an interface that only knows [`io::Error`].
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// The error of this library that an [`io::Error`] carries.
    pub(super) fn carried_by(error: &io::Error) -> Option<&Self> {
        let inner = error.get_ref()?;
        inner
            .downcast_ref::<Self>()
            .or_else(|| Self::carried_by(inner.downcast_ref::<io::Error>()?))
    }
}

impl From<MountFailure> for io::Error {
    fn from(failure: MountFailure) -> Self {
        Error::from(failure).into_io()
    }
}

impl From<TantivyError> for Error {
    fn from(error: TantivyError) -> Self {
        if let Some(io) = io_error_in(&error) {
            return match Self::carried_by(io) {
                Some(own) => own.clone(),
                None => Self::local(Arc::clone(io)),
            };
        }
        let kind = match &error {
            TantivyError::DataCorruption(_) | TantivyError::IncompatibleIndex(_) => {
                ErrorKind::Corrupt
            }
            TantivyError::OpenReadError(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, "the search library failed").because(error)
    }
}

/// The input/output error that tantivy wraps without naming it as its source.
fn io_error_in(error: &TantivyError) -> Option<&Arc<io::Error>> {
    match error {
        TantivyError::IoError(io)
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: io, .. })
        | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: io, .. })
        | TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error: io, .. }) => {
            Some(io)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::io::Errno;

    use super::*;
    use crate::error::Reason;
    use crate::mount::MountOperation;

    fn through_tantivy(error: Error) -> Error {
        TantivyError::from(error.into_io()).into()
    }

    #[test]
    fn damage_survives_the_way_through_io_and_tantivy() {
        let damage = Error::corrupt("bundles/x", "page 3 has a wrong checksum");
        let through_io = Error::io("elsewhere", damage.into_io());
        let twice = Error::io("elsewhere", io::Error::other(through_io.clone().into_io()));
        for error in [through_io.clone(), twice, through_tantivy(through_io)] {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert_eq!(error.path(), Some(Path::new("bundles/x")));
        }
    }

    #[test]
    fn a_stale_read_below_tantivy_is_stale() {
        for errno in [Errno::STALE, Errno::BADF, Errno::IO, Errno::NOENT] {
            let failure = MountFailure::new(MountOperation::Read, "bundles/x", errno.into());
            let stale = through_tantivy(failure.clone().into());
            assert!(
                matches!(stale.reason(), Reason::Stale(failure) if failure.path() == Path::new("bundles/x")),
                "{stale:?}"
            );
            let filepath = "terms".into();
            let opening = OpenReadError::wrap_io_error(failure.into(), filepath);
            let stale = Error::from(TantivyError::from(opening));
            assert!(stale.is_stale(), "{stale:?}");
        }
    }

    #[test]
    fn a_local_file_that_is_missing_below_tantivy_is_not_stale() {
        let missing = io::Error::from(Errno::NOENT);
        let error = Error::from(TantivyError::from(missing));
        assert!(matches!(error.reason(), Reason::Local(_)), "{error:?}");
        assert!(!error.is_stale());
    }
}
