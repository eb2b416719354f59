//! Agents by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orch_wire::body::Answer;
use orch_wire::card::agents_digest;
use orch_wire::ids::{AgentName, Digest};
use orch_wire::schema::AgentSchema;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::builtin::Builtin;
use super::functions::{Function, Functions};
use super::load::Found;
use super::node::NodeInfo;
use super::{external, load, node};
use crate::output::Output;
use crate::problem::Problem;
use crate::work::Work;

/// The agents of a node. Nodes of one process share it.
#[derive(Debug, Default)]
pub struct Registry {
    agents: BTreeMap<AgentName, Arc<Agent>>,
    functions: Functions,
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
    /// By a function of this process, within a moment.
    Here(Here),
    /// By this process with the tools of the system, and for as long as that takes.
    Builtin(Builtin),
    /// A program of its own.
    External {
        /// What is run.
        executable: PathBuf,
        /// Digest of the file that the schema was read from, as it stands.
        schema_file: Digest,
    },
}

impl Kind {
    /// Whether it is the same program with the same schema.
    pub(super) fn is_same_program(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::External { executable, schema_file },
                Self::External { executable: other, schema_file: file },
            ) => executable == other && schema_file == file,
            _ => false,
        }
    }
}

/// Which function of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Here {
    /// That of the `node` agent.
    Node,
    /// One that the program which embeds the node brought.
    Embedded(InProcess),
}

/// Runs the actions of an agent in the node's own process, from the name of the action and its validated arguments. It must
/// return within a moment: the node's other work waits for it.
pub type InProcess = fn(&str, &Map<String, Value>) -> Answer;

/// What an action gets beside its call.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) info: Arc<NodeInfo>,
    /// Where its output goes as it comes, if the caller wants it.
    pub(crate) output: Option<Output>,
    /// The action is to end now; its answer is replaced by the reason.
    pub(crate) stop: CancellationToken,
}

impl Registry {
    /// The agent `node`, these built-in agents, and those of each folder. An agent that cannot be used costs only itself.
    pub fn load(builtin: &[Builtin], folders: &[PathBuf]) -> Self {
        Self::load_again(builtin, folders, &Self::default())
    }

    /// The same; agents whose schema is as it was are taken from an earlier registry, since to read one costs much more
    /// memory than to keep it.
    pub(crate) fn load_again(builtin: &[Builtin], folders: &[PathBuf], earlier: &Self) -> Self {
        let mut registry = Self::default();
        registry.insert_builtin("node", earlier, node::agent);
        for builtin in builtin {
            registry.insert_builtin(builtin.name(), earlier, || builtin.agent());
        }
        registry.insert_functions(earlier);
        for folder in folders {
            for found in load::folder(folder, earlier) {
                match found {
                    Ok((Found::Agent(agent), path)) => registry.insert(agent, &path),
                    Ok((Found::Function(function), path)) => registry.insert_function(function, &path),
                    Err(problem) => registry.problems.push(problem),
                }
            }
        }
        registry
    }

    /// The data functions of the node itself and of its built-in agents; as they were where these agents are as they were.
    fn insert_functions(&mut self, earlier: &Self) {
        let is_same = |name: &AgentName, agent: &Arc<Agent>| {
            earlier.agents.get(name).is_some_and(|before| Arc::ptr_eq(before, agent))
        };
        let own = earlier.agents.values().filter(|agent| agent.is_builtin()).count();
        if own == self.agents.len() && self.agents.iter().all(|(name, agent)| is_same(name, agent)) {
            self.functions = earlier.functions.own();
            return;
        }
        let (functions, problems) = Functions::builtin(&self.agents);
        self.functions = functions;
        self.problems
            .extend(problems.into_iter().map(|problem| Problem::new(Path::new("stdlib/data"), problem)));
    }

    fn insert_function(&mut self, function: Arc<Function>, path: &Path) {
        let name = function.schema.name.clone();
        if !self.functions.insert(function) {
            self.problems
                .push(Problem::new(path, format!("a data function named `{name}` is there already")));
        }
    }

    /// The data functions.
    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    fn insert_builtin(&mut self, name: &str, earlier: &Self, agent: impl FnOnce() -> Result<Agent, String>) {
        let same = earlier.get(name).filter(|agent| agent.is_builtin()).cloned();
        match same.map_or_else(|| agent().map(Arc::new), Ok) {
            Ok(agent) => self.insert(agent, Path::new(name)),
            Err(error) => self.problems.push(Problem::new(Path::new(name), error)),
        }
    }

    /// Adds an agent of the program that embeds the node; gives what is wrong with its schema.
    pub fn add_in_process(&mut self, schema: &str, run: InProcess) -> Result<(), String> {
        let agent = Agent::parse(schema, Kind::Here(Here::Embedded(run)))?;
        self.insert(Arc::new(agent), Path::new("in this process"));
        Ok(())
    }

    fn insert(&mut self, agent: Arc<Agent>, path: &Path) {
        if self.agents.contains_key(&agent.name) {
            self.problems
                .push(Problem::new(path, format!("an agent named `{}` is there already", agent.name)));
            return;
        }
        self.agents.insert(agent.name.clone(), agent);
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
        agents_digest(self.agents.values().map(|agent| (&agent.name, &agent.digest)))
    }
}

impl Agent {
    /// An agent with its schema in JSON.
    pub(super) fn parse(schema: &str, kind: Kind) -> Result<Self, String> {
        let schema = AgentSchema::from_json(schema).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            lines.join("; ")
        })?;
        let name = AgentName::new(&schema.name).map_err(|error| error.to_string())?;
        Ok(Self::new(name, schema, kind))
    }

    pub(crate) fn new(name: AgentName, schema: AgentSchema, kind: Kind) -> Self {
        let digest = Digest::of(schema.canonical().as_bytes());
        Self { name, schema, digest, kind }
    }

    /// Whether it is a function of this process, which answers what changes nothing within a moment.
    pub(crate) fn is_here(&self) -> bool {
        matches!(self.kind, Kind::Here(_))
    }

    pub(crate) fn is_builtin(&self) -> bool {
        matches!(self.kind, Kind::Here(Here::Node) | Kind::Builtin(_))
    }
}

impl Here {
    /// Runs an action to its end.
    pub(crate) fn run(self, job: &Job) -> Answer {
        match self {
            Here::Node => node::run(job),
            Here::Embedded(run) => run(job.work.action.as_str(), &job.work.args),
        }
    }
}

impl Job {
    /// Runs the action to its end. A program is killed at its own time limit.
    pub(crate) async fn run(self) -> Answer {
        match &self.work.agent.kind {
            Kind::Here(here) => here.run(&self),
            Kind::Builtin(builtin) => builtin.run(&self).await,
            Kind::External { executable, .. } => external::run(&self, executable).await,
        }
    }
}
