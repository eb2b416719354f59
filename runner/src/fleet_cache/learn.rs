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

/// Time for all questions together: whoever waits for a script waits for them.
const LIMIT: Duration = Duration::from_millis(1500);
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
    /// What cannot be learnt stays unknown. Where nothing is new, nothing is sent.
    pub async fn learn(&mut self, session: &Session, wanted: impl Fn(&str) -> bool) -> bool {
        let Some(cards) = roster(session).await else { return false };
        let changed = self.index.follow(&cards);
        let now = now();
        let cancel = CancellationToken::new();
        let asker = Asker { session, cancel: cancel.clone() };
        let mut index = std::mem::take(&mut self.index);
        let asking = async {
            let first_facts = index.fact_names().next().is_none();
            let lists = asker.agents(&cards, &mut index, now);
            let facts = async {
                match first_facts {
                    true => asker.facts(&of_unknown_facts(&cards, None, now, NODES)).await,
                    false => Vec::new(),
                }
            };
            let (lists, facts) = tokio::join!(lists, facts);
            let mut learnt = !facts.is_empty() || lists.learnt;
            for (digest, names) in facts {
                index.add_facts(digest, names, now);
            }
            let schemas = asker.schemas(&cards, &mut index, &self.store, wanted, now).await;
            learnt |= schemas.learnt;
            (learnt, lists.asked || schemas.asked || learnt)
        };
        let (learnt, is_other) = within(LIMIT, &cancel, asking).await;
        self.index = index;
        if changed != Changed::Nothing || is_other {
            self.keep();
        }
        learnt || changed == Changed::Agents
    }

    /// Asks some more nodes for the names of their facts. It may be dropped at any time.
    pub async fn learn_facts(&mut self, session: &Session) {
        let Some(cards) = roster(session).await else { return };
        let now = now();
        let unknown = of_unknown_facts(&cards, Some(&self.index), now, MORE_NODES);
        if unknown.is_empty() {
            return;
        }
        let cancel = CancellationToken::new();
        let asker = Asker { session, cancel: cancel.clone() };
        let told = within(LIMIT, &cancel, asker.facts(&unknown)).await;
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

/// Waits for something that ends soon after it is cancelled, and cancels it when its time is over.
async fn within<T>(limit: Duration, cancel: &CancellationToken, asking: impl Future<Output = T>) -> T {
    let mut asking = std::pin::pin!(asking);
    tokio::select! {
        told = &mut asking => told,
        () = tokio::time::sleep(limit) => {
            cancel.cancel();
            asking.await
        }
    }
}

/// What the cards of the nodes say. A roster that has not settled is not waited for: that is for whoever calls.
async fn roster(session: &Session) -> Option<Vec<NodeCard>> {
    let fleet = tokio::time::timeout(LIMIT, session.fleet(silent())).await.ok()?.ok()?;
    Some(fleet.cards).filter(|cards| !cards.is_empty())
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

/// Whether nodes were asked, and whether anything came of it.
#[derive(Debug, Clone, Copy)]
struct Asked {
    asked: bool,
    learnt: bool,
}

struct Asker<'a> {
    session: &'a Session,
    cancel: CancellationToken,
}

impl Asker<'_> {
    /// Asks one node of each group whose agents are not known.
    async fn agents(&self, cards: &[NodeCard], index: &mut Index, now: u64) -> Asked {
        let mut nodes: BTreeMap<NodeName, Digest> = BTreeMap::new();
        for group in index.groups.iter_mut().filter(|group| group.agents.is_none()) {
            let here: Vec<&NodeCard> =
                cards.iter().filter(|card| card.here && card.agents == group.digest).collect();
            // Another one each time: the one before may have been the fault.
            let turn = usize::try_from(now).unwrap_or_default().checked_rem(here.len());
            if let Some(card) = turn.and_then(|turn| here.get(turn))
                && nodes.len() < NODES
                && group.may_be_asked(now)
            {
                nodes.insert(card.node.clone(), group.digest);
            }
        }
        let mut lists = Asked { asked: !nodes.is_empty(), learnt: false };
        for answer in self.ask("agents", Map::new(), nodes.keys().cloned().collect()).await {
            let group = index.groups.iter_mut().find(|group| nodes.get(&answer.node) == Some(&group.digest));
            if let (Some(group), Some(told)) = (group, answer.data.get("agents")) {
                lists.learnt |= group.take(told);
            }
        }
        lists
    }

    /// Asks for the schemas that lists name and that are not kept.
    async fn schemas(
        &self,
        cards: &[NodeCard],
        index: &mut Index,
        store: &Store,
        wanted: impl Fn(&str) -> bool,
        now: u64,
    ) -> Asked {
        let mut missing: Vec<(AgentName, Digest, NodeName)> = Vec::new();
        for group in &index.groups {
            let Some(card) = cards.iter().find(|card| card.here && card.agents == group.digest) else {
                continue;
            };
            let agents = group.agents.iter().flatten().filter(|listed| wanted(listed.name.as_str()));
            for listed in agents {
                let is_new = !missing.iter().any(|(_, digest, _)| *digest == listed.schema);
                if is_new && index.may_ask_for(listed.schema, now) && !store.has(listed.schema) {
                    missing.push((listed.name.clone(), listed.schema, card.node.clone()));
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
        Asked { asked: !missing.is_empty(), learnt }
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
        if nodes.is_empty() || self.cancel.is_cancelled() {
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
        let report = self.session.call(request, silent(), self.cancel.clone()).await;
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
