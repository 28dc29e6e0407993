//! Answers that are counted as long as they are in memory: until the client has taken them, or is given up.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};

use super::budget::{Budget, Held};
use super::error::{Problem, Sort};
use super::limits::UNCOUNTED_ANSWER_BYTES;

/// Marks an answer whose bytes are counted already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted;

/// Bytes, and the memory that they are counted as.
struct Owned<T> {
    bytes: T,
    _held: Arc<Held>,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Owned<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// A body that holds its memory until the last of its bytes is written.
pub(crate) fn counted(bytes: Vec<u8>, mut held: Held) -> Body {
    held.shrink(bytes.capacity());
    Body::from(Bytes::from_owner(Owned {
        bytes,
        _held: Arc::new(held),
    }))
}

/// Counts an answer that is not counted yet; a problem instead of it where there is no memory left. It does not wait for
/// memory: whoever waits would hold the answer meanwhile.
pub(crate) fn within(budget: &Budget, response: Response) -> Response {
    let bytes = response.body().size_hint().lower();
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    if bytes <= UNCOUNTED_ANSWER_BYTES || response.extensions().get::<Counted>().is_some() {
        return response;
    }
    match budget.answers.try_take(bytes) {
        Ok(held) => {
            let held = Arc::new(held);
            response.map(|inner| Body::new(CountedBody { inner, held }))
        }
        Err(_exhausted) => Problem::new(
            Sort::Busy,
            "the memory for answers is taken by those that other clients are reading; the request may have taken \
             effect: send it again, which is safe",
        )
        .into_response(),
    }
}

/// A body whose bytes hold their memory.
struct CountedBody {
    inner: Body,
    held: Arc<Held>,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        let own = |bytes| {
            Bytes::from_owner(Owned {
                bytes,
                _held: Arc::clone(&self.held),
            })
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(own))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    /// So that the answer says how long it is.
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::http::StatusCode;

    use super::*;

    const BYTES: usize = 100 * 1024;

    #[tokio::test]
    async fn an_answer_is_counted_until_its_bytes_are_gone() {
        // Of a quarter for answers an eighth for those of this size.
        let budget = Budget::new(32 * BYTES + 32 * 1024);
        let free = || budget.answers.try_take(BYTES).is_ok();
        assert!(free());
        let response = within(&budget, vec![b'x'; BYTES].into_response());
        assert_eq!(response.body().size_hint().exact(), Some(BYTES as u64));
        assert!(!free());
        let refused = within(&budget, vec![b'x'; BYTES].into_response());
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let small = within(&budget, "small".into_response());
        assert_eq!(small.status(), StatusCode::OK);
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(bytes.len(), BYTES);
        assert!(!free());
        drop(bytes);
        assert!(free());
    }
}
