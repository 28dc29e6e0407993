//! A companion in this process, where no second one can be started, and for tests.

use std::sync::{Mutex, PoisonError};

use super::errand::{CallFailure, Companion, Order, Partner, Yield};
use super::performer::Performer;
use crate::error::{Error, Result};
use crate::mount::RootFolder;

/// Opens every file for itself, as another process would. Its death is the closing of its files.
#[derive(Debug)]
pub struct InProcess(Mutex<Option<Performer>>);

impl InProcess {
    /// Works below `root`.
    pub fn new(root: RootFolder) -> Self {
        Self(Mutex::new(Some(Performer::new(root))))
    }
}

impl Partner for InProcess {
    fn name(&self) -> String {
        "this process itself, with files that it opened for a second time".to_owned()
    }

    fn carry_out(&self, order: &Order) -> Result<Result<Yield, CallFailure>> {
        let mut performer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match performer.as_mut() {
            Some(performer) => performer.carry_out(order),
            None => Err(Error::internal("the companion was ended")),
        }
    }
}

impl Companion for InProcess {
    fn kill(&self) -> Result<()> {
        let performer = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(performer);
        Ok(())
    }
}
