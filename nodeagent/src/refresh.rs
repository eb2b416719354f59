//! Facts, classes and agents as they are read at start and again later.

use std::path::PathBuf;
use std::sync::Arc;

use orch_wire::ids::Digest;
use serde_json::{Map, Value};

use crate::agents::Registry;
use crate::classes;
use crate::facts::FactSource;
use crate::problem::Problem;
use crate::service::AgentSource;

/// Where what a node knows of itself comes from.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) facts: FactSource,
    pub(crate) classes: Vec<String>,
    pub(crate) classes_file: Option<PathBuf>,
    pub(crate) agents: AgentSource,
}

/// All of it at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) facts: Map<String, Value>,
    pub(crate) digest: Digest,
    pub(crate) classes: Vec<String>,
    pub(crate) registry: Arc<Registry>,
    /// Of facts and classes.
    pub(crate) problems: Vec<Problem>,
}

impl Sources {
    /// Reads everything; it takes some milliseconds of file reading.
    pub(crate) fn read(&self) -> Snapshot {
        let set = self.facts.read();
        let (classes, more) = classes::read(&self.classes, self.classes_file.as_deref());
        let registry = match &self.agents {
            AgentSource::Folders(folders) => Arc::new(Registry::load(folders)),
            AgentSource::Given(registry) => Arc::clone(registry),
        };
        let digest = set.digest();
        let mut problems = set.problems;
        problems.extend(more);
        Snapshot { facts: set.facts, digest, classes, registry, problems }
    }
}
