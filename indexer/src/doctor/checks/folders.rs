//! Folders: renamed once, removed when they are empty.

use super::super::contest::Contest;
use super::super::errand::Errand;
use super::super::evidence::{Checked, fails, holds};
use super::super::session::Session;
use super::race;
use crate::mount::Access;

pub(in super::super) fn are_renamed_once(session: &Session<'_>) -> Checked {
    let scratch = session.scratch;
    for folder in ["empty", "complete"] {
        scratch.make_dir(folder)?;
    }
    scratch.open("complete/file", Access::CreateNew)?;
    scratch.rename("complete", "empty")?;
    let moved = scratch.enter("empty")?.list(".")?;
    if moved != ["file"] {
        return Ok(fails(format!(
            "a folder with one file replaced an empty one, which now holds {} files",
            moved.len()
        )));
    }
    race::has_one_winner_each(session, Contest::Rename)
}

pub(in super::super) fn take_no_files_once_removed(session: &Session<'_>) -> Checked {
    let scratch = session.scratch;
    scratch.make_dir("full")?;
    scratch.open("full/file", Access::CreateNew)?;
    match scratch.remove_dir("full") {
        Err(failure) if failure.is_not_empty() => {}
        Err(failure) => return Err(failure.into()),
        Ok(()) => return Ok(fails("rmdir removed a folder that holds a file")),
    }
    scratch.make_dir("gone")?;
    let gone = scratch.enter("gone")?;
    session.ask(Errand::RemoveDir {
        name: "gone".to_owned(),
    })?;
    Ok(match gone.open("late", Access::CreateNew) {
        Err(failure) if failure.is_stale() => holds(format!(
            "a file in a folder that the partner has removed fails: {failure}"
        )),
        Err(error) => fails(format!(
            "a file in a removed folder fails, but not as stale: {error}"
        )),
        Ok(_) => fails("a file was created in a folder that the partner has removed"),
    })
}
