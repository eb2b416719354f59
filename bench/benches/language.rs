//! The language by itself: what a script costs before its first message, and what its loops cost.

use std::future::ready;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use orch_runner::client::{CallReport, Discovery, Manner};
use orch_runner::diagnostic::SourceText;
use orch_runner::schemas::Schemas;
use orch_runner::script::{Bounds, Compiled, Ending, FleetAccess, Local, RunOptions, compile, run};
use orch_wire::ids::{NodeName, RunId};
use orch_wire::outcome::{NodeResult, Outcome};
use orch_wire::time::Timestamp;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

/// Nodes of the fleet that answers at once.
const NODES: usize = 10_000;

/// A runbook of 200 lines: functions, calls, closures, loops.
fn runbook() -> String {
    let step = |n: usize| {
        format!(
            "fn step{n}(group, what) {{\n    let answers = group.tolerate(\"all\").service.status(#{{ service: what }});\n    \
             let up = answers.filter(|r| r.status == \"running\");\n    if up.count < answers.count {{\n        \
             log::info(`step {n}: ${{up.count}}`);\n    }}\n    up.nodes\n}}\n"
        )
    };
    let calls = (0..24).map(|n| format!("print(step{n}(web, \"shop\").count);\n"));
    let head = "//! A long runbook.\nlet web = nodes(\"role::web\").expect(1, 1000);\n";
    format!("{head}{}{}", (0..24).map(step).collect::<String>(), calls.collect::<String>())
}

fn fleet() -> FleetAccess {
    let result = |at: usize| {
        let node = NodeName::new(&format!("n{at:05}")).ok()?;
        let data = json!({ "pong": at }).as_object().cloned().unwrap_or_default();
        Some(NodeResult { outcome: Outcome::Ok, data, ..NodeResult::not_started(node, "") })
    };
    let results: Arc<Vec<NodeResult>> = Arc::new((0..NODES).filter_map(result).collect());
    let found = Arc::clone(&results);
    FleetAccess::answering(
        RunId::new(Timestamp::from_millis(1), &[7; 10]),
        move |_, _, _| ready(Ok(CallReport { results: results.to_vec(), ..CallReport::default() })),
        move |_, _, _| {
            let nodes = found.iter().map(|result| result.node.clone()).collect();
            ready(Ok(Discovery { nodes, ..Discovery::default() }))
        },
    )
}

fn compiled(schemas: &Schemas, text: &str) -> Option<Compiled> {
    compile(&SourceText::new("bench.orch", text), schemas).ok()
}

fn language(criterion: &mut Criterion) {
    let (Ok(schemas), Ok(runtime)) = (Schemas::builtin(), tokio::runtime::Runtime::new()) else { return };
    let runbook = runbook();
    criterion.bench_function("check a runbook of 200 lines", |bench| {
        bench.iter(|| compiled(&schemas, black_box(&runbook)));
    });
    let loops = [
        ("a call of 10,000 results", "nodes().node.ping();"),
        ("and a closure over them", "nodes().node.ping().filter(|r| r.pong % 2 == 0);"),
        (
            "and a loop over them",
            "let n = 0; for r in nodes().node.ping() { if r.pong > 5 { n += 1; } } print(n);",
        ),
    ];
    for (name, text) in loops {
        let Some(script) = compiled(&schemas, text) else { continue };
        let fleet = fleet();
        criterion.bench_function(name, |bench| {
            bench.iter(|| {
                let options = RunOptions {
                    fleet: fleet.clone(),
                    schemas: schemas.clone(),
                    params: Map::new(),
                    output: Arc::new(|_| {}),
                    cancel: CancellationToken::new(),
                    skip: CancellationToken::new(),
                    timeout: None,
                    manner: Manner::default(),
                    commit: None,
                    bounds: Bounds::default(),
                    dry_run: false,
                    local: Local::default(),
                };
                let report = runtime.block_on(run(&script, options));
                assert!(matches!(report.ending, Ending::Finished));
            });
        });
    }
}

criterion_group!(benches, language);
criterion_main!(benches);
