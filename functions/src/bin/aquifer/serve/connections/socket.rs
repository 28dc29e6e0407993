//! A TCP connection that does not wait for ever for its client.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use super::line::Line;

/// Reads and writes within the times that its [`Line`] allows.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Arc<TcpStream>,
    line: Arc<Line>,
    reading: Timer,
    writing: Timer,
}

impl Socket {
    pub(super) fn new(stream: Arc<TcpStream>, line: Arc<Line>) -> Self {
        Self {
            stream,
            line,
            reading: Timer::default(),
            writing: Timer::default(),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.poll_write_ready(context) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    ready!(self.writing.poll(context, self.line.write_until()));
                    return Poll::Ready(Err(late("the client does not read its answer")));
                }
            }
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(bytes) => {
                    self.line.has_written(bytes);
                    return Poll::Ready(Ok(bytes));
                }
                failed => return Poll::Ready(failed),
            }
        }
    }
}

fn late(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match this.stream.poll_read_ready(context) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    let Some(until) = this.line.read_until() else {
                        return Poll::Pending;
                    };
                    ready!(this.reading.poll(context, until));
                    return Poll::Ready(Err(late("the client sends no request")));
                }
            }
            match this.stream.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(bytes) => {
                    if bytes > 0 {
                        this.line.has_read();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream| stream.try_write_vectored(parts))
    }

    /// So that a large answer is not copied once more.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.has_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(&self.stream, Shutdown::Write).map_err(io::Error::from))
    }
}

/// Wakes a task that waits for a client, at a time that may change.
#[derive(Debug, Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Ready once `until` has come.
    fn poll(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        let until = until.into();
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if sleep.deadline() != until {
            sleep.as_mut().reset(until);
        }
        sleep.as_mut().poll(context)
    }
}
