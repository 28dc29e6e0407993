//! Log lines on their way to standard error, which must not keep a request waiting.
//!
//! Whoever reads standard error may be slow, may stop, or may have gone. A line is put into a queue in memory, and a thread of
//! its own writes it. Where the queue is full, or a write fails, the line is lost; lost lines are counted, and the count is
//! written as soon as lines can be written again.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that wait: several thousand lines, more than a short pause of the reader takes.
const QUEUE_BYTES: usize = 1024 * 1024;

/// Bytes of one line. What a client sent is cut where it is quoted; this is for whatever was overlooked.
const LINE_BYTES: usize = 16 * 1024;

/// A queue of lines, and the thread that writes them. Clones are the same queue.
#[derive(Clone, Debug)]
pub struct LogQueue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lines: Mutex<Lines>,
    /// Something has been put into the queue, or written.
    changed: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Lines {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that were taken from the queue to be written and are not yet written.
    in_hand: usize,
    /// Whether the last [`LogQueue::flush`] waited in vain, and nothing was written since.
    stalled: bool,
}

impl LogQueue {
    /// A queue to standard error.
    ///
    /// # Errors
    /// Standard error cannot be opened once more, or no thread can be started.
    pub fn to_stderr() -> io::Result<Self> {
        // Not the standard library's own, whose lock would be held for as long as a write takes.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Self::to(stderr)
    }

    /// A queue to `out`.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Self {
            shared: Arc::new(Shared {
                lines: Mutex::default(),
                changed: Condvar::new(),
                lost: AtomicU64::new(0),
            }),
        };
        let shared = Arc::clone(&queue.shared);
        // It ends with the process, wherever it is then.
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write(out))?;
        Ok(queue)
    }

    /// How many lines were lost so far.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Puts a line, which ends with a line feed, into the queue. Never waits.
    pub fn put(&self, line: &[u8]) {
        let mut line = line.to_vec();
        if line.len() > LINE_BYTES {
            line.truncate(LINE_BYTES);
            line.push(b'\n');
        }
        let mut lines = self.shared.lines();
        if lines.bytes + line.len() > QUEUE_BYTES {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        lines.bytes += line.len();
        lines.waiting.push_back(line);
        drop(lines);
        self.shared.changed.notify_all();
    }

    /// Waits until everything is written, for `patience` at most. After a wait in vain it does not wait again until something
    /// was written.
    pub fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut lines = self.shared.lines();
        while lines.in_hand > 0 || !lines.waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.stalled || left.is_zero() {
                lines.stalled = true;
                return;
            }
            lines = self.shared.wait(lines, left);
        }
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, lines: MutexGuard<'a, Lines>, patience: Duration) -> MutexGuard<'a, Lines> {
        let waited = self.changed.wait_timeout(lines, patience);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Writes lines for as long as the process lives.
    fn write(&self, mut out: impl Write) {
        let mut reported = 0;
        loop {
            let line = self.next();
            let written = out.write_all(&line).and_then(|()| out.flush());
            if written.is_err() {
                self.lost.fetch_add(1, Ordering::Relaxed);
            } else {
                reported = self.report(reported, &mut out);
            }
            {
                let mut lines = self.lines();
                lines.in_hand = 0;
                lines.stalled = lines.stalled && written.is_err();
            }
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Vec<u8> {
        /// Only a guard: whoever puts a line in wakes this thread.
        const LOOK_AGAIN: Duration = Duration::from_secs(60);
        let mut lines = self.lines();
        loop {
            if let Some(line) = lines.waiting.pop_front() {
                lines.bytes -= line.len();
                lines.in_hand = 1;
                return line;
            }
            lines = self.wait(lines, LOOK_AGAIN);
        }
    }

    /// Says how many lines were lost since `reported` were, and how many have been reported then.
    fn report(&self, reported: u64, out: &mut impl Write) -> u64 {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost == reported {
            return reported;
        }
        let line = serde_json::json!({
            "level": "WARN",
            "message": "log lines were lost: standard error was not read fast enough",
            "lost": lost - reported,
            "lost_in_all": lost,
        });
        let line = format!("{line}\n");
        match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => lost,
            Err(_unwritten) => reported,
        }
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            queue: self,
            bytes: Vec::new(),
        }
    }
}

/// One line as it is written; it is put into the queue when it is dropped.
#[derive(Debug)]
pub struct Line<'a> {
    queue: &'a LogQueue,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.queue.put(&self.bytes);
        }
    }
}

/// Makes a panic a line of the log: the standard hook writes to standard error itself, and waits for it.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no text");
        let text = aquifer_indexer::quote::shortened(text);
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, panic = %text, "a defect: a thread panicked");
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Writes to a test, one write at a time, as the test says how.
    struct Outlet {
        written: mpsc::Sender<String>,
        allowed: mpsc::Receiver<bool>,
    }

    impl Write for Outlet {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.allowed.recv() {
                Ok(true) => {
                    let text = String::from_utf8_lossy(bytes).into_owned();
                    self.written.send(text).unwrap();
                    Ok(bytes.len())
                }
                _ => Err(io::ErrorKind::BrokenPipe.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn outlet() -> (LogQueue, mpsc::Sender<bool>, mpsc::Receiver<String>) {
        let (written, lines) = mpsc::channel();
        let (allow, allowed) = mpsc::channel();
        let queue = LogQueue::to(Outlet { written, allowed }).unwrap();
        (queue, allow, lines)
    }

    #[test]
    fn a_stalled_reader_holds_nobody_up_and_what_was_lost_is_reported() {
        let (queue, allow, lines) = outlet();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        // The thread holds one line, the queue a thousand; the others have no place.
        for _ in 0..1500 {
            queue.put(&line);
        }
        let lost = queue.lost();
        assert!((400..=500).contains(&lost), "{lost}");
        queue.flush(Duration::from_millis(1));
        let again = Instant::now();
        queue.flush(PATIENCE);
        assert!(
            again.elapsed() < PATIENCE / 2,
            "it must not wait for a reader that has stalled"
        );
        for _ in 0..1500 {
            allow.send(true).unwrap();
        }
        let mut reported = None;
        for _ in 0..1500 - lost + 1 {
            let text = lines.recv_timeout(PATIENCE).unwrap();
            if let Ok(report) = serde_json::from_str::<serde_json::Value>(&text) {
                reported = report["lost"].as_u64();
            }
        }
        assert_eq!(reported, Some(lost));
        queue.flush(PATIENCE);
        assert_eq!(queue.lost(), lost);
    }

    #[test]
    fn a_reader_that_has_gone_is_counted() {
        let (queue, allow, lines) = outlet();
        allow.send(false).unwrap();
        queue.put(b"a\n");
        queue.flush(PATIENCE);
        assert_eq!(queue.lost(), 1);
        allow.send(true).unwrap();
        allow.send(true).unwrap();
        queue.put(b"b\n");
        assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), "b\n");
        assert!(lines.recv_timeout(PATIENCE).unwrap().contains("\"lost\":1"));
    }

    #[test]
    fn a_line_has_a_limit() {
        let (queue, allow, lines) = outlet();
        allow.send(true).unwrap();
        queue.put(&[b'x'; LINE_BYTES * 2]);
        let line = lines.recv_timeout(PATIENCE).unwrap();
        assert_eq!(line.len(), LINE_BYTES + 1);
        assert!(line.ends_with('\n'));
    }
}
