//! Two processes that want the same names at the same time. Each name must have one winner.

use serde::{Deserialize, Serialize};

use super::page;
use super::performer::read_page;
use crate::mount::{Access, Mount, MountResult};

/// Those who want the same names.
const COMPETITORS: usize = 2;
/// How often the folder is listed until both are ready: longer than an order travels, and a few seconds where the other one
/// is never seen.
const LISTINGS_MAX: u32 = 2_000;

/// The call by which a name is won.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contest {
    /// `open` with `O_CREAT|O_EXCL`.
    Create,
    /// `symlink`.
    Link,
    /// `rename` of a folder.
    Rename,
}

impl Contest {
    /// The call, as a sentence names it.
    pub(super) fn call(self) -> &'static str {
        match self {
            Self::Create => "open with O_EXCL",
            Self::Link => "symlink",
            Self::Rename => "rename of a folder",
        }
    }

    /// The name that is won in a round.
    fn prize(self, round: u32) -> String {
        let call = match self {
            Self::Create => "create",
            Self::Link => "link",
            Self::Rename => "rename",
        };
        format!("won-by-{call}-{round:03}")
    }

    /// Who has won a round, by what has the name.
    pub(super) fn winner(self, scratch: &dyn Mount, round: u32) -> MountResult<String> {
        let prize = self.prize(round);
        match self {
            Self::Create => read_page(&*scratch.open(&prize, Access::Read)?),
            Self::Link => scratch.read_link(&prize),
            Self::Rename => read_page(&*scratch.open(&format!("{prize}/by"), Access::Read)?),
        }
    }

    /// Tries to win every round; gives for each whether the file system said so.
    pub(super) fn contend(
        self,
        scratch: &dyn Mount,
        competitor: &str,
        rounds: u32,
    ) -> MountResult<Vec<bool>> {
        let entries = format!("{}-of-", self.prize(0));
        scratch.open(&format!("{entries}{competitor}"), Access::CreateNew)?;
        wait_for_the_other(scratch, &entries)?;
        let compete = |round| {
            let prize = self.prize(round);
            let won = match self {
                Self::Create => create(scratch, &prize, competitor),
                Self::Link => won(scratch.symlink(competitor, &prize)),
                Self::Rename => rename(scratch, &prize, competitor),
            }?;
            // The other one catches up meanwhile, so that both want the same name again.
            if won {
                scratch.list(".")?;
            }
            Ok(won)
        };
        (0..rounds).map(compete).collect()
    }
}

/// Waits until both have entered, or for so many listings.
fn wait_for_the_other(scratch: &dyn Mount, entries: &str) -> MountResult<()> {
    for _ in 0..LISTINGS_MAX {
        let listed = scratch.list(".")?;
        let ready = listed.iter().filter(|name| name.starts_with(entries));
        if ready.count() == COMPETITORS {
            break;
        }
    }
    Ok(())
}

fn create(scratch: &dyn Mount, prize: &str, competitor: &str) -> MountResult<bool> {
    match scratch.open(prize, Access::CreateNew) {
        Ok(file) => {
            file.write_durably_at(&page::of(competitor), 0)?;
            Ok(true)
        }
        Err(error) => won(Err(error)),
    }
}

fn rename(scratch: &dyn Mount, prize: &str, competitor: &str) -> MountResult<bool> {
    let staged = format!("{prize}-{competitor}");
    scratch.make_dir(&staged)?;
    let file = scratch
        .enter(&staged)?
        .open("by", Access::CreateNew)
        .and_then(|file| file.write_durably_at(&page::of(competitor), 0));
    file?;
    won(scratch.rename(&staged, prize))
}

/// Whether a name was won; it is lost if somebody else has it.
fn won(outcome: MountResult<()>) -> MountResult<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(failure) if failure.is_not_empty() => Ok(false),
        Err(error) => Err(error),
    }
}
