//! Names that another process makes: when a listing shows them, and when a look-up finds them.

use std::time::Duration;

use super::super::errand::Errand;
use super::super::evidence::{Checked, Obstacle, fails, holds, unknown};
use super::super::session::Session;
use crate::mount::FailureClass;

/// Names that are listed one after the other.
const NAMES: usize = 20;
/// How often a name is looked up that was missing.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(in super::super) fn shows_new_names(session: &Session<'_>) -> Checked {
    session.scratch.make_dir("listed")?;
    for number in 0..NAMES {
        let before = session.scratch.list("listed")?;
        if before.len() != number {
            return Ok(fails(format!(
                "{} names are listed of {number}",
                before.len()
            )));
        }
        create(session, &format!("listed/{number}"))?;
    }
    let all = session.scratch.list("listed")?;
    Ok(match all.len() {
        NAMES => holds(format!("{NAMES} names, each in the next listing")),
        fewer => fails(format!("{fewer} names are listed of {NAMES}")),
    })
}

pub(in super::super) fn forgets_that_a_name_was_missing(session: &Session<'_>) -> Checked {
    session.scratch.make_dir("early")?;
    let missing = || match session.scratch.metadata("early/name") {
        Ok(_) => Ok(false),
        Err(failure) if failure.class() == FailureClass::Missing => Ok(true),
        Err(error) => Err(error),
    };
    missing()?;
    create(session, "early/name")?;
    let created = session.clock.now();
    let waited = || session.clock.now().saturating_duration_since(created);
    while missing()? {
        if waited() >= session.patience {
            let seconds = session.patience.as_secs();
            return Ok(unknown(format!("it is still missing after {seconds} s")));
        }
        session.clock.sleep(LOOK_EVERY);
    }
    Ok(holds(format!(
        "it is found after {} ms",
        waited().as_millis()
    )))
}

fn create(session: &Session<'_>, name: &str) -> Result<(), Obstacle> {
    let errand = Errand::Create {
        name: name.to_owned(),
        text: "new".to_owned(),
    };
    session.ask(errand).map(drop)
}
