//! The log of a function: one JSON object a line, on standard error, flat.
//!
//! Each line has the fields of every span it was written in, so that what belongs to one invocation
//! is found by its `requestId`, and what belongs to one trace by its `xrayTraceId`.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::OnceLock;
use std::time::Duration;

use lambda_runtime::Context;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::log_queue::{LogQueue, log_panics};

/// How long an answer waits for the lines that belong to it. The process may be frozen when it is given.
const FLUSH_PATIENCE: Duration = Duration::from_millis(200);

/// The two outputs of a function: neither may hold up or fail a request.
#[derive(Debug)]
struct Outputs {
    log: LogQueue,
    metrics: LogQueue,
}

static OUTPUTS: OnceLock<Outputs> = OnceLock::new();

fn outputs() -> io::Result<Outputs> {
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    Ok(Outputs {
        log: LogQueue::to_stderr()?,
        metrics: LogQueue::to(stdout)?,
    })
}

/// Writes a line to standard output, where the metrics go.
pub(super) fn metrics_line(line: &str) {
    let line = format!("{line}\n");
    if let Some(outputs) = OUTPUTS.get() {
        outputs.metrics.put(line.as_bytes());
    } else if let Err(error) = io::stdout().lock().write_all(line.as_bytes()) {
        tracing::warn!(%error, "the metrics could not be written");
    }
}

/// The span of an invocation. `apiRequestId` is recorded once its event is read, where the sender has a name for the request.
pub(super) fn invocation(context: &Context) -> Span {
    tracing::info_span!(
        "invocation",
        requestId = context.request_id,
        xrayTraceId = trace_id(context.xray_trace_id.as_deref().unwrap_or_default()),
        apiRequestId = tracing::field::Empty,
    )
}

/// The id in a trace header such as `Root=1-5c53-3d68;Parent=9da9;Sampled=1`, by which X-Ray finds a trace.
fn trace_id(header: &str) -> &str {
    let root = header
        .split(';')
        .find_map(|part| part.trim().strip_prefix("Root="));
    root.unwrap_or(header)
}

/// The part of the runtime that writes each error of an invocation once more, without its request id. Panics are logged by
/// [`log_panics`].
const REPEATS_ERRORS: &str = "lambda_runtime::layers::panic";

/// Waits a moment until what was logged so far is written.
pub(super) fn flush() {
    if let Some(outputs) = OUTPUTS.get() {
        outputs.log.flush(FLUSH_PATIENCE);
        outputs.metrics.flush(FLUSH_PATIENCE);
    }
}

/// Starts it. `RUST_LOG` decides what is written (`info`, `warn,aquifer_indexer=debug`), else the level that the
/// function's logging configuration gives, else what is worth knowing.
///
/// Levels by module are all that is understood: filters by the values of fields need regular expressions, which cost
/// time at every start.
pub fn start() {
    let read = |name| std::env::var(name).ok();
    let filter = filter(read("RUST_LOG"), read("AWS_LAMBDA_LOG_LEVEL"));
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(Flat)
        .with_writer(writer())
        // A line that cannot be written would be complained about on standard error, with a panic if that fails too.
        .log_internal_errors(false);
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    // There is one already: then it stays.
    drop(started);
    log_panics();
}

fn writer() -> BoxMakeWriter {
    let outputs = match outputs() {
        Ok(outputs) => outputs,
        // Then they are written as they come.
        Err(_no_thread) => return BoxMakeWriter::new(io::stderr),
    };
    BoxMakeWriter::new(OUTPUTS.get_or_init(|| outputs).log.clone())
}

fn filter(rust_log: Option<String>, lambda: Option<String>) -> Targets {
    let default = Targets::new().with_default(LevelFilter::INFO);
    let text = rust_log.or_else(|| {
        let level = lambda?.to_lowercase();
        // Lambda knows one level more than there are here.
        Some(if level == "fatal" {
            "error".to_owned()
        } else {
            level
        })
    });
    let filter: Targets = text.and_then(|text| text.parse().ok()).unwrap_or(default);
    filter.with_target(REPEATS_ERRORS, LevelFilter::OFF)
}

/// Writes an event and its spans as one flat object.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flat;

impl<S, N> FormatEvent<S, N> for Flat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), time.into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        line.insert("target".to_owned(), metadata.target().into());
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>();
            let fields = fields.and_then(|fields| serde_json::from_str(fields.as_str()).ok());
            if let Some(Value::Object(fields)) = fields {
                line.extend(fields);
            }
        }
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Puts the fields of an event into an object.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_the_fields_of_every_span_around_it() {
        let lines = Lines::default();
        let written = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(Flat)
            .with_writer(move || written.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let outer =
                tracing::info_span!("invocation", requestId = "r-1", xrayTraceId = "Root=1");
            outer.in_scope(|| {
                let inner = tracing::info_span!("request", documents = tracing::field::Empty);
                inner.record("documents", 3);
                inner.in_scope(|| tracing::warn!(status = 200, error = %"a \"b\"\n", "answered"));
            });
        });
        let bytes = lines.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["requestId"], "r-1", "{line}");
        assert_eq!(line["xrayTraceId"], "Root=1", "{line}");
        assert_eq!(line["documents"], 3, "{line}");
        assert_eq!(line["status"], 200, "{line}");
        assert_eq!(line["error"], "a \"b\"\n", "{line}");
        assert_eq!(line["message"], "answered", "{line}");
        assert_eq!(line["level"], "WARN", "{line}");
    }

    #[test]
    fn a_trace_is_known_by_the_id_alone() {
        for (header, id) in [
            ("Root=1-5c53-3d68;Parent=9da9;Sampled=1", "1-5c53-3d68"),
            ("Sampled=0; Root=1-a-b", "1-a-b"),
            ("1-a-b", "1-a-b"),
            ("", ""),
        ] {
            assert_eq!(trace_id(header), id);
        }
    }

    #[test]
    fn the_level_is_what_somebody_set() {
        let check = |rust_log: Option<&str>, lambda: Option<&str>, expected: &str| {
            let filter = filter(rust_log.map(str::to_owned), lambda.map(str::to_owned));
            let expected = format!("{REPEATS_ERRORS}=off,{expected}");
            assert_eq!(filter.to_string(), expected, "{rust_log:?} {lambda:?}");
        };
        check(None, None, "info");
        check(None, Some("DEBUG"), "debug");
        check(None, Some("FATAL"), "error");
        check(Some("warn,a=debug"), Some("INFO"), "a=debug,warn");
        check(Some("no level = at all"), None, "info");
    }
}
