//! The third process: all nodes of orch, each a whole node agent with its own lanes.

use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use orch_link::Dialer;
use orch_link::socket_dir::SocketDir;
use orch_link::tls::Credentials;
use orch_nodeagent::{
    AgentSource, AuditSettings, FactSource, Limits, NodeConfig, NodeService, PolicySource, Registry,
    RunningNode,
};
use orch_wire::body::Answer;
use orch_wire::ids::{CollectiveName, NodeName};
use orch_wire::keys::{Keys, Psk};
use serde_json::{Map, Value, json};

/// Opening lanes may take this long: all nodes shake hands at one moment on one machine.
const OPENING: Duration = Duration::from_secs(60);

/// Writes that were done, by all nodes together.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// An agent with a write that costs nothing, so that what is measured is the road.
const SCHEMA: &str = r#"{
  "metadata": {"name": "bench", "description": "Counts", "author": "orch", "license": "MIT OR Apache-2.0",
    "version": "1.0.0", "url": "urn:orch:agents:bench", "timeout": 10},
  "actions": [{"action": "count", "description": "Counts one up", "effect": "write", "display": "always",
    "input": {}, "output": {"pong": {"description": "Time", "display_as": "Time", "type": "integer"}}}]
}"#;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folder with the nodes' files.
    #[arg(long)]
    folder: PathBuf,
    /// Where the broker is.
    #[arg(long)]
    broker: String,
}

/// Name of a node by its number.
pub(crate) fn name(number: usize) -> Result<NodeName> {
    Ok(NodeName::new(&format!("node{number:04}.example.net"))?)
}

/// Runs the nodes of a folder until the input ends. Says `ready` when all are up, and answers `writes` with the number done.
///
/// Each node runs as `orch-node` does, on a runtime of one thread; the nodes share one such thread per processor.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut threads = Vec::new();
    let (ready, is_ready) = mpsc::channel();
    let mut groups = vec![Vec::new(); std::thread::available_parallelism()?.get()];
    for (number, config) in configurations(arguments)?.into_iter().enumerate() {
        let group = number % groups.len();
        if let Some(group) = groups.get_mut(group) {
            group.push(config);
        }
    }
    for group in groups {
        let ready = ready.clone();
        threads.push(std::thread::spawn(move || run_group(group, &ready)));
    }
    for _ in &threads {
        is_ready.recv()??;
    }
    writeln!(stdout(), "ready")?;
    for line in stdin().lock().lines() {
        if line? == "writes" {
            writeln!(stdout(), "{}", WRITES.load(Ordering::SeqCst))?;
        }
    }
    Ok(())
}

fn run_group(group: Vec<NodeConfig>, ready: &mpsc::Sender<Result<()>>) {
    let running = || -> Result<_> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        // A node alone has one write to record at a time; so many nodes on one machine share one thread for it.
        let runtime = runtime.enable_all().max_blocking_threads(1).build()?;
        let nodes = runtime.block_on(async {
            let nodes: Vec<RunningNode> =
                group.into_iter().map(NodeService::start).collect::<Result<_, _>>()?;
            for node in &nodes {
                node.is_up().wait_for(|up| *up).await?;
            }
            anyhow::Ok(nodes)
        })?;
        Ok((runtime, nodes))
    };
    match running() {
        Ok((runtime, nodes)) => {
            let _ = ready.send(Ok(()));
            runtime.block_on(async {
                for node in nodes {
                    node.wait().await;
                }
            });
        }
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    }
}

fn configurations(arguments: &Arguments) -> Result<Vec<NodeConfig>> {
    let folder = &arguments.folder;
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).with_context(|| name.to_owned());
    let keys = Keys::derive(&Psk::parse(&read("psk")?)?);
    let ca = read("ca.pem")?;
    let sockets = Arc::new(SocketDir::create(&folder.join("run"))?);
    let mut registry = Registry::load(&[], &[]);
    registry.add_in_process(SCHEMA, count).map_err(anyhow::Error::msg)?;
    let registry = Arc::new(registry);
    let count: usize = read("count")?.trim().parse()?;
    let mut nodes = Vec::with_capacity(count);
    for number in 0..count {
        let identity = name(number)?;
        let pem = |part: &str| read(&format!("{identity}.{part}.pem"));
        let credentials = Credentials::from_pem(&ca, &pem("cert")?, &pem("key")?)?;
        let state_dir = folder.join("state").join(identity.as_str());
        nodes.push(NodeConfig {
            dialer: Dialer::new(&arguments.broker, "127.0.0.1", credentials, Arc::clone(&sockets), OPENING)?,
            keys: keys.clone(),
            collectives: vec![CollectiveName::main()],
            run_dir: state_dir.join("run"),
            agents_config_dir: state_dir.join("agents"),
            state_dir,
            facts: FactSource::Given(facts(number)),
            classes: vec!["role::web".to_owned(), "profile::base".to_owned()],
            classes_file: None,
            refresh: Duration::ZERO,
            agents: AgentSource::Given(Arc::clone(&registry)),
            policies: PolicySource::default(),
            audit: AuditSettings { reserve: 0, ..AuditSettings::default() },
            limits: Limits::default(),
            shared_machine: false,
            settings: Map::new(),
            identity,
        });
    }
    Ok(nodes)
}

fn count(_: &str, _: &Map<String, Value>) -> Answer {
    WRITES.fetch_add(1, Ordering::SeqCst);
    Answer::ok([("pong".to_owned(), json!(orch_link::entropy::now().millis()))].into_iter().collect())
}

/// Facts such as a node has.
fn facts(number: usize) -> Map<String, Value> {
    let facts = json!({
        "environment": "production",
        "kernel": "Linux",
        "os": {"name": "Debian", "family": "Debian", "release": {"major": "12", "full": "12.7"}},
        "processors": {"count": 8, "models": ["some processor"]},
        "memory": {"system": {"total_bytes": 17_179_869_184_u64}},
        "networking": {"fqdn": format!("node{number:04}.example.net"), "ip": "192.0.2.7"},
        "rack": format!("r{}", number % 20),
    });
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}
