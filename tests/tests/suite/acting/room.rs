//! How much a node does at once: what is beyond it is refused, and all of it is answered.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use orch_runner::client::{CallRequest, Manner, Scope, Session};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::wait;
use orch_wire::ids::{ActionName, AgentName, NodeName};
use orch_wire::outcome::{NodeResult, Outcome};
use serde_json::{Map, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::kit::{call, led_agent, let_go};

const CALLS: usize = 200;
const CONCURRENT: usize = 8;
const QUEUED: usize = 100;
const REFUSED: usize = CALLS - CONCURRENT - QUEUED;

/// Each action leaves a file named after how many ran when it began, itself among them.
const SCRIPT: &str =
    "mkdir -p began running; : > running/$$; : > began/$$.$(ls running | wc -l); await go; rm running/$$";

fn fleet() -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    led_agent(&fleet, SCRIPT)?;
    fleet.add(&Node::named("n01"))?;
    fleet.kill_node("n01")?;
    let config = fleet.path("nodes/n01/node.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, format!("{text}\n[limits]\nconcurrent = {CONCURRENT}\nqueued = {QUEUED}\n"))?;
    fleet.start_node("n01")?;
    fleet.await_here(&["n01".to_owned()]);
    Ok(fleet)
}

async fn look(session: Arc<Session>) -> Result<NodeResult> {
    let request = CallRequest {
        scope: Scope::Nodes(vec![NodeName::new("n01")?]),
        run: session.run(),
        agent: AgentName::new("led")?,
        action: ActionName::new("look")?,
        args: Map::new(),
        timeout: Duration::from_secs(120),
        write: false,
        script: None,
        commit: None,
        dry_run: false,
        manner: Manner::default(),
        resend: None,
    };
    let report = session.call(request, Arc::new(|_| {}), CancellationToken::new()).await?;
    report.results.into_iter().next().context("no result")
}

fn entries(fleet: &Fleet, folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(fleet.agent_state("n01", "led", folder)) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn two_hundred_calls_at_once_are_bounded_and_all_answered() -> Result<()> {
    let fleet = fleet()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let session = Arc::new(runtime.block_on(Session::connect(fleet.session_config()?))?);
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        calls.spawn_on(look(Arc::clone(&session)), runtime.handle());
    }
    wait::until("as many run or wait as may, and the others are refused", || {
        let stats = call(&fleet, &["node.stats"]).map_err(|error| error.to_string())?.ok();
        let now = (stats["running"].clone(), stats["rejected"].clone(), entries(&fleet, "running").len());
        // The one that asks runs too.
        let full = (json!(CONCURRENT + QUEUED + 1), json!(REFUSED), CONCURRENT);
        if now == full { Ok(()) } else { Err(format!("{now:?}")) }
    });
    call(&fleet, &["node.ping"])?.ok();
    let_go(&fleet, "n01", "go")?;

    let (mut ok, mut refused) = (0, 0);
    while let Some(ended) = runtime.block_on(calls.join_next()) {
        let result = ended??;
        match (result.outcome, result.code.as_deref()) {
            (Outcome::Ok, _) => ok += 1,
            (Outcome::Rejected, Some("overloaded")) => refused += 1,
            _ => panic!("{result:#?}"),
        }
    }
    assert_eq!((ok, refused), (CONCURRENT + QUEUED, REFUSED));
    let began = entries(&fleet, "began");
    assert_eq!(began.len(), ok, "each ran once");
    let most = began.iter().filter_map(|name| name.rsplit('.').next()?.parse::<usize>().ok()).max();
    assert!(most <= Some(CONCURRENT), "{most:?} ran at once");
    Ok(())
}
