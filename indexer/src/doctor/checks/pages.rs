//! Pages that are overwritten in place: marks and heartbeats.

use super::super::errand::{Errand, PageAccess};
use super::super::evidence::{Checked, fails, holds};
use super::super::page;
use super::super::performer::read_page;
use super::super::session::Session;
use crate::mount::Access;

/// How often each side overwrites its page.
const OVERWRITES: u32 = 50;

pub(in super::super) fn are_coherent(session: &Session<'_>) -> Checked {
    for check in [theirs, own] {
        if let Some(missed) = check(session)? {
            return Ok(fails(missed));
        }
    }
    Ok(holds(format!(
        "{OVERWRITES} overwrites each way, all of them seen"
    )))
}

type Missed = Result<Option<String>, super::super::evidence::Obstacle>;

/// The partner overwrites, and this process reads.
fn theirs(session: &Session<'_>) -> Missed {
    let name = || "page-there".to_owned();
    session.ask(Errand::Create {
        name: name(),
        text: "0".to_owned(),
    })?;
    session.ask(Errand::Open {
        name: name(),
        access: PageAccess::Update,
    })?;
    let file = session.scratch.open(&name(), Access::CoherentRead)?;
    for number in 1..=OVERWRITES {
        let text = number.to_string();
        session.ask(Errand::Overwrite {
            name: name(),
            text: text.clone(),
        })?;
        let seen = read_page(&*file)?;
        if seen != text {
            return Ok(Some(format!(
                "the partner has written {text}, and the next read here gives: {seen}"
            )));
        }
    }
    session.ask(Errand::Close { name: name() })?;
    Ok(None)
}

/// This process overwrites, and the partner reads.
fn own(session: &Session<'_>) -> Missed {
    let name = || "page-here".to_owned();
    session
        .scratch
        .open(&name(), Access::CreateNew)?
        .write_durably_at(&page::of("0"), 0)?;
    let file = session.scratch.open(&name(), Access::CoherentUpdate)?;
    session.ask(Errand::Open {
        name: name(),
        access: PageAccess::Read,
    })?;
    for number in 1..=OVERWRITES {
        let text = number.to_string();
        file.write_durably_at(&page::of(&text), 0)?;
        let seen = session.page_of(Errand::Read { name: name() })?;
        if seen != text {
            return Ok(Some(format!(
                "this process has written {text}, and the partner's next read gives: {seen}"
            )));
        }
    }
    session.ask(Errand::Close { name: name() })?;
    Ok(None)
}
