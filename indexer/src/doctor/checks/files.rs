//! Files: created once, written durably, seen by others.

use super::super::contest::Contest;
use super::super::errand::Errand;
use super::super::evidence::{Checked, fails, holds};
use super::super::page;
use super::super::performer::read_page;
use super::super::session::Session;
use super::race;
use crate::mount::{Access, FailureClass};

/// Files that each side writes and the other one reads.
const FILES: u32 = 20;

pub(in super::super) fn are_created_once(session: &Session<'_>) -> Checked {
    create(session, "taken")?;
    let again = session.scratch.open("taken", Access::CreateNew);
    match again {
        Err(failure) if failure.class() == FailureClass::Exists => {
            race::has_one_winner_each(session, Contest::Create)
        }
        Err(failure) => Err(failure.into()),
        Ok(_) => Ok(fails(
            "open with O_EXCL succeeded, though the partner has created the file",
        )),
    }
}

pub(in super::super) fn are_written_durably(session: &Session<'_>) -> Checked {
    let scratch = session.scratch;
    let file = scratch.open("synced", Access::CreateNew)?;
    file.write_at(&page::of("before"), 0)?;
    file.sync()?;
    file.write_durably_at(&page::of("after"), 0)?;
    drop(file);
    scratch.sync_dir(".")?;
    let seen = session.page_of(Errand::ReadOnce {
        name: "synced".to_owned(),
    })?;
    Ok(match &*seen {
        "after" => holds(
            "they succeed; what a power loss leaves cannot be tried here (an NFS export with `async` loses writes)",
        ),
        other => fails(format!("the partner reads: {other}")),
    })
}

pub(in super::super) fn are_seen_once_closed(session: &Session<'_>) -> Checked {
    for number in 0..FILES {
        let (theirs, own) = (
            format!("closed-there-{number}"),
            format!("closed-here-{number}"),
        );
        create(session, &theirs)?;
        let seen = read_page(&*session.scratch.open(&theirs, Access::Read)?)?;
        if seen != theirs {
            return Ok(fails(format!("a file of the partner holds here: {seen}")));
        }
        let file = session.scratch.open(&own, Access::CreateNew)?;
        file.write_durably_at(&page::of(&own), 0)?;
        drop(file);
        let seen = session.page_of(Errand::ReadOnce { name: own.clone() })?;
        if seen != own {
            return Ok(fails(format!("a file of this process holds there: {seen}")));
        }
    }
    Ok(holds(format!("{FILES} files each way")))
}

pub(in super::super) fn are_read_after_their_removal(session: &Session<'_>) -> Checked {
    let name = "removed-while-open";
    create(session, name)?;
    let file = session.scratch.open(name, Access::CoherentRead)?;
    read_page(&*file)?;
    session.ask(Errand::Unlink {
        name: name.to_owned(),
    })?;
    Ok(match read_page(&*file) {
        Ok(text) if text == name => holds("it is still read"),
        Ok(text) => fails(format!("the file now holds: {text}")),
        Err(failure) if failure.is_stale() => holds(format!("the read fails: {failure}")),
        Err(error) => fails(format!("the read fails, but not as stale: {error}")),
    })
}

/// Lets the partner create a file that holds its name.
fn create(session: &Session<'_>, name: &str) -> Result<(), super::super::evidence::Obstacle> {
    let errand = Errand::Create {
        name: name.to_owned(),
        text: name.to_owned(),
    };
    session.ask(errand).map(drop)
}
