//! What can be told of a script before it runs.

mod shadow;

pub(crate) use shadow::faults as shadowed;
