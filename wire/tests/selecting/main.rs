//! Selecting nodes, beyond the cases of `tests/cases`: properties
//! over random input, and the rules of the language one by one.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy only knows by their attribute")]

mod data;
mod limits;
mod nodeset;
mod query;
mod query_properties;
mod reference;
