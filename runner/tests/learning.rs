//! What is learnt of a lab, and how much is asked for it.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their way to fail")]

use std::sync::Arc;

use orch_runner::client::{CallRequest, Manner, Scope, Session};
use orch_runner::fleet_cache::{FleetKey, Memory, Store};
use orch_runner::lab::{Lab, LabConfig};
use orch_wire::ids::{ActionName, AgentName, CollectiveName};
use serde_json::Map;
use tokio_util::sync::CancellationToken;

const NODES: usize = 40;

/// How many calls the nodes have begun, without the question for it.
async fn begun(session: &Session, asked: &mut u64) -> u64 {
    let request = CallRequest {
        scope: Scope::All,
        run: session.run(),
        agent: AgentName::new("node").unwrap(),
        action: ActionName::new("stats").unwrap(),
        args: Map::new(),
        timeout: std::time::Duration::from_secs(5),
        write: false,
        script: None,
        commit: None,
        dry_run: false,
        manner: Manner::default(),
        resend: None,
    };
    let report = session.call(request, Arc::new(|_| {}), CancellationToken::new()).await.unwrap();
    assert_eq!(report.results.len(), NODES);
    let all: u64 = report.results.iter().map(|result| result.data["passed"].as_u64().unwrap()).sum();
    *asked += u64::try_from(NODES).unwrap();
    all - *asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_nodes_are_asked_and_none_twice() {
    let lab = Lab::start(LabConfig { nodes: NODES, host: false }).await.unwrap();
    let session = Session::connect(lab.session_config()).await.unwrap();
    let key = FleetKey::new(b"ca", "broker:1", &CollectiveName::main());
    let folder = tempfile::tempdir().unwrap();
    let load = || Memory::load(Store::new(Some(folder.path().join("orch"))), key);
    let (mut memory, mut asked) = (load(), 0);
    let wanted = |agent: &str| agent == "shop";
    assert_eq!(begun(&session, &mut asked).await, 0);

    // Two nodes for the agents that all have, one for the schema, and some for the names of facts.
    assert!(memory.learn(&session, wanted, None).await);
    assert_eq!(begun(&session, &mut asked).await, 2 + 1 + 16);
    let agents = memory.agents(wanted);
    let names: Vec<&str> = agents.names().collect();
    assert!(["node", "package", "service", "shop"].iter().all(|name| names.contains(name)), "{names:?}");
    assert!(!agents.definition("shop").unwrap().action("version").unwrap().is_write());
    assert!(agents.definition("shop").unwrap().action("deploy").unwrap().is_write());
    assert!(agents.definition("node").is_none());
    assert_eq!(agents.versions("shop").len(), 1);
    assert_eq!(agents.versions("shop")[0].count, NODES);
    assert!(memory.facts().contains("os.family") && memory.facts().contains("environment"));

    // Nothing is new to this memory, nor to another that reads what was kept.
    assert!(!memory.learn(&session, wanted, None).await);
    let mut memory = load();
    assert!(!memory.learn(&session, wanted, None).await);
    assert_eq!(begun(&session, &mut asked).await, 19);
    assert!(memory.agents(wanted).definition("shop").is_some());

    // The facts of the others are learnt while a script runs, each once.
    memory.learn_facts(&session).await;
    load().learn_facts(&session).await;
    assert_eq!(begun(&session, &mut asked).await, 19 + u64::try_from(NODES).unwrap() - 16);
    session.close().await;
    lab.shutdown().await;
}
