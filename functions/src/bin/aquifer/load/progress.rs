//! How far a load has come, for whoever watches it on a terminal.

use std::io::{self, Read};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::grouped;
use crate::terminal::complain;

/// A bar over the bytes that were read, or a counter where nobody knows how many there are.
/// Nothing is drawn unless standard error is a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For so many bytes, where they are known.
    pub(crate) fn new(bytes: Option<u64>) -> Self {
        let (bar, template) = match bytes {
            Some(bytes) => (
                ProgressBar::new(bytes),
                "{wide_bar} {percent:>3}%  {msg}  {bytes_per_sec}  ETA {eta}",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
        };
        let style = ProgressStyle::with_template(template);
        let bar = bar.with_style(style.unwrap_or_else(|_wrong| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar }
    }

    /// So many documents are through; whether segments are merged meanwhile.
    pub(crate) fn documents(&self, documents: u64, merging: bool) {
        let seconds = self.bar.elapsed().as_secs().max(1);
        let rate = grouped(documents / seconds);
        let documents = grouped(documents);
        let merging = if merging { ", merging" } else { "" };
        self.bar
            .set_message(format!("{documents} documents, {rate}/s{merging}"));
    }

    /// What goes on after the last document.
    pub(crate) fn say(&self, what: &'static str) {
        self.bar.set_message(what);
    }

    /// A line that stays.
    pub(crate) fn note(&self, line: &str) {
        self.bar.suspend(|| complain(line));
    }

    /// Counts what is read from `input`.
    pub(crate) fn watch<R: Read>(&self, input: R) -> Watched<R> {
        Watched {
            input,
            bar: self.bar.clone(),
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// An input whose bytes are counted.
pub(crate) struct Watched<R> {
    input: R,
    bar: ProgressBar,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.bar.inc(read as u64);
        Ok(read)
    }
}
