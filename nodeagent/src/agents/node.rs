//! The built-in `node` agent: what the node is, knows and does.

use std::path::PathBuf;
use std::sync::Arc;

use orch_link::entropy;
use orch_wire::body::{Answer, code};
use orch_wire::ids::{CollectiveName, NodeName};
use orch_wire::query::lookup_fact;
use orch_wire::schema::Provider;
use orch_wire::time::Timestamp;
use serde_json::{Map, Value, json};

use super::Registry;
use super::builtin::Jobs;
use super::registry::{Agent, Here, Job, Kind};
use crate::problem::Problem;
use crate::service::Limits;
use crate::stats::{self, Counters};

const SCHEMA: &str = include_str!("../../../stdlib/agents/node.json");

/// What actions may know of the node; replaced as a whole when something changes.
#[derive(Debug, Clone)]
pub(crate) struct NodeInfo {
    pub(crate) identity: NodeName,
    pub(crate) collectives: Arc<[CollectiveName]>,
    pub(crate) facts: Arc<Map<String, Value>>,
    pub(crate) classes: Arc<[String]>,
    pub(crate) registry: Arc<Registry>,
    /// Of facts and classes; agents' are the registry's, which is shared.
    pub(crate) problems: Arc<[Problem]>,
    /// A configuration that was to be read again and could not be used.
    pub(crate) misconfigured: Option<Arc<Problem>>,
    pub(crate) limits: Limits,
    pub(crate) state_dir: Arc<PathBuf>,
    pub(crate) run_dir: Arc<PathBuf>,
    pub(crate) agents_config_dir: Arc<PathBuf>,
    pub(crate) settings: Arc<Map<String, Value>>,
    /// What the agent `shell` has started and still knows of.
    pub(crate) jobs: Jobs,
    pub(crate) started: Timestamp,
    /// As they were when the action began.
    pub(crate) counters: Counters,
}

impl NodeInfo {
    /// All that is wrong on the node.
    pub(crate) fn all_problems(&self) -> impl Iterator<Item = &Problem> {
        let own = self.misconfigured.iter().map(Arc::as_ref);
        own.chain(self.problems.iter()).chain(self.registry.problems())
    }
}

/// The agent with its schema.
pub(super) fn agent() -> Result<Agent, String> {
    Agent::parse(SCHEMA, Kind::Here(Here::Node))
}

/// Runs one action; each takes less than a moment.
pub(super) fn run(job: &Job) -> Answer {
    let (info, args) = (&job.info, &job.work.args);
    let data = match job.work.action.as_str() {
        "ping" => json!({"pong": entropy::now().millis()}),
        "inventory" => json!({
            "identity": info.identity,
            "version": env!("CARGO_PKG_VERSION"),
            "collectives": &info.collectives[..],
            "agents": info.registry.names(),
            "data_functions": info.registry.functions().names().collect::<Vec<_>>(),
            "classes": &info.classes[..],
            "facts": &*info.facts,
        }),
        "facts" => json!({"facts": facts(info, args)}),
        "get_fact" => {
            let name = args.get("fact").and_then(Value::as_str).unwrap_or_default();
            json!({"fact": name, "value": lookup_fact(&info.facts, name)})
        }
        "agents" => {
            json!({"agents": info.registry.agents().map(|agent| describe(agent)).collect::<Vec<_>>()})
        }
        "schema" => {
            let name = args.get("agent").and_then(Value::as_str).unwrap_or_default();
            let Some(agent) = info.registry.get(name) else {
                return Answer::failed(code::ACTION, format!("this node has no agent `{name}`"));
            };
            json!({"agent": name, "digest": agent.digest, "schema": agent.schema.source})
        }
        "collectives" => json!({"main": info.collectives.first(), "collectives": &info.collectives[..]}),
        "stats" => stats(info),
        "config" => json!({"config": &*info.settings}),
        other => return Answer::rejected(code::UNKNOWN_ACTION, format!("`node` has no action `{other}`")),
    };
    match data {
        Value::Object(data) => Answer::ok(data),
        _ => Answer::failed(code::REPLY, "the action returned no outputs"),
    }
}

fn facts(info: &NodeInfo, args: &Map<String, Value>) -> Value {
    match args.get("facts").and_then(Value::as_array) {
        None => Value::Object((*info.facts).clone()),
        Some(names) => names
            .iter()
            .filter_map(Value::as_str)
            .map(|name| (name.to_owned(), lookup_fact(&info.facts, name).cloned().unwrap_or(Value::Null)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn describe(agent: &Agent) -> Value {
    let schema = &agent.schema;
    json!({
        "name": agent.name,
        "version": schema.version,
        "description": schema.description,
        "provider": match schema.provider {
            Provider::Builtin => "builtin",
            Provider::External => "external",
        },
        "digest": agent.digest,
        "actions": schema.actions.keys().collect::<Vec<_>>(),
    })
}

fn stats(info: &NodeInfo) -> Value {
    let counters = &info.counters;
    let problems: Vec<String> = info.all_problems().map(ToString::to_string).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "started": info.started.to_string(),
        "uptime": entropy::now().since(info.started).as_secs(),
        "memory": stats::memory(),
        "received": counters.received,
        "passed": counters.passed,
        "filtered": counters.filtered,
        "unvalidated": counters.unvalidated,
        "replayed": counters.replayed,
        "expired": counters.expired,
        "rejected": counters.rejected,
        "repeated": counters.repeated,
        "ok": counters.ok,
        "failed": counters.failed,
        "timed_out": counters.timed_out,
        "running": counters.running,
        "unsent": counters.unsent,
        "reconnects": counters.reconnects,
        "unanswered": counters.unanswered,
        "stored_results": counters.stored.0,
        "stored_bytes": counters.stored.1,
        "audit_position": counters.audit.0.map(|head| head.position),
        "audit_head": counters.audit.0.map(|head| head.hash),
        "audit_lost": counters.audit.1,
        "problems": problems,
    })
}
