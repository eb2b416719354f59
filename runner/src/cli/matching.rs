//! `orch match --node FILE FILTER…`: would this node be meant? Offline, by the code that the nodes run.

use std::path::{Path, PathBuf};

use clap::Args;
use orch_wire::ids::CollectiveName;
use orch_wire::query::filter::Filter;
use orch_wire::query::{FaultKind, NodeView, Query, QueryFault};

use super::failure::Failure;
use super::flags::{Conditions, GlobalFlags};
use super::fleet::schemas_at_hand;
use super::refuse;
use super::root::is_json;
use super::script::tell;
use super::target::{Asked, listed};
use crate::config::Environment;
use crate::exit::Exit;
use crate::node_file::{self, NodeFile, NodeFileError};
use crate::report::{MatchView, Printer};
use crate::schemas::Schemas;

const EXAMPLES: &str = "\
Examples:
  orch match --node web1.yaml 'role::web and not cpus < 4'
  orch match --node web1.json -C role::web -F environment=production --explain

The node file is JSON or YAML: `identity`, `facts` (a map), `classes`, `agents` and `collectives`
(lists), `data` (what each data function answers, by its name). Each may be left out.

Exit codes: 0 it matches; 1 it does not; 64 the filter is malformed; 65 the node file is malformed";

/// Tell whether a node that is written down in a file matches, without a fleet
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Match {
    /// The node, as JSON or YAML; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    node: PathBuf,

    /// Queries, as with -S
    #[arg(value_name = "QUERY")]
    texts: Vec<String>,

    #[command(flatten)]
    conditions: Conditions,

    /// The collective that a call would go to
    #[arg(short = 'T', long, value_name = "NAME", help_heading = "Which fleet")]
    collective: Option<CollectiveName>,

    /// Show each term with what the node has, and its truth
    #[arg(long, help_heading = "Output")]
    explain: bool,
}

impl Match {
    pub(super) fn run(
        &self,
        global: &GlobalFlags,
        environment: &Environment,
        printer: &Printer,
    ) -> Result<Exit, Failure> {
        let stdin = Path::new("-");
        if self.node == stdin && self.conditions.nodes.as_deref() == Some(stdin) {
            return Err(Failure::usage("--node and --nodes cannot both read standard input"));
        }
        let mut filter = self.conditions.filter();
        filter.queries.splice(0..0, self.texts.iter().cloned());
        let asked = Asked::of(&filter)?;
        let listed = listed(&self.conditions)?;
        let node = node_file::load(&self.node)?;
        let schemas = schemas_at_hand(global, environment)?;
        check(&filter, &node, &schemas, printer)?;

        for call in asked.query.iter().flat_map(Query::data_calls) {
            if schemas.functions().get(&call.function).is_some() && !node.data.contains_key(&call.function) {
                let function = &call.function;
                printer.warn(&format!(
                    "the node file has no `{function}` under `data`, so that the query is false"
                ));
            }
        }
        let mut others = Vec::new();
        let identity = node.identity.as_ref();
        if let Some(names) = &asked.names {
            let holds = identity.is_some_and(|name| names.matches(name.as_str()));
            others.push(("-I …".to_owned(), holds));
        }
        if let (Some(path), Some(names)) = (&self.conditions.nodes, &listed) {
            let holds = identity.is_some_and(|name| names.binary_search(name).is_ok());
            others.push((format!("--nodes {}", path.display()), holds));
        }
        if let Some(collective) = &self.collective {
            let holds = node.collectives.iter().any(|name| name == collective.as_str());
            others.push((format!("--collective {collective}"), holds));
        }
        let explanation =
            asked.query.as_ref().map(|query| node.seen(|view: &NodeView<'_>| query.explain(view)));
        let view = MatchView {
            node: identity,
            query: asked.query.as_ref(),
            explanation: explanation.as_ref(),
            others: &others,
            explain: self.explain,
        };
        if is_json(printer) {
            printer.json(&view.json());
        } else {
            printer.data(&view.text(printer));
        }
        Ok(if view.is_match() { Exit::Success } else { Exit::Script })
    }
}

/// Refuses what a runner refuses before it sends anything, but for functions that only this node may have.
fn check(filter: &Filter, node: &NodeFile, schemas: &Schemas, printer: &Printer) -> Result<(), Failure> {
    let is_there = |fault: &QueryFault| node.data.contains_key(&fault.call.function);
    let mut refused = false;
    for (text, fault) in filter.check(schemas.functions()) {
        match fault.kind {
            FaultKind::Unknown if is_there(&fault) => continue,
            FaultKind::Refused => refused = true,
            FaultKind::Unknown | FaultKind::NeverTrue => {}
        }
        let stops = fault.kind == FaultKind::Refused;
        let diagnostic = refuse::of_fault(text, fault);
        tell(printer, &if stops { diagnostic } else { diagnostic.as_warning() });
    }
    if refused { Err(Failure::said(Exit::Usage)) } else { Ok(()) }
}

impl From<NodeFileError> for Failure {
    fn from(error: NodeFileError) -> Self {
        match error {
            NodeFileError::Unreadable { .. } => Self::of(Exit::Usage, &error),
            NodeFileError::Malformed { fault, .. } => Self::shown_as(Exit::Data, *fault),
        }
    }
}
