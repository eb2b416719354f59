//! What is known of one fleet.

use std::collections::BTreeSet;

use super::agents::FleetAgents;
use super::index::Index;
use super::store::{FleetKey, Store};

/// What is known of one fleet, and where it is kept.
#[derive(Debug, Clone)]
pub struct Memory {
    pub(super) store: Store,
    pub(super) fleet: FleetKey,
    pub(super) index: Index,
}

impl Memory {
    /// What was kept of a fleet; nothing the first time.
    pub fn load(store: Store, fleet: FleetKey) -> Self {
        let index = store.index(fleet).and_then(|text| Index::parse(&text)).unwrap_or_default();
        Self { store, fleet, index }
    }

    /// The agents of the fleet, with the schemas of those that are `wanted`.
    pub fn agents(&self, wanted: impl Fn(&str) -> bool) -> FleetAgents {
        FleetAgents::of(&self.index, &self.store, wanted)
    }

    /// Names of the facts that its nodes have, as far as they were asked.
    pub fn facts(&self) -> BTreeSet<String> {
        self.index.fact_names().cloned().collect()
    }

    /// Keeps what is known now. Another process may have learnt something meanwhile.
    pub(super) fn keep(&mut self) {
        if let Some(other) = self.store.index(self.fleet).and_then(|text| Index::parse(&text)) {
            self.index.merge(other);
        }
        self.store.keep_index(self.fleet, &self.index.to_text());
    }
}
