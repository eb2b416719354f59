//! Agents by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orch_wire::body::Answer;
use orch_wire::ids::{AgentName, Digest};
use orch_wire::schema::AgentSchema;
use tokio_util::sync::CancellationToken;

use super::node::NodeInfo;
use super::{external, load, node};
use crate::problem::Problem;
use crate::work::Work;

/// The agents of a node. Nodes of one process share it.
#[derive(Debug, Default)]
pub struct Registry {
    agents: BTreeMap<AgentName, Arc<Agent>>,
    problems: Vec<Problem>,
}

/// One agent: what it can do, and how it is run.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) name: AgentName,
    pub(crate) schema: AgentSchema,
    pub(crate) digest: Digest,
    pub(crate) kind: Kind,
}

/// How an agent is run.
#[derive(Debug)]
pub(crate) enum Kind {
    /// The `node` agent, in this process.
    Node,
    /// A program of its own.
    External { executable: PathBuf },
}

/// What an action gets beside its call.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) info: Arc<NodeInfo>,
    /// The action is to end now; its answer is replaced by the reason.
    pub(crate) stop: CancellationToken,
}

impl Registry {
    /// The built-in agents and those of each folder. An agent that cannot be used costs only itself.
    pub fn load(folders: &[PathBuf]) -> Self {
        let mut registry = Self::default();
        match node::agent() {
            Ok(agent) => registry.insert(agent, Path::new("node")),
            Err(error) => registry.problems.push(Problem::new(Path::new("node"), error)),
        }
        for folder in folders {
            for found in load::folder(folder) {
                match found {
                    Ok((agent, path)) => registry.insert(agent, &path),
                    Err(problem) => registry.problems.push(problem),
                }
            }
        }
        registry
    }

    fn insert(&mut self, agent: Agent, path: &Path) {
        if self.agents.contains_key(&agent.name) {
            self.problems
                .push(Problem::new(path, format!("an agent named `{}` is there already", agent.name)));
            return;
        }
        self.agents.insert(agent.name.clone(), Arc::new(agent));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Agent>> {
        self.agents.get(name)
    }

    pub(crate) fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values()
    }

    /// Names of the agents, sorted.
    pub fn names(&self) -> Vec<String> {
        self.agents.keys().map(|name| name.as_str().to_owned()).collect()
    }

    /// Agents that could not be used, and why.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Digest of all schemas.
    pub fn digest(&self) -> Digest {
        let lines: String =
            self.agents.values().map(|agent| format!("{} {}\n", agent.name, agent.digest)).collect();
        Digest::of(lines.as_bytes())
    }
}

impl Agent {
    pub(crate) fn new(name: AgentName, schema: AgentSchema, kind: Kind) -> Self {
        let mut source = schema.source.clone();
        source.sort_all_objects();
        let digest = Digest::of(source.to_string().as_bytes());
        Self { name, schema, digest, kind }
    }

    pub(crate) fn is_builtin(&self) -> bool {
        matches!(self.kind, Kind::Node)
    }
}

impl Job {
    /// Runs the action to its end. Time limits are the caller's for built-in agents, and the action's own for programs,
    /// which must be killed.
    pub(crate) async fn run(self) -> Answer {
        match &self.work.agent.kind {
            Kind::Node => node::run(&self),
            Kind::External { executable } => external::run(&self, executable).await,
        }
    }
}
