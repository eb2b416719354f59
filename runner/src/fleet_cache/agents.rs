//! Agents as the nodes describe them.
//!
//! A node may lie about its own agents, and must not thereby decide what other nodes are sent, or how. So the versions of one agent are
//! joined by what cannot do harm: an action is a read only where every node that has it says so, a secret wherever one does. What the
//! arguments may be is the other way round: whatever some version takes passes, and each node refuses what it does not know.

use std::collections::BTreeMap;
use std::sync::Arc;

use orch_wire::ids::Digest;
use orch_wire::nodeset::{fold, unfold};
use orch_wire::schema::{ActionSchema, AgentSchema, Effect, InputSchema, ValueType};

use super::index::Index;
use super::store::Store;

/// Most agents that are read, and bytes of their schemas: those of the most nodes first.
const AGENTS: usize = 128;
const BYTES: usize = 4 * 1024 * 1024;

/// The agents of a fleet, each in the versions that its nodes have.
#[derive(Debug, Clone, Default)]
pub struct FleetAgents {
    agents: BTreeMap<String, Vec<Version>>,
    /// Whether the agents of every node are known.
    is_complete: bool,
}

/// One version of an agent.
#[derive(Debug, Clone)]
pub struct Version {
    /// As the nodes name it; two schemas may go by the same.
    pub version: String,
    /// Digest of the schema.
    pub digest: Digest,
    /// The schema, where it was wanted and could be read.
    pub schema: Option<Arc<AgentSchema>>,
    /// How many nodes have it.
    pub count: usize,
    /// Node sets.
    nodes: Vec<String>,
}

impl FleetAgents {
    /// What an index knows; schemas are read for agents that are `wanted`.
    pub(super) fn of(index: &Index, store: &Store, wanted: impl Fn(&str) -> bool) -> Self {
        let mut agents: BTreeMap<String, Vec<Version>> = BTreeMap::new();
        for group in &index.groups {
            for listed in group.agents.iter().flatten() {
                let versions = agents.entry(listed.name.as_str().to_owned()).or_default();
                let at = versions.iter().position(|version| version.digest == listed.schema);
                let at = at.unwrap_or_else(|| {
                    versions.push(Version {
                        version: listed.version.clone(),
                        digest: listed.schema,
                        schema: None,
                        count: 0,
                        nodes: Vec::new(),
                    });
                    versions.len() - 1
                });
                if let Some(version) = versions.get_mut(at) {
                    version.count = version.count.saturating_add(group.count);
                    version.nodes.push(group.nodes.clone());
                }
            }
        }
        let mut all: Vec<(&String, &mut Vec<Version>)> =
            agents.iter_mut().filter(|(name, _)| wanted(name)).collect();
        let count = |versions: &[Version]| versions.iter().map(|version| version.count).sum::<usize>();
        all.sort_by_key(|(_, versions)| std::cmp::Reverse(count(versions)));
        let mut bytes = 0usize;
        for (name, versions) in all.into_iter().take(AGENTS) {
            versions.sort_by_key(|version| std::cmp::Reverse(version.count));
            for version in versions {
                let text = store.text(version.digest).unwrap_or_default();
                bytes = bytes.saturating_add(text.len());
                if bytes <= BYTES {
                    let schema = AgentSchema::from_json(&text).ok().filter(|schema| schema.name == *name);
                    version.schema = schema.map(Arc::new);
                }
            }
        }
        Self { agents, is_complete: index.is_complete() }
    }

    /// Names of all agents.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.agents.keys().map(String::as_str)
    }

    /// The versions of an agent, that of the most nodes first.
    pub fn versions(&self, agent: &str) -> &[Version] {
        self.agents.get(agent).map(Vec::as_slice).unwrap_or_default()
    }

    /// The agent as calls are checked, where a schema of it can be read.
    pub fn definition(&self, agent: &str) -> Option<AgentSchema> {
        let versions = self.versions(agent);
        let mut schemas = versions.iter().filter_map(|version| version.schema.as_deref());
        let mut joined = schemas.next()?.clone();
        for schema in schemas {
            join(&mut joined, schema);
        }
        // What is not known of one node may be a write there.
        if !self.is_complete || versions.iter().any(|version| version.schema.is_none()) {
            for action in joined.actions.values_mut() {
                action.effect = Effect::Write;
                action.dry_run = false;
            }
        }
        Some(joined)
    }
}

impl Version {
    /// The nodes that have it, as one node set.
    pub fn nodes(&self) -> String {
        let names = unfold(&self.nodes.join(",")).unwrap_or_default();
        if names.is_empty() {
            crate::report::count(self.count, "node")
        } else {
            fold(names.iter().map(String::as_str))
        }
    }

    /// The version, with as much of its digest as tells it apart from others of the same name.
    pub fn told(&self, all: &[Version]) -> String {
        let is_alone = all.iter().filter(|other| other.version == self.version).count() < 2;
        let digest: String = self.digest.to_string().chars().take(8).collect();
        if is_alone { self.version.clone() } else { format!("{} ({digest})", self.version) }
    }
}

/// Adds another version of an agent.
fn join(agent: &mut AgentSchema, other: &AgentSchema) {
    // Too short a limit would cut off what other nodes do; from too long a one there is Ctrl-C.
    agent.timeout = agent.timeout.max(other.timeout);
    agent.open_inputs |= other.open_inputs;
    for (name, action) in &other.actions {
        match agent.actions.get_mut(name) {
            Some(known) => join_action(known, action),
            None => drop(agent.actions.insert(name.clone(), action.clone())),
        }
    }
}

fn join_action(action: &mut ActionSchema, other: &ActionSchema) {
    action.effect = match (action.effect, other.effect) {
        (Effect::Write, _) | (_, Effect::Write) => Effect::Write,
        (Effect::Idempotent, _) | (_, Effect::Idempotent) => Effect::Idempotent,
        (Effect::Read, Effect::Read) => Effect::Read,
    };
    action.dry_run &= other.dry_run;
    action.open_inputs |= other.open_inputs;
    for input in &mut action.inputs {
        match other.input(&input.name) {
            Some(same) => join_input(input, same),
            None => input.optional = true,
        }
    }
    for input in &other.inputs {
        if action.input(&input.name).is_none() {
            action.inputs.push(InputSchema { optional: true, ..input.clone() });
        }
    }
    for output in &other.outputs {
        if action.output(&output.name).is_none() {
            action.outputs.push(output.clone());
        }
    }
}

fn join_input(input: &mut InputSchema, other: &InputSchema) {
    let demand = |input: &InputSchema| input.validation.as_ref().map(orch_wire::schema::Validator::demand);
    if input.kind != other.kind {
        input.kind = ValueType::Any;
    }
    if demand(input) != demand(other) {
        input.validation = None;
    }
    input.max_length = input.max_length.zip(other.max_length).map(|(one, other)| one.max(other));
    for value in &other.list {
        if !input.list.contains(value) {
            input.list.push(value.clone());
        }
    }
    // A default is sent to all nodes: one that not all of them have is nobody's to choose.
    if input.default != other.default {
        input.default = None;
    }
    input.optional |= other.optional;
    input.secret |= other.secret;
}
