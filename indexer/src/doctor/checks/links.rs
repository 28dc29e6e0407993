//! Symbolic links, by which versions are published.

use super::super::contest::Contest;
use super::super::errand::{Errand, Yield};
use super::super::evidence::{Checked, fails, holds};
use super::super::page;
use super::super::session::{Session, misunderstood};
use super::race;
use crate::mount::Access;

pub(in super::super) fn are_made_once(session: &Session<'_>) -> Checked {
    race::has_one_winner_each(session, Contest::Link)
}

/// A link is read by others, and never followed.
pub(in super::super) fn are_read(session: &Session<'_>) -> Checked {
    let scratch = session.scratch;
    let target = scratch.open("link-target", Access::CreateNew)?;
    target.write_durably_at(&page::of("link-target"), 0)?;
    scratch.symlink("link-target", "pointer")?;
    let name = "pointer".to_owned();
    match session.ask(Errand::ReadLink { name })? {
        Yield::Text(text) if text == "link-target" => {}
        Yield::Text(text) => {
            return Ok(fails(format!(
                "the partner reads this text of a link: {text}"
            )));
        }
        other => return Err(misunderstood(&other)),
    }
    Ok(match scratch.open("pointer", Access::Read) {
        Ok(_) => fails("a link was followed when it was opened"),
        Err(_) => holds("the partner reads the link, and it is not followed"),
    })
}
