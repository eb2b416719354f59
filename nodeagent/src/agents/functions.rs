//! Data functions: what queries and policies can ask of a node beyond its facts.
//!
//! Those of `fact`, `agent` and `collective` are answered from memory. Each of the others is an action that reads: of the built-in
//! agent that knows, or of a program, to which the function looks like an agent of one action.

use std::collections::BTreeMap;
use std::sync::Arc;

use orch_wire::body::{Answer, Ending};
use orch_wire::ids::{ActionName, AgentName};
use orch_wire::query::{DataFunction, NodeView, lookup_fact};
use serde_json::{Map, Value, json};

use super::builtin::Builtin;
use super::registry::{Agent, Kind};

/// One function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) schema: DataFunction,
    pub(crate) source: Source,
}

/// Where its answers come from.
#[derive(Debug)]
pub(crate) enum Source {
    Memory(Memory),
    Action {
        agent: Arc<Agent>,
        action: ActionName,
        /// The input that takes the argument.
        input: &'static str,
    },
}

/// What is asked of the node's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Memory {
    Agent,
    Collective,
    Fact,
}

/// Functions that every node has.
const MEMORY: [(Memory, &str); 3] = [
    (Memory::Agent, include_str!("../../../stdlib/data/agent.json")),
    (Memory::Collective, include_str!("../../../stdlib/data/collective.json")),
    (Memory::Fact, include_str!("../../../stdlib/data/fact.json")),
];

/// Functions that come with a built-in agent: its action, and the input that takes the argument.
const ACTIONS: [(Builtin, &str, &str, &str); 5] = [
    (Builtin::File, "query", "path", include_str!("../../../stdlib/data/file.json")),
    (Builtin::Package, "status", "package", include_str!("../../../stdlib/data/package.json")),
    (Builtin::Process, "count", "pattern", include_str!("../../../stdlib/data/process.json")),
    (Builtin::Puppet, "status", "", include_str!("../../../stdlib/data/puppet.json")),
    (Builtin::Service, "status", "service", include_str!("../../../stdlib/data/service.json")),
];

/// The functions of a node, by name and alias.
#[derive(Debug, Default)]
pub(crate) struct Functions(BTreeMap<String, Arc<Function>>);

impl Functions {
    /// Those of the node itself and of its built-in agents; gives what is wrong with their schemas.
    pub(super) fn builtin(agents: &BTreeMap<AgentName, Arc<Agent>>) -> (Self, Vec<String>) {
        let (mut functions, mut problems) = (Self::default(), Vec::new());
        let memory = MEMORY.iter().map(|(memory, schema)| (*schema, Ok(Source::Memory(*memory))));
        let actions = ACTIONS.iter().filter_map(|(builtin, action, input, schema)| {
            let agent = agents.get(builtin.name())?;
            matches!(agent.kind, Kind::Builtin(kind) if kind == *builtin).then(|| {
                let action = ActionName::new(action).map_err(|error| error.to_string());
                (*schema, action.map(|action| Source::Action { agent: Arc::clone(agent), action, input }))
            })
        });
        for (schema, source) in memory.chain(actions) {
            match source.and_then(|source| Ok(Function { schema: parse(schema)?, source })) {
                Ok(function) => drop(functions.insert(Arc::new(function))),
                Err(problem) => problems.push(problem),
            }
        }
        (functions, problems)
    }

    /// Without those that are not built in.
    pub(super) fn own(&self) -> Self {
        let is_own = |function: &Function| match &function.source {
            Source::Memory(_) => true,
            Source::Action { agent, .. } => agent.is_builtin(),
        };
        Self(
            self.0
                .iter()
                .filter(|(_, function)| is_own(function))
                .map(|(n, f)| (n.clone(), Arc::clone(f)))
                .collect(),
        )
    }

    /// Adds a function under all names that are free; false where its own is not.
    pub(super) fn insert(&mut self, function: Arc<Function>) -> bool {
        if self.0.contains_key(&function.schema.name) {
            return false;
        }
        for name in std::iter::once(&function.schema.name).chain(&function.schema.aliases) {
            self.0.entry(name.clone()).or_insert_with(|| Arc::clone(&function));
        }
        true
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Function>> {
        self.0.get(name)
    }

    /// All names, aliases too, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn parse(schema: &str) -> Result<DataFunction, String> {
    DataFunction::from_json(schema)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

impl Function {
    /// A function that a program answers.
    pub(super) fn external(schema: DataFunction, kind: Kind) -> Result<Self, String> {
        let name = AgentName::new(&schema.name).map_err(|error| error.to_string())?;
        let action = ActionName::new(DataFunction::ACTION).map_err(|error| error.to_string())?;
        let agent = Arc::new(Agent::new(name, schema.as_agent().clone(), kind));
        Ok(Self { schema, source: Source::Action { agent, action, input: DataFunction::ACTION } })
    }

    /// Whether it is run so.
    pub(super) fn is_of(&self, kind: &Kind) -> bool {
        matches!(&self.source, Source::Action { agent, .. } if agent.kind.is_same_program(kind))
    }

    /// What an action answered, as the outputs of the function.
    ///
    /// # Errors
    /// With the reason for which there is no answer.
    pub(crate) fn outputs(&self, answer: Answer) -> Result<Map<String, Value>, String> {
        if answer.ending != Some(Ending::Ok) {
            return Err(answer.message);
        }
        let wrong = |output: String| format!("its output `{output}` is not of the type in its schema");
        self.schema.outputs(answer.data).map_err(wrong)
    }
}

impl Memory {
    /// The answer to a question whose argument is one that the function takes.
    pub(crate) fn answer(
        self,
        argument: &str,
        node: &NodeView<'_>,
        version: Option<&str>,
    ) -> Map<String, Value> {
        let (output, value) = match self {
            Memory::Agent => ("version", version.map_or(Value::Null, Value::from)),
            Memory::Collective => ("member", json!(node.collectives.iter().any(|name| name == argument))),
            Memory::Fact => ("value", lookup_fact(node.facts, argument).cloned().unwrap_or_default()),
        };
        [(output.to_owned(), value)].into_iter().collect()
    }
}
