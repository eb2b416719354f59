//! The client against the embedded lab: the real broker and real nodes, over TLS and sealed lanes.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their way to fail")]

use std::sync::Arc;
use std::time::Instant;

use orch_runner::client::{CallRequest, EventSink, Manner, Scope, Session};
use orch_runner::lab::{Lab, LabConfig};
use orch_wire::ids::{ActionName, AgentName};
use orch_wire::query::Query;
use serde_json::Map;
use tokio_util::sync::CancellationToken;

fn quiet() -> EventSink {
    Arc::new(|_| {})
}

fn ping(session: &Session, scope: Scope) -> CallRequest {
    CallRequest {
        scope,
        run: session.run(),
        agent: AgentName::new("node").unwrap(),
        action: ActionName::new("ping").unwrap(),
        args: Map::new(),
        timeout: std::time::Duration::from_secs(5),
        write: false,
        script: None,
        commit: None,
        dry_run: false,
        manner: Manner::default(),
        resend: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_nodes_answer_completely_a_hundred_times() {
    let begun = Instant::now();
    let lab = Lab::start(LabConfig { nodes: 100, host: false }).await.unwrap();
    eprintln!("up in {:?}", begun.elapsed());
    let begun = Instant::now();
    let session = Session::connect(lab.session_config()).await.unwrap();
    eprintln!("connected in {:?}", begun.elapsed());
    let mut times = Vec::new();
    for round in 0..100 {
        let begun = Instant::now();
        let scope =
            if round % 2 == 0 { Scope::All } else { Scope::Query(Query::parse("kernel = Linux").unwrap()) };
        let report = session.call(ping(&session, scope), quiet(), CancellationToken::new()).await.unwrap();
        times.push(begun.elapsed());
        assert_eq!(
            report.results.iter().filter(|result| result.is_ok()).count(),
            100,
            "round {round}: {report:?}"
        );
        assert!(report.unanswered.is_empty());
    }
    times.sort();
    eprintln!("median {:?}, worst {:?}", times[50], times[99]);
    session.close().await;
    lab.shutdown().await;
}
