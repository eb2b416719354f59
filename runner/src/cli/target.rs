//! From filter flags to the nodes of a call.

use std::io::Read;
use std::path::Path;

use orch_wire::ids::NodeName;
use orch_wire::nodeset::{Limit, names_from_lines, names_from_results};
use orch_wire::query::filter::{Filter, FilterError};
use serde_json::Value;

use super::failure::{Failure, chain};
use super::flags::FilterFlags;
use super::fleet::Connection;
use crate::client::{CallReport, Discovery, Scope};
use crate::diagnostic::{Code, Diagnostic, SourceText, Span};
use crate::exit::Exit;

/// Longest list of nodes that is read.
const LIST_BYTES: u64 = 64 * 1024 * 1024;

/// What the flags ask for, checked before anything is opened.
#[derive(Debug, Clone)]
pub(super) struct Target {
    scope: Scope,
    /// Only these of the nodes found.
    among: Option<Vec<NodeName>>,
    limit: Option<(Limit, Option<u64>)>,
}

impl Target {
    pub(super) fn of(flags: &FilterFlags) -> Result<Self, Failure> {
        let filter = flags.filter();
        let listed = flags.nodes.as_deref().map(read_list).transpose()?;
        let (scope, among) = match (listed, plain_names(&filter)?) {
            (Some(names), _) => of_list(names, &filter)?,
            (None, Some(names)) => (Scope::Nodes(names), None),
            (None, None) => match filter.query().map_err(malformed)? {
                Some(query) => (Scope::Query(query), None),
                None => (Scope::All, None),
            },
        };
        let limit = match flags.one {
            true => Some("1".parse().map_err(|e| Failure::of(Exit::Internal, &e))?),
            false => flags.limit,
        };
        Ok(Self { scope, among, limit: limit.map(|limit| (limit, flags.seed)) })
    }

    /// The nodes that flags name exactly.
    pub(super) fn nodes(names: Vec<NodeName>) -> Self {
        Self { scope: Scope::Nodes(names), among: None, limit: None }
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
            found.nodes.retain(|node| among.binary_search(node).is_ok());
            found.unanswered.retain(|node| among.binary_search(node).is_ok());
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

fn plain_names(filter: &Filter) -> Result<Option<Vec<NodeName>>, Failure> {
    filter.identities_only().map_err(malformed)?.map(node_names).transpose()
}

/// A list of nodes is the set; further filters leave those of it that match.
fn of_list(names: Vec<NodeName>, filter: &Filter) -> Result<(Scope, Option<Vec<NodeName>>), Failure> {
    let by_name = Filter { identities: filter.identities.clone(), ..Filter::default() };
    let mut kept = Vec::new();
    for name in names {
        if by_name.matches_name(name.as_str()).map_err(malformed)? {
            kept.push(name);
        }
    }
    kept.sort();
    kept.dedup();
    match (Filter { identities: Vec::new(), ..filter.clone() }).query().map_err(malformed)? {
        Some(query) => Ok((Scope::Query(query), Some(kept))),
        None => Ok((Scope::Nodes(kept), None)),
    }
}

fn malformed(error: FilterError) -> Failure {
    let FilterError { flag, value, error } = error;
    if value.is_empty() {
        let failure = Failure::usage(format!("`{flag}`: {error}"));
        return match error.help {
            Some(help) => failure.help(help),
            None => failure,
        };
    }
    let place = place(&value, error.span);
    let text = SourceText::new(flag, &value);
    let message = format!("the value of `{flag}` does not parse: {}", error.message);
    let mut diagnostic = Diagnostic::error(Code::Query, message).at(&text, place);
    diagnostic.help.extend(error.help);
    Failure::shown_as(Exit::Usage, diagnostic)
}

/// Bytes of a text as line, column and length.
fn place(text: &str, bytes: std::ops::Range<usize>) -> Span {
    let before = text.get(..bytes.start).unwrap_or(text);
    let last = before.rsplit('\n').next().unwrap_or_default();
    let length = text.get(bytes).and_then(|at| at.lines().next()).map_or(0, |at| at.chars().count());
    Span {
        line: before.matches('\n').count().saturating_add(1),
        column: last.chars().count().saturating_add(1),
        length,
    }
}

/// Names as node names.
pub(super) fn node_names(names: Vec<String>) -> Result<Vec<NodeName>, Failure> {
    names.iter().map(|name| NodeName::new(name).map_err(|e| Failure::of(Exit::Usage, &e))).collect()
}

fn read_list(path: &Path) -> Result<Vec<NodeName>, Failure> {
    let stdin = path == Path::new("-");
    let said = if stdin { "standard input".to_owned() } else { path.display().to_string() };
    let fault = |what: String| Failure::usage(format!("--nodes: {said}: {what}"));
    let mut text = String::new();
    let read = if stdin {
        std::io::stdin().lock().take(LIST_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LIST_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| fault(chain(&error)))?;
    let names = if stdin { names_of_results(&text) } else { names_from_lines(&text).map_err(|e| chain(&e)) };
    node_names(names.map_err(fault)?)
}

/// Lines, a JSON list, or what `--format json` of an earlier command wrote.
fn names_of_results(text: &str) -> Result<Vec<String>, String> {
    let parsed =
        if text.trim_start().starts_with('{') { serde_json::from_str::<Value>(text).ok() } else { None };
    let Some(document) = parsed else { return names_from_results(text).map_err(|e| chain(&e)) };
    if let Some(results) = document.get("results") {
        return names_from_results(&results.to_string()).map_err(|e| chain(&e));
    }
    let names = document.get("nodes").and_then(Value::as_array);
    let names = names.ok_or("there are neither `results` nor `nodes` in it")?;
    let lines: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    names_from_lines(&lines.join("\n")).map_err(|e| chain(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_characters_from_one() {
        assert_eq!(place("ü and", 3..6), Span { line: 1, column: 3, length: 3 });
        assert_eq!(place("a\nbc )", 5..6), Span { line: 2, column: 4, length: 1 });
        assert_eq!(place("a", 1..1), Span { line: 1, column: 2, length: 0 });
        assert_eq!(place("ü", 1..9), Span { line: 1, column: 2, length: 0 });
    }

    #[test]
    fn what_a_command_wrote_is_a_list_for_the_next() {
        let call = r#"{"agent": "node", "results": [{"node": "web1"}, {"node": "web2"}]}"#;
        let find = r#"{"nodes": ["web1", "web2"], "unanswered": ["db1"]}"#;
        for text in [call, find, "web1\nweb2 # second\n", r#"[{"sender": "web1"}, {"certname": "web2"}]"#] {
            assert_eq!(names_of_results(text).unwrap(), ["web1", "web2"], "{text}");
        }
        for bad in ["{}", "{", r#"{"results": [{}]}"#, "a/b"] {
            assert!(names_of_results(bad).is_err(), "{bad}");
        }
    }
}
