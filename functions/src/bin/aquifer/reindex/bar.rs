//! How far a job has come, for whoever watches it on a terminal.

use std::time::Duration;

use aquifer_indexer::reindex::{JobState, JobStatus};
use indicatif::{ProgressBar, ProgressStyle};

use crate::report::grouped;

/// A bar over documents, or over the bytes of an external source; a counter where nobody knows how many there are.
/// Nothing is drawn unless standard error is a terminal.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(super) fn new(status: &JobStatus) -> Self {
        let bar = Self {
            bar: ProgressBar::new_spinner(),
        };
        bar.show(status);
        bar.bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }

    /// Shows what a checkpoint told.
    pub(super) fn show(&self, status: &JobStatus) {
        let template = match status.total {
            Some(_) => "{wide_bar} {percent:>3}%  {msg}  {elapsed}",
            None => "{spinner} {msg}  {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_length(status.total.unwrap_or_default());
        self.bar.set_position(status.done);
        let documents = grouped(status.documents.get());
        self.bar.set_message(match status.state {
            JobState::Replaying => format!("{documents} documents, carrying over what was posted"),
            _ => format!("{documents} documents"),
        });
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
