//! A fleet that is written down, and scripts run against it.

use std::future::ready;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orch_runner::client::{CallReport, CallRequest, Discovery, Manner, Scope, Waited};
use orch_runner::diagnostic::{Diagnostic, SourceText, Style};
use orch_runner::schemas::Schemas;
use orch_runner::script::{
    Bounds, Ending, FleetAccess, Grants, Local, Output, Permissions, Project, RunOptions, RunReport, Wants,
    compile, run,
};
use orch_wire::ids::{NodeName, RunId};
use orch_wire::outcome::{NodeResult, Outcome};
use orch_wire::query::{NodeView, Query};
use orch_wire::schema::AgentSchema;
use orch_wire::time::Timestamp;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

/// Nodes: name, facts, classes.
const NODES: [(&str, &str, &str); 5] = [
    ("web1", r#"{"os": {"family": "Debian"}, "cpus": 2, "rack": "a"}"#, "role::web"),
    ("web2", r#"{"os": {"family": "Debian"}, "cpus": 4, "rack": "b"}"#, "role::web"),
    ("web10", r#"{"os": {"family": "RedHat"}, "cpus": 8, "rack": "a"}"#, "role::web"),
    ("db1", r#"{"os": {"family": "RedHat"}, "cpus": 16, "rack": "b"}"#, "role::db"),
    // Breaks whatever it is asked to change.
    ("bad1", r#"{"os": {"family": "Debian"}, "cpus": 1, "rack": "b"}"#, "role::bad"),
];

/// A node that is in the roster and gone.
pub(crate) const AWAY: &str = "gone1";

pub(crate) fn schemas() -> Schemas {
    let input = json!({"prompt": "P", "description": "Name", "type": "string", "optional": false,
        "validation": "^[a-z]+$", "maxlength": 20});
    let mode = json!({"prompt": "M", "description": "How", "type": "list", "optional": true,
        "list": ["soft", "hard"]});
    let service = json!({
        "metadata": {"name": "service", "description": "d", "author": "a", "license": "l", "version": "1.0",
            "url": "u", "timeout": 5},
        "actions": [
            {"action": "status", "description": "d", "display": "always", "effect": "read", "input": {"service": input},
                "output": {"status": {"description": "d", "display_as": "Status", "type": "string"},
                    "pid": {"description": "d", "display_as": "Pid", "type": "integer"}},
                "aggregate": [{"function": "summary", "args": ["status"]}]},
            {"action": "hang", "description": "Answers only when it is cancelled", "effect": "read",
                "output": {}},
            {"action": "restart", "description": "d", "effect": "write",
                "input": {"service": input, "mode": mode},
                "output": {"status": {"description": "d", "display_as": "Status", "type": "string"}}},
            {"action": "reload", "description": "d", "effect": "write", "dry_run": true, "input": {"service": input},
                "output": {"status": {"description": "d", "display_as": "Status", "type": "string"}}},
        ]
    });
    let package = json!({
        "metadata": {"name": "package", "description": "d", "author": "a", "license": "l", "version": "1.0",
            "url": "u", "timeout": 5},
        "actions": [
            {"action": "status", "description": "d", "effect": "read", "input": {"package": input},
                "output": {"ensure": {"description": "d", "display_as": "Ensure", "type": "string"},
                    "node": {"description": "d", "display_as": "Node", "type": "string"}}},
        ]
    });
    let mut schemas = Schemas::builtin().unwrap();
    for schema in [service, package] {
        schemas.add(AgentSchema::from_value(schema).unwrap());
    }
    schemas
}

fn facts(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

fn matching(query: &Query) -> Vec<NodeName> {
    let holds = |(name, facts_text, class): &&(&str, &str, &str)| {
        let facts = facts(facts_text);
        let classes = [(*class).to_owned()];
        let node = NodeView {
            identity: name,
            facts: &facts,
            classes: &classes,
            agents: &["node".to_owned(), "service".to_owned()],
            collectives: &["main".to_owned()],
            data: None,
        };
        query.matches(&node)
    };
    NODES.iter().filter(holds).map(|(name, ..)| NodeName::new(name).unwrap()).collect()
}

fn everyone() -> Vec<NodeName> {
    NODES.iter().map(|(name, ..)| *name).chain([AWAY]).map(|name| NodeName::new(name).unwrap()).collect()
}

/// What a node answers.
fn answer(node: &NodeName, request: &CallRequest) -> NodeResult {
    let known = NODES.iter().find(|(name, ..)| *name == node.as_str());
    let Some((_, facts_text, class)) = known else {
        return NodeResult::silent(node.clone(), "it is away", false, Duration::ZERO);
    };
    let ok = |data: Value| NodeResult {
        outcome: Outcome::Ok,
        data: data.as_object().cloned().unwrap(),
        elapsed: Duration::from_millis(10),
        ..NodeResult::not_started(node.clone(), "")
    };
    let facts = facts(facts_text);
    let cpus = facts["cpus"].as_i64().unwrap();
    match (request.agent.as_str(), request.action.as_str()) {
        ("node", "ping") => ok(json!({"pong": 1})),
        ("node", "inventory") => {
            ok(json!({"identity": node, "facts": facts, "classes": [class], "agents": ["node"]}))
        }
        ("service", "status") if node.as_str() == "db1" => ok(json!({"status": "stopped", "pid": null})),
        ("service", "status") => ok(json!({"status": "running", "pid": 100 + cpus})),
        ("service", "hang") => NodeResult::silent(node.clone(), "interrupted", true, Duration::ZERO),
        ("service", "restart") if node.as_str() == "bad1" => NodeResult {
            outcome: Outcome::Failed,
            code: Some("unit".to_owned()),
            message: "the unit is masked".to_owned(),
            ..ok(json!({}))
        },
        ("service", "restart") => ok(json!({"status": "running"})),
        ("service", "reload") if request.dry_run => ok(json!({"status": "would reload"})),
        ("service", "reload") => ok(json!({"status": "reloaded"})),
        ("package", "status") => ok(json!({"ensure": "1.2", "node": "an output"})),
        other => panic!("not in this fleet: {other:?}"),
    }
}

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn described(scope: &Scope) -> String {
    match scope {
        Scope::All => "all".to_owned(),
        Scope::Query(query) => format!("`{query}`"),
        Scope::Nodes(nodes) => nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(","),
    }
}

/// The fleet; what it is asked for goes to the log. `lossy` nodes are here and do not answer queries.
fn fleet(log: &Log, lossy: &'static [&'static str], dead: bool) -> FleetAccess {
    let run = RunId::new(Timestamp::from_millis(1), &[7; 10]);
    let (calls, discoveries) = (log.clone(), log.clone());
    let unanswered = || lossy.iter().map(|name| NodeName::new(name).unwrap()).collect::<Vec<_>>();
    let heard = move |nodes: Vec<NodeName>| {
        nodes.into_iter().filter(|node| !lossy.contains(&node.as_str())).collect::<Vec<_>>()
    };
    let away = vec![NodeName::new(AWAY).unwrap()];
    let lost = away.clone();
    FleetAccess::answering(
        run,
        move |request, _, cancel| {
            let dry = if request.dry_run { "dry " } else { "" };
            calls.add(format!("{dry}{}.{} {}", request.agent, request.action, described(&request.scope)));
            let (targets, unanswered) = match &request.scope {
                Scope::All => (everyone(), Vec::new()),
                Scope::Query(query) => (heard(matching(query)), unanswered()),
                Scope::Nodes(nodes) => (nodes.clone(), Vec::new()),
            };
            let away = away.clone();
            async move {
                if dead {
                    return Err(orch_runner::client::CallError::Disconnected("refused".to_owned()));
                }
                if request.action.as_str() == "hang" {
                    cancel.cancelled().await;
                }
                let results = targets.iter().map(|node| answer(node, &request)).collect();
                let interrupted = cancel.is_cancelled();
                Ok(CallReport { results, unanswered, away, interrupted, ..CallReport::default() })
            }
        },
        move |scope, _, cancel| {
            discoveries.add(format!("discover {}", described(&scope)));
            let (nodes, unanswered) = match &scope {
                Scope::All => (everyone(), Vec::new()),
                Scope::Query(query) => (heard(matching(query)), unanswered()),
                Scope::Nodes(nodes) => (nodes.clone(), Vec::new()),
            };
            ready(Ok(Discovery {
                nodes,
                unanswered,
                away: lost.clone(),
                interrupted: cancel.is_cancelled(),
                ..Discovery::default()
            }))
        },
    )
}

/// Of those that reboot, `web2` hangs.
fn coming_and_going(access: FleetAccess, log: &Log) -> FleetAccess {
    let waits = log.clone();
    access.waiting(move |wait, _| {
        let names = wait.nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(",");
        waits.add(format!("wait {names} {:?}", wait.until));
        let hangs = |node: &NodeName| !wait.until.gone && !wait.until.same_boot && node.as_str() == "web2";
        ready(Ok(Waited { left: wait.nodes.into_iter().filter(hangs).collect(), unsure: None }))
    })
}

/// What came of a script.
pub(crate) struct Ran {
    pub(crate) report: RunReport,
    pub(crate) printed: Vec<String>,
    pub(crate) asked: Vec<String>,
    pub(crate) warned: Vec<String>,
    pub(crate) troubles: Vec<String>,
    pub(crate) rollouts: Vec<String>,
}

impl Ran {
    /// The diagnostic that it ended by, as text.
    pub(crate) fn error(&self) -> String {
        match &self.report.ending {
            Ending::Failed(diagnostic) => diagnostic.render(Style::default()),
            other => panic!("the script did not fail: {other:?}"),
        }
    }

    pub(crate) fn exit(&self) -> u8 {
        self.report.exit().code()
    }
}

/// Files of the project that every script lies in, but for those that a test adds.
const FILES: [(&str, &str); 6] = [
    ("orch.toml", ""),
    ("motd.txt", "the shop is open"),
    ("data/shop.json", r#"{"release": "1.4.2"}"#),
    ("data/shop.yaml", "tiers: [web, db]\n"),
    ("data/shop.toml", "[limits]\nmost = 5\n"),
    (
        "tools/count.orch",
        "let tier = param(\"tier\", \"string\", \"Which\");\nemit(\"nodes\", nodes(`role::${tier}`).count);\n",
    ),
];

/// A project in a folder of its own, beside which nothing may be read.
pub(crate) struct Folder {
    pub(crate) outer: tempfile::TempDir,
    pub(crate) root: PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().canonicalize().unwrap().join("project");
        let folder = Self { outer, root };
        for (path, text) in FILES {
            folder.write(path, text);
        }
        folder
    }

    /// Writes a file; `../` lies beside the project.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// What a script in it reaches, with these permissions.
    pub(crate) fn local(&self, permissions: Permissions) -> Local {
        let variables =
            [("SHOP_STAGE", "test"), ("SHOP_TOKEN", "open-sesame"), ("SHOP_EMPTY", ""), ("HOME", "/home/op")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Local {
            project: Some(Project::new(&self.root, &self.root, Vec::new()).unwrap()),
            permissions,
            variables: Arc::new(variables.into()),
            ..Local::default()
        }
    }

    /// Runs a script in it with these permissions.
    pub(crate) async fn run(&self, allowed: &str, text: &str) -> Ran {
        let permissions = match allowed {
            "" => Permissions::default(),
            allowed => Permissions::new(Grants::parse(allowed).unwrap()),
        };
        self.run_with(self.local(permissions), text).await
    }

    pub(crate) async fn run_with(&self, local: Local, text: &str) -> Ran {
        Trial { local: Some(local), ..Trial::default() }.run(text).await
    }
}

#[derive(Default)]
pub(crate) struct Trial {
    /// By default a project with what the examples need.
    pub(crate) local: Option<Local>,
    pub(crate) params: Map<String, Value>,
    pub(crate) lossy: &'static [&'static str],
    pub(crate) dead: bool,
    pub(crate) dry_run: bool,
    pub(crate) bounds: Bounds,
    pub(crate) cancel: CancellationToken,
    pub(crate) skip: CancellationToken,
    pub(crate) log: Log,
    /// Another fleet than the one that is written down.
    pub(crate) fleet: Option<FleetAccess>,
}

impl Trial {
    pub(crate) async fn run(self, text: &str) -> Ran {
        let schemas = schemas();
        let script = compile(&SourceText::new("test.orch", text), &schemas).unwrap_or_else(|faults| {
            panic!(
                "{}",
                faults.iter().map(|fault| fault.render(Style::default())).collect::<Vec<_>>().join("\n")
            )
        });
        let (printed, warned) = (Log::default(), Log::default());
        let (prints, warns) = (printed.clone(), warned.clone());
        let troubles = Log::default();
        let trouble = troubles.clone();
        let folder = Folder::new();
        let examples = "env=SHOP_*,exec=wc,exec=false";
        let local = || Local {
            prompt: Some(Arc::new(|question, _| {
                let answer = match question.wants {
                    Wants::Consent => "yes".to_owned(),
                    Wants::Line | Wants::Secret => format!("an answer to: {}", question.text),
                };
                Box::pin(async move { Ok(Some(answer)) })
            })),
            ..folder.local(Permissions::new(Grants::parse(examples).unwrap()))
        };
        let rollouts = Log::default();
        let told = rollouts.clone();
        let options = RunOptions {
            local: self.local.unwrap_or_else(local),
            fleet: self
                .fleet
                .unwrap_or_else(|| coming_and_going(fleet(&self.log, self.lossy, self.dead), &self.log)),
            schemas,
            params: self.params,
            output: Arc::new(move |output| match output {
                Output::Print(line) => prints.add(line),
                Output::Rollout { message } => told.add(message),
                Output::Section(title) => prints.add(format!("== {title}")),
                Output::Log { level, message } => warns.add(format!("{}: {message}", level.as_str())),
                Output::Trouble(diagnostic) => trouble.add(diagnostic.render(Style::default())),
                _ => {}
            }),
            cancel: self.cancel,
            skip: self.skip,
            timeout: None,
            manner: Manner::default(),
            commit: None,
            bounds: self.bounds,
            dry_run: self.dry_run,
        };
        let report = run(&script, options).await;
        Ran {
            report,
            printed: printed.lines(),
            asked: self.log.lines(),
            warned: warned.lines(),
            troubles: troubles.lines(),
            rollouts: rollouts.lines(),
        }
    }
}

/// Runs a script that must come to its end, and gives what it printed.
pub(crate) async fn prints(text: &str) -> Vec<String> {
    let ran = ran(text).await;
    if let Ending::Failed(diagnostic) = &ran.report.ending {
        panic!("{}", diagnostic.render(Style::default()));
    }
    ran.printed
}

/// Runs a script.
pub(crate) async fn ran(text: &str) -> Ran {
    Trial::default().run(text).await
}

/// The first fault of a script that does not compile, as text.
pub(crate) fn fault(text: &str) -> String {
    let faults: Vec<Diagnostic> = compile(&SourceText::new("test.orch", text), &schemas()).unwrap_err();
    faults[0].render(Style::default())
}
