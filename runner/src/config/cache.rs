//! Where what is known of the configured fleet is kept.

use std::io::Read as _;

use super::environment::Environment;
use super::settings::Config;
use crate::fleet_cache::{FleetKey, Memory, Store};

/// Longest certificate of an authority that is read.
const CA_BYTES: u64 = 1024 * 1024;

impl Config {
    /// What was learnt of the fleet that this configuration is for; nothing where it names none.
    pub fn memory(&self, environment: &Environment) -> Option<Memory> {
        let mut ca = Vec::new();
        let file =
            std::fs::File::open(&self.ca.value).ok().filter(|_| !self.ca.value.as_os_str().is_empty())?;
        file.take(CA_BYTES).read_to_end(&mut ca).ok()?;
        let folder = environment.cache_home.as_ref().map(|home| home.join("orch"));
        let fleet = FleetKey::new(&ca, &self.broker.value, &self.collective.value);
        Some(Memory::load(Store::new(folder), fleet))
    }
}
