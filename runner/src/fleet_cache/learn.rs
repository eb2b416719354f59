//! Asking nodes for what their cards name and nobody here has seen: one node of each kind, and not for long.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use orch_link::entropy;
use orch_wire::ids::{ActionName, AgentName, Digest, NodeName};
use orch_wire::outcome::NodeResult;
use orch_wire::schema::{AgentSchema, MAX_SCHEMA};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::facts;
use super::index::{Changed, Index};
use super::memory::Memory;
use super::store::Store;
use crate::client::{CallRequest, EventSink, Manner, NodeCard, Scope, Session};

/// Time for one question, of which there are two in a row: whoever waits for a script waits for them.
const LIMIT: Duration = Duration::from_millis(700);
/// Nodes of one kind that are asked for their agents: one may hang.
const TRIED: usize = 2;
/// Most nodes that are asked for their agents, or for their facts, at once.
const NODES: usize = 16;
/// Most nodes that are asked for their facts while a script runs.
const MORE_NODES: usize = 32;
/// Most schemas that are asked for at once.
const SCHEMAS: usize = 64;

impl Memory {
    /// Follows the roster of a session that was opened, and asks nodes for what is new; tells whether other agents or facts are
    /// known than before. Schemas of agents that are not `wanted` are not asked for.
    ///
    /// What cannot be learnt stays unknown. Where nothing is new, nothing is sent. Whoever needs what is not known says where to
    /// tell that it is `waiting`: a roster that has not settled is waited for, and nodes that gave nothing are asked again.
    pub async fn learn(
        &mut self,
        session: &Session,
        wanted: impl Fn(&str) -> bool,
        waiting: Option<EventSink>,
    ) -> bool {
        let insists = waiting.is_some();
        let Some(cards) = roster(session, waiting).await else { return false };
        let changed = self.index.follow(&cards);
        let (now, asker) = (now(), Asker { session, insists });
        let first = match self.index.fact_names().next() {
            Some(_) => HashMap::new(),
            None => of_unknown_facts(&cards, None, now, NODES),
        };
        let (lists, facts) = tokio::join!(asker.agents(&cards, &mut self.index, now), asker.facts(&first));
        let has_facts = !facts.is_empty();
        for (digest, names) in facts {
            self.index.add_facts(digest, names, now);
        }
        let schemas = asker.schemas(&cards, &mut self.index, &self.store, wanted, &lists, now).await;
        if changed != Changed::Nothing || has_facts || lists.asked || schemas.asked {
            self.keep();
        }
        changed == Changed::Agents || has_facts || !lists.answered.is_empty() || schemas.learnt
    }

    /// Asks some more nodes for the names of their facts. It may be dropped at any time.
    pub async fn learn_facts(&mut self, session: &Session) {
        let Some(cards) = roster(session, None).await else { return };
        let now = now();
        let unknown = of_unknown_facts(&cards, Some(&self.index), now, MORE_NODES);
        if unknown.is_empty() {
            return;
        }
        let told = Asker { session, insists: false }.facts(&unknown).await;
        if told.is_empty() {
            return;
        }
        for (digest, names) in told {
            self.index.add_facts(digest, names, now);
        }
        self.keep();
    }
}

fn now() -> u64 {
    entropy::now().millis() / 1000
}

/// What the cards of the nodes say.
async fn roster(session: &Session, waiting: Option<EventSink>) -> Option<Vec<NodeCard>> {
    let fleet = match waiting {
        Some(events) => session.fleet(events).await,
        None => tokio::time::timeout(LIMIT, session.fleet(silent())).await.ok()?,
    };
    Some(fleet.ok()?.cards).filter(|cards| !cards.is_empty())
}

fn silent() -> EventSink {
    Arc::new(|_| {})
}

/// Nodes to ask for their facts, with the digests of these: one of each that is not known, in no order that means anything.
fn of_unknown_facts(
    cards: &[NodeCard],
    index: Option<&Index>,
    now: u64,
    most: usize,
) -> HashMap<NodeName, Digest> {
    let mut seen = HashSet::new();
    let mut unknown: Vec<&NodeCard> = cards
        .iter()
        .filter(|card| card.here && !index.is_some_and(|index| index.knows_facts(card.facts, now)))
        .filter(|card| seen.insert(card.facts))
        .collect();
    unknown.sort_by_cached_key(|card| card.facts.to_string());
    unknown.into_iter().take(most).map(|card| (card.node.clone(), card.facts)).collect()
}

/// What came of asking for lists of agents.
struct Lists {
    asked: bool,
    /// Nodes that answered truly, with the digests of their agents.
    answered: BTreeMap<NodeName, Digest>,
}

/// What came of asking for schemas.
struct Schemas {
    asked: bool,
    learnt: bool,
}

struct Asker<'a> {
    session: &'a Session,
    /// Whether nodes are asked again that gave nothing a while ago.
    insists: bool,
}

impl Asker<'_> {
    /// Asks of each group whose agents are not known.
    async fn agents(&self, cards: &[NodeCard], index: &mut Index, now: u64) -> Lists {
        let mut nodes: BTreeMap<NodeName, Digest> = BTreeMap::new();
        for group in index.groups.iter_mut().filter(|group| group.agents.is_none()) {
            let here: Vec<&NodeCard> =
                cards.iter().filter(|card| card.here && card.agents == group.digest).collect();
            // Others each time: those before may have been the fault.
            let Some(turn) = usize::try_from(now).unwrap_or_default().checked_rem(here.len()) else {
                continue;
            };
            if nodes.len() < NODES && (group.may_be_asked(now) || self.insists) {
                let chosen = here.iter().cycle().skip(turn).take(here.len().min(TRIED));
                nodes.extend(chosen.map(|card| (card.node.clone(), card.agents)));
            }
        }
        let asked = !nodes.is_empty();
        let answers = self.ask("agents", Map::new(), nodes.keys().cloned().collect()).await;
        let mut answered = BTreeMap::new();
        for answer in answers {
            let group = index.groups.iter_mut().find(|group| nodes.get(&answer.node) == Some(&group.digest));
            if let (Some(group), Some(told)) = (group, answer.data.get("agents"))
                && group.take(told)
            {
                answered.insert(answer.node, group.digest);
            }
        }
        Lists { asked, answered }
    }

    /// Asks for the schemas that lists name and that are not kept.
    async fn schemas(
        &self,
        cards: &[NodeCard],
        index: &mut Index,
        store: &Store,
        wanted: impl Fn(&str) -> bool,
        lists: &Lists,
        now: u64,
    ) -> Schemas {
        let mut missing: Vec<(AgentName, Digest, NodeName)> = Vec::new();
        for group in &index.groups {
            // Who has just answered will again.
            let answered = lists.answered.iter().find(|(_, digest)| **digest == group.digest);
            let here = || cards.iter().find(|card| card.here && card.agents == group.digest);
            let Some(node) = answered.map(|(node, _)| node).or_else(|| here().map(|card| &card.node)) else {
                continue;
            };
            let agents = group.agents.iter().flatten().filter(|listed| wanted(listed.name.as_str()));
            for listed in agents {
                let is_new = !missing.iter().any(|(_, digest, _)| *digest == listed.schema);
                let may = self.insists || index.may_ask_for(listed.schema, now);
                if is_new && may && !store.has(listed.schema) {
                    missing.push((listed.name.clone(), listed.schema, node.clone()));
                }
            }
        }
        missing.truncate(SCHEMAS);
        let questions = missing.iter().map(|(name, digest, node)| async move {
            let args = Map::from_iter([("agent".to_owned(), Value::from(name.as_str()))]);
            let answers = self.ask("schema", args, vec![node.clone()]).await;
            let told = answers.into_iter().find_map(|mut answer| answer.data.remove("schema"));
            let text = told.and_then(|told| truly(told, name, *digest));
            text.is_some_and(|text| {
                store.keep_schema(&text);
                true
            })
        });
        let kept = join_all(questions).await;
        for ((_, digest, _), _) in missing.iter().zip(&kept).filter(|(_, is_kept)| !**is_kept) {
            index.refused(*digest, now);
        }
        let learnt = kept.contains(&true);
        if learnt {
            store.tidy();
        }
        Schemas { asked: !missing.is_empty(), learnt }
    }

    /// Names of the facts of these nodes.
    async fn facts(&self, nodes: &HashMap<NodeName, Digest>) -> Vec<(Digest, Vec<String>)> {
        let answers = self.ask("facts", Map::new(), nodes.keys().cloned().collect()).await;
        let names = |answer: NodeResult| {
            let facts = answer.data.get("facts")?.as_object()?;
            Some((*nodes.get(&answer.node)?, facts::names(facts).into_iter().collect()))
        };
        answers.into_iter().filter_map(names).collect()
    }

    /// The good answers of an action of the agent `node`.
    async fn ask(&self, action: &str, args: Map<String, Value>, nodes: Vec<NodeName>) -> Vec<NodeResult> {
        if nodes.is_empty() {
            return Vec::new();
        }
        let (Ok(agent), Ok(action)) = (AgentName::new("node"), ActionName::new(action)) else {
            return Vec::new();
        };
        let request = CallRequest {
            scope: Scope::Nodes(nodes),
            run: self.session.run(),
            agent,
            action,
            args,
            timeout: LIMIT,
            write: false,
            script: None,
            commit: None,
            dry_run: false,
            manner: Manner::default(),
            resend: None,
        };
        let cancel = CancellationToken::new();
        let mut calling = std::pin::pin!(self.session.call(request, silent(), cancel.clone()));
        let report = tokio::select! {
            report = &mut calling => report,
            () = tokio::time::sleep(LIMIT) => {
                // What has come until now is told.
                cancel.cancel();
                calling.await
            }
        };
        report
            .map(|report| report.results)
            .unwrap_or_default()
            .into_iter()
            .filter(NodeResult::is_ok)
            .collect()
    }
}

/// The text of a schema that is what its digest says, of the agent that it is of, and within the limits of schemas.
fn truly(schema: Value, name: &AgentName, digest: Digest) -> Option<String> {
    let mut schema = schema;
    schema.sort_all_objects();
    let text = schema.to_string();
    let is_true = text.len() <= MAX_SCHEMA && Digest::of(text.as_bytes()) == digest;
    let schema = is_true.then(|| AgentSchema::from_json(&text).ok()).flatten()?;
    (schema.name == name.as_str()).then_some(text)
}
