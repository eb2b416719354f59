//! What is remembered of one fleet: which nodes have which agents, and which facts there are.

use std::collections::{BTreeMap, HashMap};

use orch_wire::card::agents_digest;
use orch_wire::ids::{AgentName, Digest, NodeName};
use orch_wire::limits::TARGET_BYTES;
use orch_wire::nodeset;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts;
use crate::client::NodeCard;

/// Another format is not read.
const FORMAT: u8 = 1;
/// Most sets of agents in one fleet, and most agents of one node, that are remembered.
const GROUPS: usize = 512;
const AGENTS: usize = 256;
/// Longest version that is kept.
const VERSION_CHARS: usize = 40;
/// Most names of facts, and digests of facts whose names are known.
const FACTS: usize = 16_384;
/// A node whose facts have not changed for so many days is asked again, so that names are known to be in use.
const FACTS_DAYS: u64 = 30;
/// A name that no node has told for so many days is forgotten.
const NAME_DAYS: u64 = 45;
/// A node that did not answer, or not truly, is not asked again for so many seconds.
const RETRY: u64 = 600;
const DAY: u64 = 24 * 3600;

/// What is remembered of one fleet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    format: u8,
    /// Digest of the nodes with their agents, by which a roster is seen to be as it was.
    roster: Option<Digest>,
    pub(super) groups: Vec<Group>,
    /// Schemas that a node did not give, or that cannot be used, each with the second of the last try.
    refused: BTreeMap<String, u64>,
    /// Names of facts, each with the day on which a node last told it.
    facts: BTreeMap<String, u64>,
    /// Beginnings of digests of facts whose names are known, each with the day.
    asked: BTreeMap<String, u64>,
}

/// The nodes that have the same agents.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    /// Digest of the agents.
    pub(super) digest: Digest,
    /// The nodes as a node set; empty where that is too long to keep.
    pub(super) nodes: String,
    pub(super) count: usize,
    /// When one of them was asked last, in seconds.
    asked: u64,
    /// The agents, where they are known: their digest is that of the group.
    pub(super) agents: Option<Vec<Listed>>,
}

/// One agent as a node lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    pub(super) name: AgentName,
    pub(super) version: String,
    /// Digest of its schema.
    pub(super) schema: Digest,
}

/// What a roster has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Changed {
    Nothing,
    /// Other nodes have the agents that were there before.
    Nodes,
    /// There are other agents.
    Agents,
}

impl Index {
    /// Reads a file; nothing where it is no index of today's format. What is not what it says of itself is unknown.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut index: Self = serde_json::from_str(text).ok()?;
        if index.format != FORMAT {
            return None;
        }
        index.groups.truncate(GROUPS);
        for group in &mut index.groups {
            let digest = group.digest;
            if group.agents.as_ref().is_some_and(|agents| !are_of(agents, digest)) {
                (group.agents, group.asked) = (None, 0);
            }
        }
        index.facts.retain(|name, _| facts::is_name(name));
        Some(index)
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(&Self { format: FORMAT, ..self.clone() }).unwrap_or_default()
    }

    /// Takes the nodes of a roster with their agents. What no node has any more is forgotten.
    pub(super) fn follow(&mut self, cards: &[NodeCard]) -> Changed {
        let lines: String = cards.iter().map(|card| format!("{} {}\n", card.node, card.agents)).collect();
        let roster = Some(Digest::of(lines.as_bytes()));
        if self.roster == roster {
            return Changed::Nothing;
        }
        self.roster = roster;
        let mut nodes: HashMap<Digest, Vec<&NodeName>> = HashMap::new();
        for card in cards {
            nodes.entry(card.agents).or_default().push(&card.node);
        }
        let mut before: HashMap<Digest, Group> =
            std::mem::take(&mut self.groups).into_iter().map(|group| (group.digest, group)).collect();
        let mut changed = Changed::Nodes;
        for (digest, nodes) in nodes {
            let known = before.remove(&digest);
            if known.is_none() {
                changed = Changed::Agents;
            }
            let folded = nodeset::fold(nodes.iter().map(|node| node.as_str()));
            let group =
                known.unwrap_or(Group { digest, nodes: String::new(), count: 0, asked: 0, agents: None });
            let folded = if folded.len() <= TARGET_BYTES { folded } else { String::new() };
            self.groups.push(Group { nodes: folded, count: nodes.len(), ..group });
        }
        if !before.is_empty() {
            changed = Changed::Agents;
        }
        self.groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.nodes.cmp(&b.nodes)));
        self.groups.truncate(GROUPS);
        changed
    }

    /// Whether a schema may be asked for now.
    pub(super) fn may_ask_for(&self, schema: Digest, now: u64) -> bool {
        self.refused.get(&schema.to_string()).is_none_or(|tried| now.abs_diff(*tried) >= RETRY)
    }

    /// Notes that a schema was asked for in vain.
    pub(super) fn refused(&mut self, schema: Digest, now: u64) {
        self.refused.retain(|_, tried| now.abs_diff(*tried) < RETRY);
        if self.refused.len() < FACTS {
            self.refused.insert(schema.to_string(), now);
        }
    }

    /// Whether it is known of every node which agents it has.
    pub(super) fn is_complete(&self) -> bool {
        self.groups.iter().all(|group| group.agents.is_some()) && self.groups.len() < GROUPS
    }

    /// Adds names of facts that a node told whose facts have this digest.
    pub(super) fn add_facts(&mut self, digest: Digest, names: impl IntoIterator<Item = String>, now: u64) {
        let day = now / DAY;
        for name in names {
            if self.facts.len() < FACTS || self.facts.contains_key(&name) {
                self.facts.insert(name, day);
            }
        }
        if self.asked.len() < FACTS {
            self.asked.insert(short(digest), day);
        }
        self.facts.retain(|_, told| day.saturating_sub(*told) <= NAME_DAYS);
        self.asked.retain(|_, told| day.saturating_sub(*told) <= NAME_DAYS);
    }

    /// Whether the names of facts with this digest are known.
    pub(super) fn knows_facts(&self, digest: Digest, now: u64) -> bool {
        let told = self.asked.get(&short(digest));
        told.is_some_and(|told| (now / DAY).saturating_sub(*told) <= FACTS_DAYS)
    }

    pub(super) fn fact_names(&self) -> impl Iterator<Item = &String> {
        self.facts.keys()
    }

    /// Takes what another process has learnt meanwhile of the same nodes.
    pub(super) fn merge(&mut self, other: Self) {
        for group in &mut self.groups {
            if let Some(same) = other.groups.iter().find(|same| same.digest == group.digest) {
                group.agents = group.agents.take().or_else(|| same.agents.clone());
                group.asked = group.asked.max(same.asked);
            }
        }
        let later = |mine: &mut BTreeMap<String, u64>, other: BTreeMap<String, u64>| {
            for (name, day) in other {
                if mine.len() < FACTS || mine.contains_key(&name) {
                    let mine = mine.entry(name).or_default();
                    *mine = day.max(*mine);
                }
            }
        };
        later(&mut self.facts, other.facts);
        later(&mut self.asked, other.asked);
        later(&mut self.refused, other.refused);
    }
}

impl Group {
    /// Whether a node may be asked now; it is noted.
    pub(super) fn may_be_asked(&mut self, now: u64) -> bool {
        // A clock that was set back does not stop it for longer than that.
        let may = now.abs_diff(self.asked) >= RETRY;
        if may {
            self.asked = now;
        }
        may
    }

    /// Takes a node's list of agents, if it is the one that its card stands for.
    pub(super) fn take(&mut self, told: &Value) -> bool {
        let listed = |agent: &Value| {
            let text = |key: &str| agent.get(key).and_then(Value::as_str);
            Some(Listed {
                name: AgentName::new(text("name")?).ok()?,
                version: text("version")?.chars().take(VERSION_CHARS).collect(),
                schema: text("digest")?.parse().ok()?,
            })
        };
        let Some(list) = told.as_array().filter(|list| list.len() <= AGENTS) else { return false };
        let Some(mut agents) = list.iter().map(listed).collect::<Option<Vec<Listed>>>() else { return false };
        agents.sort_by(|a, b| a.name.cmp(&b.name));
        let is_true = are_of(&agents, self.digest);
        if is_true {
            self.agents = Some(agents);
        }
        is_true
    }
}

fn are_of(agents: &[Listed], digest: Digest) -> bool {
    agents.len() <= AGENTS
        && agents.is_sorted_by(|a, b| a.name < b.name)
        && agents_digest(agents.iter().map(|agent| (&agent.name, &agent.schema))) == digest
}

/// Enough of a digest to tell facts apart by.
fn short(digest: Digest) -> String {
    digest.to_string().chars().take(16).collect()
}
