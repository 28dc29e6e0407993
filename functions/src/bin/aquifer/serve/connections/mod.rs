//! The connections of the server: only so many, each with a time for everything that a client does.
//!
//! | what | how long | then |
//! |---|---|---|
//! | nothing comes | `IDLE_TIMEOUT` | closed |
//! | the headers of a request | `HEADER_TIMEOUT` | closed |
//! | its body | `STALL_TIMEOUT` for each `STALL_BYTES`, the request's deadline | answered 408 |
//! | the answer is read | `STALL_TIMEOUT` for each `STALL_BYTES`, `ANSWER_TIMEOUT` | closed |
//!
//! Where every place is taken, the connection that has waited longest for a request is closed, unless its request has arrived
//! by then, and new ones wait in the listener's queue until a place is free. When the server stops, those without a request are closed
//! at once, and the others when theirs is answered.

mod line;
mod register;
mod socket;

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aquifer_functions::http::limits::{
    DISCARD_BYTES, DISCARD_TIMEOUT, LINGER, MAX_CONNECTIONS, MAX_HEADER_BYTES,
};
use aquifer_indexer::descriptors::Shares;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::net::{RecvFlags, recv};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use self::line::Line;
use self::register::{Register, Slot};
use self::socket::Socket;

/// Pause after an accept that failed: descriptors come back when something else ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the log says again that connections are refused or closed.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Answers the connections that `listener` accepts, until `stopped` says so and every request is answered.
pub(super) async fn serve(listener: TcpListener, router: Router, stopped: watch::Receiver<bool>) {
    let capacity = Shares::of_this_process().connections.min(MAX_CONNECTIONS);
    serve_at_once(capacity, listener, router, stopped).await;
}

/// The same, with at most `capacity` connections.
async fn serve_at_once(
    capacity: usize,
    listener: TcpListener,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    tracing::info!(capacity, "connections at once");
    let register = Register::new(capacity);
    let mut full = Complaint::default();
    loop {
        let next = async {
            let stream = accept(&listener, &register).await;
            if register.is_full() && full.is_due() {
                tracing::warn!(
                    capacity,
                    "every connection is taken: the one that waited longest for a request is closed"
                );
            }
            Some((stream, register.slot().await?))
        };
        let next = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            next = next => next,
        };
        let Some((stream, slot)) = next else { break };
        let line = Line::new(&register);
        tokio::spawn(answer(stream, slot, line, router.clone(), stopped.clone()));
    }
    drop(listener);
    register.all_ended().await;
}

/// The next connection. What fails is logged and tried again: a server without a free descriptor must come back.
async fn accept(listener: &TcpListener, register: &Register) -> TcpStream {
    let mut failed = Complaint::default();
    loop {
        let error = match listener.accept().await {
            Ok((stream, _from)) => return stream,
            Err(error) => error,
        };
        // The client has gone before it was served.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionRefused
        ) {
            continue;
        }
        if failed.is_due() {
            tracing::warn!(%error, "no connection can be accepted: trying again");
        }
        register.close_longest_waiting();
        sleep(ACCEPT_PAUSE).await;
    }
}

/// Answers the requests of one connection.
async fn answer(
    stream: TcpStream,
    slot: Slot,
    line: Arc<Line>,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    // Answers are small: waiting to fill a packet would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let stream = Arc::new(stream);
    let socket = Socket::new(Arc::clone(&stream), Arc::clone(&line));
    let of_request = Arc::clone(&line);
    let service = service_fn(move |request: Request<Incoming>| {
        of_request.asked();
        let (router, line) = (router.clone(), Arc::clone(&of_request));
        async move {
            let answered = Answered(line);
            let Ok(response) = router.oneshot(request.map(Body::new)).await;
            Ok::<_, Infallible>(response.map(|body| Tracked { body, answered }))
        }
    });
    let connection = http1::Builder::new()
        // The socket keeps the time, and tells an idle client from a slow one.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            () = line.closed() => {
                // A request may have come since it was chosen.
                if line.is_waiting() && !has_arrived(&stream) {
                    return;
                }
                line.stay();
            }
            _ = stopped.wait_for(|stop| *stop), if !stopping => {
                if line.is_waiting() {
                    return;
                }
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            ended = connection.as_mut() => {
                match ended {
                    // One that makes no sense has been answered, too.
                    Err(error) if error.is_parse() => {
                        tracing::info!(%error, "refused a request that is not HTTP");
                        break;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a connection broke off");
                        return;
                    }
                    Ok(()) => break,
                }
            }
        }
    }
    if !stopping {
        // What is unread when a connection is closed makes the system tell the client to forget the answer.
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => {}
            discarded = timeout(DISCARD_TIMEOUT, discard(&stream)) => {
                tracing::debug!(?discarded, "a connection ends");
            }
        }
    }
    drop(slot);
}

/// Whether a client has sent something that was not read yet. It would lose a request that it sent to an open connection.
fn has_arrived(stream: &TcpStream) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    recv(stream, &mut [0; 1], flags).is_ok_and(|(_, bytes)| bytes > 0)
}

/// Reads what a client still sends, until it closes or sends nothing more. Many clients look for an answer only when
/// they have sent their whole request.
async fn discard(stream: &TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut left = DISCARD_BYTES;
    while left > 0 {
        timeout(LINGER, stream.readable()).await??;
        match stream.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => left = left.saturating_sub(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Tells the line, when it is dropped, that an answer is made.
struct Answered(Arc<Line>);

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// The body of an answer; it is dropped when its last part has been given out.
struct Tracked {
    body: Body,
    #[expect(dead_code, reason = "its end is what counts")]
    answered: Answered,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Keeps the log from saying the same all the time.
#[derive(Debug, Default)]
struct Complaint(Option<Instant>);

impl Complaint {
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now - last >= COMPLAIN_EVERY);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use axum::routing::get;

    use super::*;

    /// On one thread, the listener's task accepts both connections before the first one's task has read anything.
    #[tokio::test]
    async fn a_connection_whose_request_has_arrived_is_not_closed_for_another_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clients = [(); 2].map(|()| {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            client.write_all(request).unwrap();
            client
        });
        let router = Router::new().route("/", get(|| async { "answered" }));
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve_at_once(1, listener, router, stopped));
        for mut client in clients {
            let read = tokio::task::spawn_blocking(move || {
                let mut answer = String::new();
                client.read_to_string(&mut answer).map(|_| answer)
            });
            let answer = read.await.unwrap().unwrap();
            assert!(answer.ends_with("answered"), "{answer}");
        }
        stop.send(true).unwrap();
        server.await.unwrap();
    }
}
