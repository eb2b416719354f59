//! Facts, classes and agents as they are read at start and again later.

use std::path::PathBuf;
use std::sync::Arc;

use orch_wire::ids::Digest;
use orch_wire::policy::Policies;
use serde_json::{Map, Value};

use crate::agents::Registry;
use crate::classes;
use crate::facts::FactSource;
use crate::policies::PolicySource;
use crate::problem::Problem;
use crate::service::AgentSource;

/// Where what a node knows of itself comes from.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) facts: FactSource,
    pub(crate) classes: Vec<String>,
    pub(crate) classes_file: Option<PathBuf>,
    pub(crate) agents: AgentSource,
    pub(crate) policies: PolicySource,
}

/// All of it at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) facts: Map<String, Value>,
    pub(crate) digest: Digest,
    pub(crate) classes: Vec<String>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) policies: Arc<Policies>,
    /// Of facts, classes and policies.
    pub(crate) problems: Vec<Problem>,
}

impl Snapshot {
    /// The same in memory of the thread that calls this. The C library gives each thread memory of its own, and what is
    /// kept there keeps all of it that the reading took.
    pub(crate) fn resettled(self) -> Self {
        let Self { facts, digest, classes, registry, policies, problems } = &self;
        Self {
            facts: facts.clone(),
            digest: *digest,
            classes: classes.clone(),
            registry: Arc::clone(registry),
            policies: Arc::clone(policies),
            problems: problems.clone(),
        }
    }
}

impl Sources {
    /// Reads everything; it takes some milliseconds of file reading. Agents that are as they were are taken from `earlier`.
    pub(crate) fn read(&self, earlier: &Registry) -> Snapshot {
        let set = self.facts.read();
        let (classes, more) = classes::read(&self.classes, self.classes_file.as_deref());
        let registry = match &self.agents {
            AgentSource::Own { builtin, folders } => {
                Arc::new(Registry::load_again(builtin, folders, earlier))
            }
            AgentSource::Given(registry) => Arc::clone(registry),
        };
        let digest = set.digest();
        let mut problems = set.problems;
        problems.extend(more);
        let (policies, more) = self.policies.read();
        problems.extend(more);
        Snapshot { facts: set.facts, digest, classes, registry, policies: Arc::new(policies), problems }
    }
}
