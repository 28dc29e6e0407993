//! The examination of the mount, as a function makes it.

use std::path::Path;
use std::time::Duration;

use aquifer_indexer::doctor::{
    Companion, DoctorReport, Examination, Finding, InProcess, Judgement, PATIENCE,
};
use aquifer_indexer::mount::RootFolder;
use aquifer_indexer::{Error, ErrorKind, Result};

use crate::doctor::SecondProcess;

/// The share of the time that is left in which a name is waited for that was looked up too early.
const PATIENCE_SHARE: u32 = 2;

/// Examines the mount of `root`, together with a second process of `program` where there is one. `left` is the time
/// that the invocation has for it.
///
/// # Errors
/// Like [`Examination::run`].
pub(super) fn examine(root: &Path, program: Option<&Path>, left: Duration) -> Result<DoctorReport> {
    let opened = RootFolder::open(root, false)?;
    let companion: Box<dyn Companion> = match program {
        Some(program) => Box::new(SecondProcess::start(program, root)?),
        None => Box::new(InProcess::new(opened.clone())),
    };
    let patience = PATIENCE.min(left / PATIENCE_SHARE);
    Examination::of(&opened).within(patience).run(&*companion)
}

/// Logs a report, a line for each assumption.
pub(super) fn log(report: &DoctorReport) {
    for finding in &report.findings {
        let Finding {
            check,
            judgement,
            assumed,
            seen,
            advice,
        } = finding;
        let judgement = judgement.words();
        match finding.judgement {
            Judgement::Holds => tracing::info!(check, judgement, assumed, seen),
            Judgement::Warning | Judgement::Unknown => {
                tracing::warn!(check, judgement, assumed, seen, advice);
            }
            Judgement::DoesNotHold => tracing::error!(check, judgement, assumed, seen, advice),
        }
    }
}

/// The failure of the invocation, if an assumption does not hold.
pub(super) fn failure(report: &DoctorReport) -> Option<Error> {
    if report.is_well() {
        return None;
    }
    let failed: Vec<String> = report
        .judged(Judgement::DoesNotHold)
        .map(|finding| format!("{}: {}: {}", finding.check, finding.assumed, finding.seen))
        .chain(report.left_behind.clone())
        .collect();
    Some(Error::new(
        ErrorKind::Unavailable,
        format!(
            "the file system under AQUIFER_ROOT does not do what an index needs: {}",
            failed.join("; ")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumption_that_does_not_hold_fails_the_invocation_with_its_name() {
        let root = tempfile::tempdir().unwrap();
        let mut report = examine(root.path(), None, Duration::from_secs(60)).unwrap();
        assert!(failure(&report).is_none(), "{:#?}", report.findings);
        for finding in &mut report.findings {
            if finding.check == "lock" {
                finding.judgement = Judgement::DoesNotHold;
                finding.seen = "both got it".to_owned();
            }
        }
        let error = failure(&report).unwrap().to_string();
        assert!(error.contains("lock: a lock has one holder"), "{error}");
        assert!(error.contains("both got it"), "{error}");
    }
}
