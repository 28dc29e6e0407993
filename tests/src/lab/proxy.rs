//! A proxy between a client and the server, which sees every RPC: it keeps a record, adds delay, and can lose a reply.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::network::{self, NFS};
use super::wire::{self, Message};

/// Record fragments are shorter: what the largest READ or WRITE makes, with room.
const FRAGMENT_MAX: usize = 4 << 20;

/// Pause between attempts to reach a server that is down, or a closed proxy.
const RETRY: Duration = Duration::from_millis(100);

/// A proxy. It ends with the lab.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

/// One RPC as the proxy saw it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The operation, `READ` for one.
    pub operation: &'static str,
    /// How many exchanges had to be over, one after the other, before this one began; counted over all operations.
    pub after: u32,
    /// The same, counted over READs alone.
    pub after_reads: u32,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Proceedings>,
}

#[derive(Debug, Default)]
struct Proceedings {
    delay: Duration,
    /// The reply of the next call for this operation is lost, and the connection with it.
    lose: Option<&'static str>,
    lost: HashSet<u32>,
    /// Whether a reply was lost, after which nobody gets through until it is allowed.
    closed: bool,
    streams: Vec<TcpStream>,
    pending: HashMap<u32, Exchange>,
    called: BTreeMap<&'static str, u64>,
    record: Vec<Exchange>,
    done: u32,
    done_reads: u32,
}

impl Proxy {
    /// Starts one; machines mount through its [`Self::port`].
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind((NFS.address(network::HERE), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                let serving = Arc::clone(&serving);
                thread::spawn(move || {
                    if let Err(error) = client.and_then(|client| join(client, &serving)) {
                        eprintln!("the proxy lost a connection: {error}");
                    }
                });
            }
        });
        Self { port, shared }
    }

    /// The port it listens at.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Delays every reply by so much.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// Lets the next call for `operation` through, loses its reply, and breaks the connection. Nobody gets through
    /// from then on, until [`Self::allow`].
    pub fn lose_reply(&self, operation: &'static str) {
        self.shared.lock().lose = Some(operation);
    }

    /// Whether a reply was lost and nobody gets through.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// Lets everybody through again.
    pub fn allow(&self) {
        self.shared.lock().closed = false;
    }

    /// How many calls for an operation have gone through since the record began, also those whose reply was lost.
    pub fn called(&self, operation: &str) -> u64 {
        self.shared
            .lock()
            .called
            .get(operation)
            .copied()
            .unwrap_or(0)
    }

    /// Begins a new record.
    pub fn forget(&self) {
        let mut state = self.shared.lock();
        state.record.clear();
        state.called.clear();
        state.done = 0;
        state.done_reads = 0;
    }

    /// What has been exchanged since the record began.
    pub fn record(&self) -> Vec<Exchange> {
        self.shared.lock().record.clone()
    }
}

/// How many exchanges of a record had to come one after the other: over all until the last that is not the closing of
/// a file, and over READs alone.
pub fn depth(record: &[Exchange]) -> (u32, u32) {
    let work = record
        .iter()
        .filter(|exchange| exchange.operation != "CLOSE");
    let all = work.map(|exchange| exchange.after + 1).max();
    let reads = record
        .iter()
        .filter(|exchange| exchange.operation == "READ");
    let reads = reads.map(|exchange| exchange.after_reads + 1).max();
    (all.unwrap_or(0), reads.unwrap_or(0))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Proceedings> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call; gives whether it may pass.
    fn called(&self, message: &[u8]) -> bool {
        let Some(Message::Call { xid, operation }) = wire::read(message) else {
            return true;
        };
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if state.lose == Some(operation) {
            state.lose = None;
            state.lost.insert(xid);
        }
        *state.called.entry(operation).or_default() += 1;
        let exchange = Exchange {
            operation,
            after: state.done,
            after_reads: state.done_reads,
        };
        state.pending.insert(xid, exchange);
        true
    }

    /// Notes a reply; gives how long it is to be delayed, and `None` when it is to be lost.
    fn replied(&self, message: &[u8]) -> Option<Duration> {
        let mut state = self.lock();
        if let Some(Message::Reply { xid }) = wire::read(message)
            && state.lost.remove(&xid)
        {
            state.closed = true;
            for stream in state.streams.drain(..) {
                // Either side may have closed it already.
                drop(stream.shutdown(Shutdown::Both));
            }
            return None;
        }
        Some(state.delay)
    }

    /// Notes that the client has a reply from now on.
    fn delivered(&self, message: &[u8]) {
        let mut state = self.lock();
        let Some(Message::Reply { xid }) = wire::read(message) else {
            return;
        };
        if let Some(exchange) = state.pending.remove(&xid) {
            state.done = state.done.max(exchange.after + 1);
            if exchange.operation == "READ" {
                state.done_reads = state.done_reads.max(exchange.after_reads + 1);
            }
            state.record.push(exchange);
        }
    }
}

/// Joins a client to the server, unless nobody gets through.
fn join(client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    while shared.lock().closed {
        thread::sleep(RETRY);
    }
    let server = loop {
        // A server that is down is waited for: hanging up would only make the client try again at once.
        match TcpStream::connect((NFS.address(network::SERVER), 2049)) {
            Ok(server) => break server,
            Err(_down) => thread::sleep(RETRY),
        }
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        shared.lock().streams.push(stream.try_clone()?);
    }
    let (to_server, from_client) = (server.try_clone()?, client.try_clone()?);
    let calls = Arc::clone(shared);
    thread::spawn(move || {
        // The end of either side is the end of both.
        drop(pass_calls(from_client, to_server, &calls));
    });
    let (sender, receiver) = channel();
    let replies = Arc::clone(shared);
    thread::spawn(move || drop(take_replies(server, &sender, &replies)));
    let replies = Arc::clone(shared);
    thread::spawn(move || drop(deliver(client, &receiver, &replies)));
    Ok(())
}

fn pass_calls(mut client: TcpStream, mut server: TcpStream, shared: &Shared) -> io::Result<()> {
    let passed = loop {
        let message = match read_record(&mut client) {
            Ok(message) => message,
            Err(error) => break Err(error),
        };
        if shared.called(&message)
            && let Err(error) = write_record(&mut server, &message)
        {
            break Err(error);
        }
    };
    server.shutdown(Shutdown::Both)?;
    passed
}

fn take_replies(
    mut server: TcpStream,
    sender: &Sender<(Instant, Vec<u8>)>,
    shared: &Shared,
) -> io::Result<()> {
    loop {
        let message = read_record(&mut server)?;
        if let Some(delay) = shared.replied(&message)
            && sender.send((Instant::now() + delay, message)).is_err()
        {
            return Ok(());
        }
    }
}

/// Hands on replies when their time has come. They came in order, so they are due in order.
fn deliver(
    mut client: TcpStream,
    receiver: &Receiver<(Instant, Vec<u8>)>,
    shared: &Shared,
) -> io::Result<()> {
    for (due, message) in receiver {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // Before it is written: what the client does next depends on it.
        shared.delivered(&message);
        write_record(&mut client, &message)?;
    }
    client.shutdown(Shutdown::Both)
}

/// A message in fragments: four bytes of length each, whose highest bit marks the last one.
fn read_record(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark)?;
        let mark = u32::from_be_bytes(mark);
        let length = usize::try_from(mark & 0x7fff_ffff).map_err(io::Error::other)?;
        if message.len() + length > FRAGMENT_MAX {
            return Err(io::Error::other("a message that is too long"));
        }
        let start = message.len();
        message.resize(start + length, 0);
        stream.read_exact(message.get_mut(start..).unwrap_or_default())?;
        if mark & 0x8000_0000 != 0 {
            return Ok(message);
        }
    }
}

fn write_record(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    let mut record = (length | 0x8000_0000).to_be_bytes().to_vec();
    record.extend_from_slice(message);
    stream.write_all(&record)
}
