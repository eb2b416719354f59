//! From filter flags to the nodes of a call.

use std::io::Read;
use std::path::Path;

use orch_wire::ids::NodeName;
use orch_wire::nodeset::{Limit, names_from_lines, names_from_results};
use orch_wire::query::Query;
use orch_wire::query::filter::{Filter, NameFilter};

use super::failure::{Failure, chain};
use super::flags::{Conditions, FilterFlags};
use super::fleet::Connection;
use super::refuse::{self, malformed};
use crate::client::{CallReport, Discovery, Scope};
use crate::exit::Exit;
use crate::report::Printer;
use crate::schemas::Schemas;

/// Longest list of nodes that is read.
const LIST_BYTES: u64 = 64 * 1024 * 1024;

/// What the flags ask for, parsed before anything is opened.
#[derive(Debug, Clone)]
pub(super) struct Target {
    filter: Filter,
    scope: Scope,
    /// Only these of the nodes found.
    among: Option<NameFilter>,
    limit: Option<(Limit, Option<u64>)>,
}

impl Target {
    pub(super) fn of(flags: &FilterFlags) -> Result<Self, Failure> {
        let filter = flags.conditions.filter();
        let (scope, among) = match (listed(&flags.conditions)?, plain_names(&filter)?) {
            (Some(names), _) => match query(&filter.without_names())? {
                Some(query) => (Scope::Query(query), Some(names.into_iter().map(String::from).collect())),
                None => (Scope::Nodes(names), None),
            },
            (None, Some(names)) => (Scope::Nodes(names), None),
            (None, None) => match Asked::of(&filter)? {
                Asked { query: Some(query), names } => (Scope::Query(query), names),
                Asked { query: None, names } => (Scope::All, names),
            },
        };
        let limit = match flags.one {
            true => Some("1".parse().map_err(|e| Failure::of(Exit::Internal, &e))?),
            false => flags.limit,
        };
        Ok(Self { filter, scope, among, limit: limit.map(|limit| (limit, flags.seed)) })
    }

    /// Checks the data functions that the flags ask, before anything is sent; says what is wrong with them.
    pub(super) fn check(&self, schemas: &Schemas, printer: &Printer) -> Result<(), Failure> {
        refuse::check(&self.filter, schemas.functions(), printer)
    }

    /// Whether nothing restricts the nodes: a limit chooses among all of them and restricts nothing, and neither does
    /// `-A mcollective`.
    pub(super) fn is_unfiltered(&self) -> bool {
        matches!(self.scope, Scope::All) && self.among.is_none()
    }

    /// The nodes that flags name exactly.
    pub(super) fn nodes(names: Vec<NodeName>) -> Self {
        Self { filter: Filter::default(), scope: Scope::Nodes(names), among: None, limit: None }
    }

    /// What to call: as the flags say where the nodes may decide, else the nodes that were found.
    pub(super) async fn resolve(&self, fleet: &Connection, write: bool) -> Result<Resolved, Failure> {
        let decided_there = matches!(self.scope, Scope::Query(_)) && !write;
        let as_it_is = decided_there || matches!(self.scope, Scope::Nodes(_)) || !write;
        if as_it_is && self.limit.is_none() && self.among.is_none() {
            return Ok(Resolved { scope: self.scope.clone(), found: Discovery::default() });
        }
        let found = self.discover(fleet).await?;
        Ok(Resolved { scope: Scope::Nodes(found.nodes.clone()), found })
    }

    /// The nodes, found now.
    pub(super) async fn discover(&self, fleet: &Connection) -> Result<Discovery, Failure> {
        let mut found = fleet.discover(self.scope.clone()).await?;
        if let Some(among) = &self.among {
            for names in [&mut found.nodes, &mut found.unanswered, &mut found.away] {
                names.retain(|node| among.matches(node.as_str()));
            }
        }
        if let Some((limit, seed)) = self.limit {
            let names = found.nodes.iter().map(|node| node.as_str().to_owned()).collect();
            found.nodes = node_names(limit.take(names, seed))?;
            found.nodes.sort();
        }
        Ok(found)
    }
}

/// Nodes to call, and what finding them told besides.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) scope: Scope,
    found: Discovery,
}

impl Resolved {
    /// How many nodes were found, where they were looked for.
    pub(super) fn known(&self) -> Option<&[NodeName]> {
        match &self.scope {
            Scope::Nodes(nodes) => Some(nodes),
            Scope::All | Scope::Query(_) => None,
        }
    }

    /// Adds to a call's report what finding its nodes told.
    pub(super) fn complete(self, report: &mut CallReport) {
        for (names, more) in [
            (&mut report.unanswered, self.found.unanswered),
            (&mut report.away, self.found.away),
            (&mut report.foreign, self.found.foreign),
        ] {
            names.extend(more);
            names.sort();
            names.dedup();
        }
        report.interrupted |= self.found.interrupted;
    }
}

/// What the flags ask each node, and what is told from its name without asking.
pub(super) struct Asked {
    pub(super) query: Option<Query>,
    pub(super) names: Option<NameFilter>,
}

impl Asked {
    /// All flags in one query; names of which there are too many for one are left out of it.
    pub(super) fn of(filter: &Filter) -> Result<Self, Failure> {
        let whole = match filter.query() {
            Err(error) if error.is_too_large() && !filter.identities.is_empty() => {
                let names = filter.names().map_err(malformed)?;
                return Ok(Self { query: query(&filter.without_names())?, names });
            }
            whole => whole.map_err(malformed)?,
        };
        Ok(Self { query: whole, names: None })
    }
}

fn query(filter: &Filter) -> Result<Option<Query>, Failure> {
    filter.query().map_err(malformed)
}

fn plain_names(filter: &Filter) -> Result<Option<Vec<NodeName>>, Failure> {
    filter.identities_only().map_err(malformed)?.map(node_names).transpose()
}

/// The names of `--nodes` that `-I` lets pass, in order.
pub(super) fn listed(conditions: &Conditions) -> Result<Option<Vec<NodeName>>, Failure> {
    let Some(path) = &conditions.nodes else { return Ok(None) };
    let mut names = node_names(read_list(path)?)?;
    if let Some(passing) = conditions.filter().names().map_err(malformed)? {
        names.retain(|name| passing.matches(name.as_str()));
    }
    names.sort();
    Ok(Some(names))
}

/// Names as node names.
pub(super) fn node_names(names: Vec<String>) -> Result<Vec<NodeName>, Failure> {
    names.iter().map(|name| NodeName::new(name).map_err(|e| Failure::of(Exit::Usage, &e))).collect()
}

fn read_list(path: &Path) -> Result<Vec<String>, Failure> {
    let stdin = path == Path::new("-");
    let said = if stdin { "standard input".to_owned() } else { path.display().to_string() };
    let fault = |what: String| Failure::usage(format!("--nodes: {said}: {what}"));
    let mut text = String::new();
    // One byte more than allowed is enough to see that it is too much: a list is never cut.
    let most = LIST_BYTES + 1;
    let read = if stdin {
        std::io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    let length = read.map_err(|error| fault(chain(&error)))?;
    if u64::try_from(length).unwrap_or(u64::MAX) > LIST_BYTES {
        return Err(fault(format!("the list is longer than {LIST_BYTES} bytes")));
    }
    let names = if stdin { names_from_results(&text) } else { names_from_lines(&text) };
    names.map_err(|error| fault(chain(&error)))
}
