//! A set of nodes: how it is described, when it is found out, and how calls on it go.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orch_wire::ids::{ActionName, AgentName, NodeName};
use orch_wire::nodeset::{fold, natural_order};
use serde_json::{Map, Value};

use super::failure::{Failure, Kind, Outcome, interrupted};
use super::group::Group;
use crate::client::{CallError, CallReport, CallRequest, Discovery, Manner, Pace, Scope, Tolerance};
use crate::script::run::{Branch, Output, Run, SharedRun};

/// Options for the calls on a selection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CallOptions {
    /// The action's time limit, instead of the schema's.
    pub(crate) timeout: Option<Duration>,
    /// None where nobody said.
    pub(crate) tolerance: Option<Tolerance>,
    /// Not shown while it runs, nor in the table at the end.
    pub(crate) quiet: bool,
    /// How many nodes at a time, and how often.
    pub(crate) pace: Pace,
    /// Nodes say what they would change, and change nothing.
    pub(crate) dry_run: bool,
}

/// A resolved set.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its nodes, in natural order.
    pub(crate) nodes: Vec<NodeName>,
    /// Those of them that are not here: away, or sealing with another key.
    pub(crate) absent: Vec<NodeName>,
    /// Nodes that are here and did not say whether they belong to it.
    pub(crate) unanswered: Vec<NodeName>,
    /// When they were found out: of a set made of others, the earliest. Not when they were asked for: a broker that was away until then
    /// tells of starts that were before.
    pub(crate) since: Instant,
}

impl Found {
    pub(crate) fn new(
        mut nodes: Vec<NodeName>,
        absent: &[NodeName],
        unanswered: Vec<NodeName>,
        since: Instant,
    ) -> Self {
        nodes.sort_by(|a, b| natural_order(a.as_str(), b.as_str()));
        nodes.dedup();
        let absent: HashSet<&NodeName> = absent.iter().collect();
        let absent = nodes.iter().filter(|node| absent.contains(node)).cloned().collect();
        Self { nodes, absent, unanswered, since }
    }

    fn discovered(discovery: Discovery) -> Self {
        let Discovery { nodes, unanswered, mut away, foreign, .. } = discovery;
        away.extend(foreign);
        Self::new(nodes, &away, unanswered, Instant::now())
    }

    /// What a read that carried its query along found.
    pub(crate) fn answered(report: &CallReport) -> Self {
        let nodes = report.results.iter().map(|result| result.node.clone()).collect();
        let absent: Vec<NodeName> = report.away.iter().chain(&report.foreign).cloned().collect();
        Self::new(nodes, &absent, report.unanswered.clone(), Instant::now())
    }

    /// The part of it that these nodes are.
    fn part(&self, nodes: Vec<NodeName>) -> Self {
        Self::new(nodes, &self.absent, self.unanswered.clone(), self.since)
    }
}

/// What nodes know of themselves, as far as it was asked for: the answer of `node.inventory`, or why there is none.
type Inventories = Arc<Mutex<HashMap<NodeName, Arc<Result<Map<String, Value>, String>>>>>;

struct Members {
    scope: Scope,
    /// The query, or words for where the nodes come from.
    what: String,
    found: Mutex<Option<Arc<Found>>>,
    inventories: Inventories,
}

/// A selection: nodes, and options for the calls on them. Resolved when first needed; clones share what was found.
#[derive(Clone)]
pub(crate) struct Selection {
    pub(crate) run: SharedRun,
    pub(crate) options: CallOptions,
    /// The group of a roll-out that these nodes are of.
    pub(crate) group: Option<Arc<Group>>,
    members: Arc<Members>,
}

impl Selection {
    /// Nodes that are yet to be found out.
    pub(crate) fn described(run: SharedRun, scope: Scope, what: String) -> Self {
        let members = Members { scope, what, found: Mutex::default(), inventories: Inventories::default() };
        Self { run, options: CallOptions::default(), group: None, members: Arc::new(members) }
    }

    /// Nodes that are known.
    pub(crate) fn known(run: SharedRun, found: Found, what: String) -> Self {
        let scope = Scope::Nodes(found.nodes.clone());
        let found = Mutex::new(Some(Arc::new(found)));
        let members = Members { scope, what, found, inventories: Inventories::default() };
        Self { run, options: CallOptions::default(), group: None, members: Arc::new(members) }
    }

    /// Some nodes of this selection, with its options and what is known of them.
    pub(crate) fn part(&self, nodes: Vec<NodeName>, what: String) -> Outcome<Self> {
        let found = self.resolve()?.part(nodes);
        Ok(self.of_found(found, what))
    }

    /// Other nodes, with the options of this selection.
    pub(crate) fn of_found(&self, found: Found, what: String) -> Self {
        let members = Members {
            scope: Scope::Nodes(found.nodes.clone()),
            what,
            found: Mutex::new(Some(Arc::new(found))),
            inventories: self.members.inventories.clone(),
        };
        Self {
            run: self.run.clone(),
            options: self.options,
            group: self.group.clone(),
            members: Arc::new(members),
        }
    }

    /// The same description, yet to be found out.
    pub(crate) fn renewed(&self) -> Self {
        let Members { scope, what, .. } = &*self.members;
        Self::described(self.run.clone(), scope.clone(), what.clone()).with_options(self.options)
    }

    /// The same nodes, with other options.
    pub(crate) fn with_options(self, options: CallOptions) -> Self {
        Self { options, ..self }
    }

    /// The same nodes, as those of a group.
    pub(crate) fn in_group(self, group: Arc<Group>) -> Self {
        Self { group: Some(group), ..self }
    }

    /// The query or words it was made from.
    pub(crate) fn what(&self) -> &str {
        &self.members.what
    }

    /// What a read that is sent now is addressed to.
    pub(crate) fn scope(&self) -> Scope {
        match &*self.found() {
            Some(found) => Scope::Nodes(found.nodes.clone()),
            None => self.members.scope.clone(),
        }
    }

    fn found(&self) -> MutexGuard<'_, Option<Arc<Found>>> {
        self.members.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_resolved(&self) -> bool {
        self.found().is_some()
    }

    /// Names of the nodes, if they are known by now.
    pub(crate) fn known_names(&self) -> Option<Vec<NodeName>> {
        self.found().as_ref().map(|found| found.nodes.clone())
    }

    /// When its nodes were found out, if they are known by now.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.found().as_ref().map(|found| found.since)
    }

    /// Fixes the set to what the answers of a call said, unless it was fixed meanwhile.
    pub(crate) fn fix(&self, found: Found) {
        self.found().get_or_insert_with(|| Arc::new(found));
    }

    /// Finds the nodes out, if they are not known.
    pub(crate) fn resolve(&self) -> Outcome<Arc<Found>> {
        let mut known = self.found();
        if let Some(found) = &*known {
            return Ok(found.clone());
        }
        let run = &self.run;
        Branch::check()?;
        run.say(Output::Resolving { what: self.what().to_owned() });
        let discovery = run.discover(self.members.scope.clone(), self.options.quiet).map_err(|error| {
            run.say(Output::CallLost { quiet: false });
            lost(&error)
        })?;
        run.say(Output::Resolved { what: self.what().to_owned(), found: discovery.clone() });
        if discovery.interrupted {
            return Err(interrupted());
        }
        if !Branch::is_polling() {
            run.state().unanswered += discovery.unanswered.len();
        }
        let found = Arc::new(Found::discovered(discovery));
        *known = Some(found.clone());
        Ok(found)
    }

    /// What a node of this selection knows of itself. The first time, all of its nodes are asked at once.
    pub(crate) fn inventory(&self, node: &NodeName) -> Outcome<Arc<Result<Map<String, Value>, String>>> {
        let lock = || self.members.inventories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(node) {
            return Ok(known.clone());
        }
        let nodes = self.resolve()?.nodes.clone();
        let missing: Vec<NodeName> = {
            let known = lock();
            nodes.into_iter().filter(|node| !known.contains_key(node)).collect()
        };
        let report = ask_inventory(&self.run, missing)?;
        let mut known = lock();
        for result in report.results {
            let name = result.node.clone();
            let inventory = if result.is_ok() {
                Ok(result.data)
            } else {
                let why = if result.message.is_empty() { result.outcome.to_string() } else { result.message };
                Err(format!("{name} did not say what it knows of itself: {why}"))
            };
            known.insert(name, Arc::new(inventory));
        }
        known
            .get(node)
            .cloned()
            .ok_or_else(|| Failure::new(Kind::Usage, format!("{node} is no node of this selection")).into())
    }
}

/// Whoever reads facts gets an error where a node did not answer, so that this call has no part in the exit code itself.
fn ask_inventory(run: &Run, nodes: Vec<NodeName>) -> Outcome<CallReport> {
    Branch::check()?;
    let named = |error: orch_wire::ids::NameError| Failure::new(Kind::Usage, error.to_string());
    let request = CallRequest {
        scope: Scope::Nodes(nodes),
        run: run.fleet.run(),
        agent: AgentName::new("node").map_err(named)?,
        action: ActionName::new("inventory").map_err(named)?,
        args: Map::new(),
        timeout: run.timeout.unwrap_or(Duration::from_secs(10)),
        write: false,
        script: Some(run.digest.clone()),
        commit: run.commit.clone(),
        dry_run: false,
        manner: Manner::default(),
        resend: None,
    };
    let report = run.call(request, true).map_err(|error| lost(&error))?;
    if report.interrupted { Err(interrupted()) } else { Ok(report) }
}

/// The error of a call or discovery that was not made.
pub(crate) fn lost(error: &CallError) -> Failure {
    let failure = Failure::new(Kind::Connection, error.to_string());
    match error {
        CallError::Disconnected(_) => failure.help("check that the broker runs: `orch broker status`"),
        CallError::TooLarge(_) => failure.help("pass less in the arguments, or call fewer nodes at a time"),
        CallError::Unresolved | CallError::Ended => failure,
    }
}

/// Names folded into a node set, for sentences; the rest of many is counted.
pub(crate) fn folded<'a>(names: impl IntoIterator<Item = &'a NodeName>) -> String {
    let text = fold(names.into_iter().map(NodeName::as_str));
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

impl std::fmt::Debug for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selection").field("what", &self.what()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_nodes_are_in_natural_order_and_know_who_is_absent() {
        let names =
            |names: &[&str]| names.iter().map(|name| NodeName::new(name).unwrap()).collect::<Vec<_>>();
        let found = Found::new(
            names(&["web10", "web2", "web2", "db"]),
            &names(&["web2", "x"]),
            Vec::new(),
            Instant::now(),
        );
        assert_eq!(found.nodes, names(&["db", "web2", "web10"]));
        assert_eq!(found.absent, names(&["web2"]));
        assert_eq!(found.part(names(&["db"])).absent, names(&[]));
    }
}
