//! A program as the second process of an examination.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use aquifer_indexer::doctor::Performer;
use aquifer_indexer::mount::RootFolder;

use super::{PARTNER, Reply};

/// Carries out the orders of an examination, if this program was started for that; gives its exit status then.
pub fn partner_if_asked() -> Option<ExitCode> {
    let root = root_of(env::args_os().skip(1))?;
    Some(match carry_out_orders(Path::new(&root)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody can be told if that fails.
            drop(writeln!(
                io::stderr(),
                "error: the second process fails: {error}"
            ));
            ExitCode::FAILURE
        }
    })
}

/// The root folder in the arguments of a second process.
fn root_of(mut arguments: impl Iterator<Item = OsString>) -> Option<OsString> {
    match (arguments.next()?, arguments.next()?, arguments.next()) {
        (word, root, None) if word == PARTNER => Some(root),
        _ => None,
    }
}

fn carry_out_orders(root: &Path) -> io::Result<()> {
    let mut performer = Performer::new(RootFolder::open(root, false)?);
    let mut replies = io::stdout().lock();
    for order in io::stdin().lock().lines() {
        let reply = Reply::to(order?.as_bytes(), &mut performer);
        serde_json::to_writer(&mut replies, &reply)?;
        writeln!(replies)?;
        replies.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_words_make_a_program_a_second_process() {
        let of = |words: &[&str]| root_of(words.iter().map(OsString::from));
        assert_eq!(of(&["doctor-partner", "/mnt/a"]), Some("/mnt/a".into()));
        assert_eq!(of(&["doctor-partner"]), None);
        assert_eq!(of(&["doctor", "/mnt/a"]), None);
        assert_eq!(of(&["doctor-partner", "/mnt/a", "b"]), None);
    }
}
