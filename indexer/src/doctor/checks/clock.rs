//! The times that the file system stamps on files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::errand::Errand;
use super::super::evidence::{Checked, fails, holds, warns};
use super::super::page;
use super::super::session::Session;
use crate::mount::{Access, MountResult};

/// How far apart stamps may be that one clock gives within an instant: some file systems keep whole seconds, or two.
const STAMPS_DIFFER_MAX: Duration = Duration::from_secs(2);
/// How far this machine's clock may be from the server's: more than NTP ever leaves, less than signed requests to S3
/// take.
const SKEW_MAX: Duration = Duration::from_secs(5 * 60);

pub(in super::super) fn is_one(session: &Session<'_>) -> Checked {
    let before = stamp(session, "clock-before")?;
    session.ask(Errand::Create {
        name: "clock-there".to_owned(),
        text: "clock".to_owned(),
    })?;
    let theirs = session.scratch.metadata("clock-there")?.modified;
    let after = stamp(session, "clock-after")?;
    let early = before.duration_since(theirs).unwrap_or_default();
    let late = theirs.duration_since(after).unwrap_or_default();
    let off = early.max(late);
    Ok(if off > STAMPS_DIFFER_MAX {
        let seconds = off.as_secs();
        let side = if early > late { "behind" } else { "ahead of" };
        fails(format!(
            "a file of the partner is {seconds} s {side} those of this process"
        ))
    } else {
        holds("files of both sides are stamped in the order in which they were made")
    })
}

pub(in super::super) fn agrees_with_the_server(session: &Session<'_>) -> Checked {
    let before = session.clock.wall_ms();
    let stamped = stamp(session, "clock-skew")?;
    let after = session.clock.wall_ms();
    let here = UNIX_EPOCH + Duration::from_millis(before + after.saturating_sub(before) / 2);
    let (off, side) = match stamped.duration_since(here) {
        Ok(off) => (off, "behind"),
        Err(error) => (error.duration(), "ahead of"),
    };
    let seen = format!("this machine is {} ms {side} the server", off.as_millis());
    Ok(if off > SKEW_MAX {
        warns(seen)
    } else {
        holds(seen)
    })
}

/// The time that a file is stamped with that is made now.
fn stamp(session: &Session<'_>, name: &str) -> MountResult<SystemTime> {
    let file = session.scratch.open(name, Access::CreateNew)?;
    file.write_durably_at(&page::of("clock"), 0)?;
    Ok(session.scratch.metadata(name)?.modified)
}
