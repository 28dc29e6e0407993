//! Hard links, by which versions are published.

use std::io;

use super::super::contest::Contest;
use super::super::errand::Errand;
use super::super::evidence::{Checked, fails, holds};
use super::super::page;
use super::super::performer::read_page;
use super::super::session::Session;
use super::race;
use crate::mount::{Access, is_stale};

pub(in super::super) fn are_made_once(session: &Session<'_>) -> Checked {
    race::has_one_winner_each(session, Contest::Link)
}

pub(in super::super) fn of_an_open_file(session: &Session<'_>) -> Checked {
    let scratch = session.scratch;
    let draft = scratch.open("draft", Access::CoherentNew)?;
    draft.write_durably_at(&page::of("draft"), 0)?;
    draft.link_to("linked")?;
    let seen = session.page_of(Errand::ReadOnce {
        name: "linked".to_owned(),
    })?;
    if seen != "draft" {
        return Ok(fails(format!(
            "the partner reads in the linked file: {seen}"
        )));
    }
    for name in ["draft", "linked"] {
        session.ask(Errand::Unlink {
            name: name.to_owned(),
        })?;
    }
    Ok(match draft.link_to("late") {
        Err(error) if is_stale(&error) => holds(format!("without a name the link fails: {error}")),
        Err(error) => fails(format!(
            "without a name the link fails, but not as stale: {error}"
        )),
        // A client may have given the open file a name of its own.
        Ok(()) => match scratch
            .open("late", Access::Read)
            .and_then(|file| read_page(&*file))
        {
            Ok(text) if text == "draft" => {
                holds("the client keeps the open file, and links it again")
            }
            Ok(text) => fails(format!(
                "a file without a name was linked, and now holds: {text}"
            )),
            Err(error) => fails(missing(&error)),
        },
    })
}

fn missing(error: &io::Error) -> String {
    format!("a file without a name was linked, but the link cannot be read: {error}")
}
