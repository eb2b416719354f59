//! Facts, classes and agents as they are read at start and again later.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use orch_wire::ids::Digest;
use orch_wire::policy::Policies;
use serde_json::{Map, Value};
use tokio::task::{JoinError, spawn_blocking};

use crate::agents::{self, Registry, Stamp};
use crate::classes;
use crate::facts::{self, FactSource, Printed};
use crate::policies::PolicySource;
use crate::problem::Problem;
use crate::service::{AgentSource, NodeConfig};

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
    /// Of the agents' folders, before they were read.
    pub(crate) stamp: Option<Stamp>,
    pub(crate) policies: Arc<Policies>,
    /// Of facts, classes and policies.
    pub(crate) problems: Vec<Problem>,
}

impl Snapshot {
    /// The same in memory of the thread that calls this. The C library gives each thread memory of its own, and what is
    /// kept there keeps all of it that the reading took.
    pub(crate) fn resettled(self) -> Self {
        let Self { facts, digest, classes, registry, stamp, policies, problems } = &self;
        Self {
            facts: facts.clone(),
            digest: *digest,
            classes: classes.clone(),
            registry: Arc::clone(registry),
            stamp: *stamp,
            policies: Arc::clone(policies),
            problems: problems.clone(),
        }
    }
}

impl Sources {
    pub(crate) fn of(config: &NodeConfig) -> Self {
        Self {
            facts: config.facts.clone(),
            classes: config.classes.clone(),
            classes_file: config.classes_file.clone(),
            agents: config.agents.clone(),
            policies: config.policies.clone(),
        }
    }

    /// Whether programs print some of the facts.
    pub(crate) fn have_programs(&self) -> bool {
        !self.facts.programs().is_empty()
    }

    /// Reads everything, programs' facts too. It waits for programs, and blocks no task for files.
    pub(crate) async fn read_all(self: Arc<Self>, earlier: Arc<Registry>) -> Result<Snapshot, JoinError> {
        let sources = Arc::clone(&self);
        let programs = spawn_blocking(move || sources.facts.programs()).await?;
        let printed = facts::run_programs(programs).await;
        spawn_blocking(move || self.read(&earlier, printed)).await
    }

    /// Reads the files; it takes some milliseconds. Agents that are as they were are taken from `earlier`.
    pub(crate) fn read(&self, earlier: &Registry, printed: Printed) -> Snapshot {
        let set = self.facts.read(printed);
        let (classes, more) = classes::read(&self.classes, self.classes_file.as_deref());
        let (registry, stamp) = self.read_agents(earlier);
        let digest = set.digest();
        let mut problems = set.problems;
        problems.extend(more);
        let (policies, more) = self.policies.read();
        problems.extend(more);
        Snapshot {
            facts: set.facts,
            digest,
            classes,
            registry,
            stamp,
            policies: Arc::new(policies),
            problems,
        }
    }

    fn read_agents(&self, earlier: &Registry) -> (Arc<Registry>, Option<Stamp>) {
        match &self.agents {
            AgentSource::Own { builtin, folders, .. } => {
                // First, so that what changes while they are read is seen as a change.
                let stamp = agents::look(folders);
                (Arc::new(Registry::load_again(builtin, folders, earlier)), Some(stamp))
            }
            AgentSource::Given(registry) => (Arc::clone(registry), None),
        }
    }

    /// How often the agents' folders are looked at, if ever.
    pub(crate) fn watch(&self) -> Option<Duration> {
        match &self.agents {
            AgentSource::Own { watch, .. } if !watch.is_zero() => Some(*watch),
            _ => None,
        }
    }

    /// The agents, if their folders are not as they were.
    pub(crate) async fn read_changed_agents(
        self: Arc<Self>,
        earlier: Arc<Registry>,
        before: Option<Stamp>,
    ) -> Result<Option<(Arc<Registry>, Option<Stamp>)>, JoinError> {
        let read = move || match &self.agents {
            AgentSource::Own { folders, .. } if Some(agents::look(folders)) != before => {
                Some(self.read_agents(&earlier))
            }
            _ => None,
        };
        spawn_blocking(read).await
    }
}
