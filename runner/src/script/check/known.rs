//! What a script is checked against.

use std::collections::BTreeSet;

use crate::schemas::Schemas;
use crate::script::program::Library;

/// What is known before a script runs: agents and data functions, modules, and what the fleet's nodes said of themselves.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Agents and data functions.
    pub schemas: &'a Schemas,
    /// Where imports are looked for.
    pub library: Option<&'a Library>,
    /// Names of facts that nodes of the fleet have, as far as they are known.
    pub facts: Option<&'a BTreeSet<String>>,
}

impl<'a> From<&'a Schemas> for Known<'a> {
    /// Agents alone: no project, no fleet.
    fn from(schemas: &'a Schemas) -> Self {
        Self { schemas, library: None, facts: None }
    }
}
