//! Roll-outs without a fleet: which nodes go together, and how each of them ends.

mod ledger;
mod plan;

pub(crate) use ledger::Ledger;
pub(crate) use plan::{Placed, Shape, Window, groups};
