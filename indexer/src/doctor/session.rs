//! One examination while it goes on: who takes part, and the checks one after the other.

use std::io;
use std::time::Duration;

use super::assumption::{ASSUMPTIONS, Assumption};
use super::errand::{Companion, Errand, Order, Partner, Yield};
use super::evidence::{Obstacle, fails};
use super::mount_point::MountPoint;
use super::page;
use super::report::Finding;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::mount::{Access, Mount};

/// The file by which a partner knows that it sees the same folder.
const PROOF: &str = "proof";

/// Who takes part in an examination, and where.
#[derive(Clone, Copy)]
pub(super) struct Session<'a> {
    pub(super) folder: &'a str,
    pub(super) scratch: &'a dyn Mount,
    pub(super) peer: Option<&'a dyn Partner>,
    pub(super) companion: &'a dyn Companion,
    pub(super) clock: &'a dyn Clock,
    pub(super) ids: &'a dyn Ids,
    pub(super) patience: Duration,
    pub(super) mount: Option<&'a MountPoint>,
}

impl Session<'_> {
    /// With whom the checks compare what they see.
    pub(super) fn partner(&self) -> &dyn Partner {
        self.peer.unwrap_or(self.companion)
    }

    /// Makes every check.
    pub(super) fn run(&self) -> Result<Vec<Finding>> {
        self.begin()?;
        let checked = ASSUMPTIONS.iter().map(|assumption| self.check(assumption));
        let findings = checked.collect::<Result<Vec<Finding>>>();
        // The companion is dead by now. Nobody needs the answer.
        if let Some(peer) = self.peer
            && let Err(error) = peer.carry_out(&self.order(Errand::End))
        {
            tracing::debug!(%error, "the peer does not end the examination");
        }
        findings
    }

    fn begin(&self) -> Result<()> {
        let text = self.ids.next().simple().to_string();
        let written = self
            .scratch
            .open(PROOF, Access::CreateNew)
            .and_then(|file| file.write_durably_at(&page::of(&text), 0));
        written.map_err(|failure| failure.at(self.folder))?;
        let begin = self.order(Errand::Begin {
            name: PROOF.to_owned(),
            text,
        });
        let partners = [Some(self.companion as &dyn Partner), self.peer];
        for partner in partners.into_iter().flatten() {
            let begun = partner.carry_out(&begin)?;
            begun.map_err(|failure| Error::io(self.folder, io::Error::from(failure)))?;
        }
        Ok(())
    }

    fn check(&self, assumption: &Assumption) -> Result<Finding> {
        let evidence = match (assumption.check)(self) {
            Ok(evidence) => evidence,
            Err(Obstacle::Call(seen)) => fails(seen),
            Err(Obstacle::Partner(error)) => return Err(error),
        };
        Ok(Finding::new(assumption, evidence))
    }

    fn order(&self, errand: Errand) -> Order {
        Order {
            folder: self.folder.to_owned(),
            errand,
        }
    }

    /// Lets the partner do something that has to succeed.
    pub(super) fn ask(&self, errand: Errand) -> Result<Yield, Obstacle> {
        self.ask_of(self.partner(), errand)
    }

    /// Lets the companion do something that has to succeed.
    pub(super) fn ask_companion(&self, errand: Errand) -> Result<Yield, Obstacle> {
        self.ask_of(self.companion, errand)
    }

    fn ask_of(&self, partner: &dyn Partner, errand: Errand) -> Result<Yield, Obstacle> {
        let order = self.order(errand);
        match partner.carry_out(&order) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(failure)) => {
                let (call, name, text) = (order.errand.call(), partner.name(), failure.text);
                Err(Obstacle::Call(format!("{call} fails for {name}: {text}")))
            }
            Err(error) => Err(Obstacle::Partner(error)),
        }
    }

    /// What the partner reads in a file.
    pub(super) fn page_of(&self, errand: Errand) -> Result<String, Obstacle> {
        match self.ask(errand)? {
            Yield::Page(text) => Ok(text),
            other => Err(misunderstood(&other)),
        }
    }
}

/// The obstacle where a partner answers something else than it was asked.
pub(super) fn misunderstood(answer: &Yield) -> Obstacle {
    Obstacle::Partner(Error::internal(format!(
        "the partner answered {answer:?}, which was not asked: use the same release on both sides"
    )))
}
