//! What an examination came to.

use std::path::PathBuf;

use serde::Serialize;

use super::assumption::Assumption;
use super::evidence::{Evidence, Judgement};
use super::latency::Latency;
use super::mount_point::MountPoint;

/// What an examination came to.
#[derive(Clone, Debug, Serialize)]
pub struct DoctorReport {
    /// The folder whose mount was examined.
    pub root: PathBuf,
    /// The mount, where the system tells of it.
    pub mount: Option<MountPoint>,
    /// Who the partner was.
    pub seen_from: String,
    /// Whether it was on another machine, as far as its user knows.
    pub other_machine: bool,
    /// Each assumption.
    pub findings: Vec<Finding>,
    /// How long calls took.
    pub latencies: Vec<Latency>,
    /// Milliseconds it took.
    pub took_ms: u64,
    /// Why the scratch folder is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_behind: Option<String>,
}

impl DoctorReport {
    /// The findings with this judgement.
    pub fn judged(&self, judgement: Judgement) -> impl Iterator<Item = &Finding> {
        let findings = self.findings.iter();
        findings.filter(move |finding| finding.judgement == judgement)
    }

    /// Whether nothing was seen that the index cannot live with, and nothing was left behind.
    pub fn is_well(&self) -> bool {
        self.judged(Judgement::DoesNotHold).next().is_none() && self.left_behind.is_none()
    }

    /// Whether another machine could see something else than was seen here.
    pub fn needs_a_peer(&self) -> bool {
        let local = self.mount.as_ref().is_some_and(MountPoint::is_local);
        !self.other_machine && !local
    }
}

/// What is known of one assumption.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The name of the check, as `STORAGE.md` has it.
    pub check: &'static str,
    /// Whether the assumption holds.
    pub judgement: Judgement,
    /// The assumption.
    pub assumed: &'static str,
    /// What was seen.
    pub seen: String,
    /// What it means if the assumption does not hold, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
}

impl Finding {
    pub(super) fn new(assumption: &Assumption, evidence: Evidence) -> Self {
        Self {
            check: assumption.name,
            judgement: evidence.judgement,
            assumed: assumption.statement,
            seen: evidence.seen,
            advice: (evidence.judgement != Judgement::Holds).then_some(assumption.advice),
        }
    }
}
