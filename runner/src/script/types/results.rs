//! Results of a call, and one result: values of Rust with iterators of Rust, because an array of a script costs time
//! for each value that is put into it.

use std::sync::Arc;
use std::time::Instant;

use orch_wire::outcome::{Counts, NodeResult, Outcome as Ended};
use orch_wire::query::lookup_fact;
use orch_wire::schema::{ActionSchema, AgentSchema};
use rhai::Dynamic;
use serde_json::{Map, Value};

use super::failure::{Outcome, usage};
use super::values;
use crate::client::CallReport;
use crate::script::nearest::nearest;
use crate::script::run::SharedRun;

/// What a call was and what came of it; shared by all results that were taken from it.
pub(crate) struct Call {
    pub(crate) run: SharedRun,
    /// The agent and its action, or words for what else nodes went through.
    pub(crate) agent: String,
    pub(crate) action: String,
    pub(crate) schema: Option<Arc<AgentSchema>>,
    pub(crate) report: Arc<CallReport>,
    /// When its nodes were found out.
    pub(crate) since: Instant,
}

impl Call {
    /// What the schema says of the action.
    pub(crate) fn action(&self) -> Option<&ActionSchema> {
        self.schema.as_ref()?.action(&self.action)
    }

    /// Name as it is written in a script.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.agent, self.action)
    }
}

/// Results of a call, or some of them.
#[derive(Clone)]
pub(crate) struct Results {
    pub(crate) call: Arc<Call>,
    /// Places in the report.
    picked: Arc<[usize]>,
}

/// The result of one node.
#[derive(Clone)]
pub(crate) struct OneResult {
    call: Arc<Call>,
    at: usize,
}

/// Fields that every result has, whatever the outputs of its action: they win over outputs of the same name.
pub(crate) const OWN_FIELDS: [&str; 7] = ["node", "outcome", "code", "message", "elapsed", "data", "began"];

impl Results {
    /// All results of a call.
    pub(crate) fn all(call: Arc<Call>) -> Self {
        let picked = (0..call.report.results.len()).collect();
        Self { call, picked }
    }

    pub(crate) fn len(&self) -> usize {
        self.picked.len()
    }

    /// The results as the client gave them.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &NodeResult> {
        self.picked.iter().filter_map(|at| self.call.report.results.get(*at))
    }

    /// The results as scripts see them.
    pub(crate) fn each(&self) -> impl Iterator<Item = OneResult> {
        self.picked.iter().map(|at| OneResult { call: self.call.clone(), at: *at })
    }

    /// Those for which it holds.
    pub(crate) fn only(&self, holds: impl Fn(&NodeResult) -> bool) -> Self {
        let holds = |at: &&usize| self.call.report.results.get(**at).is_some_and(&holds);
        Self { call: self.call.clone(), picked: self.picked.iter().filter(holds).copied().collect() }
    }

    /// Those that ended so.
    pub(crate) fn ended(&self, outcome: Ended) -> Self {
        self.only(|result| result.outcome == outcome)
    }

    /// These, in this order.
    pub(crate) fn reordered(&self, results: &[OneResult]) -> Self {
        Self { call: self.call.clone(), picked: results.iter().map(|result| result.at).collect() }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts::of(self.iter().map(|result| result.outcome))
    }

    /// Values of a field, each with its result; null where a node did not give it.
    pub(crate) fn field<'a>(&'a self, name: &'a str) -> Outcome<Vec<(&'a NodeResult, Value)>> {
        self.check_field(name)?;
        Ok(self.iter().map(|result| (result, field(result, name).unwrap_or(Value::Null))).collect())
    }

    /// Refuses a name that neither the schema nor any node knows.
    fn check_field(&self, name: &str) -> Outcome<()> {
        let root = name.split('.').next().unwrap_or(name);
        let declared = |action: &ActionSchema| action.output(name).or(action.output(root)).is_some();
        let known = OWN_FIELDS.contains(&root)
            || self.call.action().is_some_and(declared)
            || self.iter().any(|result| field(result, name).is_some());
        if known || self.len() == 0 { Ok(()) } else { Err(unknown_field(&self.call, name)) }
    }

    pub(crate) fn to_json(&self) -> Value {
        self.iter().map(result_to_json).collect()
    }
}

impl OneResult {
    /// The result as the client gave it. Its place comes from the report itself.
    pub(crate) fn get(&self) -> Outcome<&NodeResult> {
        self.call.report.results.get(self.at).ok_or_else(|| usage("the result is gone"))
    }

    /// The fallback for properties: an output of the action by its name.
    pub(crate) fn output(&self, name: &str) -> Outcome<Dynamic> {
        let result = self.get()?;
        match field(result, name) {
            Some(value) => Ok(values::from_json(&value)),
            // Known, but this node did not say: it failed, or is of another version.
            None if self.call.action().is_some_and(|action| action.output(name).is_some()) => {
                Ok(Dynamic::UNIT)
            }
            None => Err(unknown_field(&self.call, name)),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        self.get().map(result_to_json).unwrap_or_default()
    }
}

fn result_to_json(result: &NodeResult) -> Value {
    serde_json::to_value(result).unwrap_or_default()
}

/// A field of a result: orch's own, an output, or a path into a structured output.
pub(crate) fn field(result: &NodeResult, name: &str) -> Option<Value> {
    Some(match name {
        "node" => result.node.as_str().into(),
        "outcome" => result.outcome.to_string().into(),
        "code" => result.code.clone().into(),
        "message" => result.message.clone().into(),
        "elapsed" => result.elapsed.as_secs_f64().into(),
        "began" => result.began.into(),
        "data" => Value::Object(result.data.clone()),
        name => return lookup_fact(&result.data, name).cloned(),
    })
}

fn unknown_field(call: &Call, name: &str) -> Box<rhai::EvalAltResult> {
    let outputs: Vec<&str> = call
        .action()
        .map(|action| action.outputs.iter().map(|output| output.name.as_str()).collect())
        .unwrap_or_default();
    let known = outputs.iter().copied().chain(OWN_FIELDS);
    let message = format!("results of `{}` have no field `{name}`", call.name());
    let failure = super::failure::Failure::new(super::failure::Kind::Usage, message);
    match nearest(name, known) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None if outputs.is_empty() => failure,
        None => failure.help(format!("its outputs are {}", quoted(&outputs))),
    }
    .into()
}

/// Names in backticks, for sentences.
pub(crate) fn quoted<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Counts per outcome as a map of a script.
pub(crate) fn stats(counts: Counts) -> rhai::Map {
    let mut stats: Map<String, Value> =
        Ended::ALL.into_iter().map(|outcome| (outcome.to_string(), counts.get(outcome).into())).collect();
    stats.insert("bad".to_owned(), counts.bad().into());
    stats.insert("total".to_owned(), counts.total().into());
    values::from_map(&stats)
}

impl std::fmt::Debug for Results {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Results").field("call", &self.call.name()).field("len", &self.len()).finish()
    }
}

impl std::fmt::Debug for OneResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneResult").field("call", &self.call.name()).field("at", &self.at).finish()
    }
}

impl IntoIterator for Results {
    type Item = OneResult;
    type IntoIter = std::vec::IntoIter<OneResult>;

    fn into_iter(self) -> Self::IntoIter {
        self.each().collect::<Vec<_>>().into_iter()
    }
}
