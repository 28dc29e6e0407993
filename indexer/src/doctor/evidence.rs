//! What a check has seen.

use serde::Serialize;

use crate::error::Error;
use crate::mount::MountFailure;

/// Whether an assumption holds on this mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Every call did as the index expects.
    Holds,
    /// A call did something else.
    DoesNotHold,
    /// A call did something else, but no guarantee depends on it.
    Warning,
    /// Nothing was seen that contradicts it, but this examination cannot show it.
    Unknown,
}

impl Judgement {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does not hold",
            Self::Warning => "warning",
            Self::Unknown => "not known",
        }
    }
}

/// A judgement, and what it rests on.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) judgement: Judgement,
    pub(super) seen: String,
}

pub(super) fn holds(seen: impl Into<String>) -> Evidence {
    Evidence {
        judgement: Judgement::Holds,
        seen: seen.into(),
    }
}

pub(super) fn fails(seen: impl Into<String>) -> Evidence {
    Evidence {
        judgement: Judgement::DoesNotHold,
        seen: seen.into(),
    }
}

pub(super) fn warns(seen: impl Into<String>) -> Evidence {
    Evidence {
        judgement: Judgement::Warning,
        seen: seen.into(),
    }
}

pub(super) fn unknown(seen: impl Into<String>) -> Evidence {
    Evidence {
        judgement: Judgement::Unknown,
        seen: seen.into(),
    }
}

/// Why a check came to no evidence.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// A call failed that has to succeed, so that the assumption does not hold.
    Call(String),
    /// The partner does not answer, so that nothing more can be examined.
    Partner(Error),
}

impl From<MountFailure> for Obstacle {
    fn from(failure: MountFailure) -> Self {
        Self::Call(format!("a call of this process fails: {failure}"))
    }
}

/// What a check gives.
pub(super) type Checked = Result<Evidence, Obstacle>;
