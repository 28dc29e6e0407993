//! A contest of this process with its partner.

use std::thread;

use super::super::contest::Contest;
use super::super::errand::{Errand, Yield};
use super::super::evidence::{Checked, Obstacle, fails, holds};
use super::super::session::{Session, misunderstood};
use crate::error::Error;

/// Names that both want.
const ROUNDS: u32 = 25;
/// The competitors.
const HERE: &str = "examiner";
const THERE: &str = "partner";

/// Whether each name has one winner, and keeps what that one has put there.
pub(super) fn has_one_winner_each(session: &Session<'_>, contest: Contest) -> Checked {
    let (own, others) = contend(session, contest)?;
    let mut wins = 0;
    for (round, won) in (0..ROUNDS).zip(own.into_iter().zip(others)) {
        let winner = match won {
            (true, false) => HERE,
            (false, true) => THERE,
            (true, true) => return Ok(fails(format!("{} succeeded twice", contest.call()))),
            (false, false) => return Ok(fails(format!("{} succeeded nowhere", contest.call()))),
        };
        match contest.winner(session.scratch, round) {
            Ok(text) if text == winner => {}
            Ok(text) => {
                return Ok(fails(format!(
                    "{} succeeded for the {winner}, but its target holds: {text}",
                    contest.call()
                )));
            }
            Err(error) => {
                return Ok(fails(format!(
                    "{} succeeded, but its target cannot be read: {error}",
                    contest.call()
                )));
            }
        }
        wins += u32::from(winner == HERE);
    }
    Ok(holds(format!(
        "{ROUNDS} names, one winner each: {wins} here, {} there",
        ROUNDS - wins
    )))
}

/// Who was told to have won: here, and there.
fn contend(session: &Session<'_>, contest: Contest) -> Result<(Vec<bool>, Vec<bool>), Obstacle> {
    let errand = Errand::Contend {
        contest,
        competitor: THERE.to_owned(),
        rounds: ROUNDS,
    };
    let (own, others) = thread::scope(|scope| {
        let others = scope.spawn(|| session.ask(errand));
        let own = contest.contend(session.scratch, HERE, ROUNDS);
        (own, others.join())
    });
    let broke_off = |_| Obstacle::Partner(Error::internal("the partner's contest broke off"));
    let own = own.map_err(|error| Obstacle::Call(format!("{} failed: {error}", contest.call())))?;
    match others.map_err(broke_off)?? {
        Yield::Won(others) if others.len() == own.len() => Ok((own, others)),
        other => Err(misunderstood(&other)),
    }
}
