//! Locks: one holder, until that releases it or dies.

use std::time::Duration;

use super::super::errand::{Errand, Yield};
use super::super::evidence::{Checked, Obstacle, fails, holds, unknown};
use super::super::mount_point::MountPoint;
use super::super::session::{Session, misunderstood};

/// How long the lock of a killed process may be held. The system closes its files before it is gone.
const RELEASE_WITHIN: Duration = Duration::from_secs(10);
/// How often a lock is tried that is not yet free.
const TRY_EVERY: Duration = Duration::from_millis(100);

const LOCK: &str = "lock";

pub(in super::super) fn exclude(session: &Session<'_>) -> Checked {
    let Some(own) = session.scratch.try_lock(LOCK)? else {
        return Ok(fails(
            "the lock of a new file is held by nobody and cannot be taken",
        ));
    };
    if taken_by_the_partner(session)? {
        return Ok(fails(
            "this process holds the lock, and the partner got it too",
        ));
    }
    drop(own);
    if !taken_by_the_partner(session)? {
        return Ok(fails(
            "the lock was released, and the partner does not get it",
        ));
    }
    if session.scratch.try_lock(LOCK)?.is_some() {
        return Ok(fails(
            "the partner holds the lock, and this process got it too",
        ));
    }
    session.ask(Errand::Unlock {
        name: LOCK.to_owned(),
    })?;
    if session.scratch.try_lock(LOCK)?.is_none() {
        return Ok(fails(
            "the partner has released the lock, and it is not free",
        ));
    }
    match session.mount.and_then(MountPoint::local_locks) {
        Some(option) if session.peer.is_none() => Ok(unknown(format!(
            "processes of this machine exclude each other; those of other machines do not, since the mount has the option \
             {option} (a partner on another machine shows it)"
        ))),
        _ => Ok(holds("it excludes, each way, and is free again")),
    }
}

fn taken_by_the_partner(session: &Session<'_>) -> Result<bool, Obstacle> {
    let errand = Errand::TryLock {
        name: LOCK.to_owned(),
    };
    was_taken(&session.ask(errand)?)
}

fn was_taken(answer: &Yield) -> Result<bool, Obstacle> {
    match answer {
        Yield::Taken(taken) => Ok(*taken),
        other => Err(misunderstood(other)),
    }
}

pub(in super::super) fn are_free_once_their_holder_is_dead(session: &Session<'_>) -> Checked {
    let name = "lock-of-the-dead";
    let errand = Errand::TryLock {
        name: name.to_owned(),
    };
    if !was_taken(&session.ask_companion(errand)?)? {
        return Ok(fails("another process cannot take the lock of a new file"));
    }
    session.companion.kill().map_err(Obstacle::Partner)?;
    let killed = session.clock.now();
    let waited = || session.clock.now().saturating_duration_since(killed);
    while session.scratch.try_lock(name)?.is_none() {
        if waited() >= RELEASE_WITHIN {
            let seconds = RELEASE_WITHIN.as_secs();
            return Ok(fails(format!(
                "it is still held {seconds} s after its holder was killed"
            )));
        }
        session.clock.sleep(TRY_EVERY);
    }
    Ok(holds(format!(
        "it is free {} ms after that",
        waited().as_millis()
    )))
}
