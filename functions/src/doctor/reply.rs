//! What a partner of an examination replies, over whatever it was asked.

use aquifer_indexer::doctor::{CallFailure, Order, Performer, Yield};
use aquifer_indexer::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// A reply to an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The order was carried out; a call of it may have failed.
    Done(Result<Yield, CallFailure>),
    /// The order was not carried out: why.
    Refused(String),
}

impl Reply {
    /// The reply of `performer` to an order in JSON.
    pub fn to(order: &[u8], performer: &mut Performer) -> Self {
        let carried_out = serde_json::from_slice::<Order>(order)
            .map_err(|error| {
                Error::invalid(
                    "this is no order of an examination: use the same release on both sides",
                )
                .because(error)
            })
            .and_then(|order| performer.carry_out(&order));
        match carried_out {
            Ok(done) => Self::Done(done),
            Err(error) => Self::Refused(error.to_string()),
        }
    }

    /// What the order gave.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if it was refused.
    pub fn into_result(self) -> Result<Result<Yield, CallFailure>> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(reason) => Err(Error::new(ErrorKind::Conflict, reason)),
        }
    }
}
