//! Scripts that wait for nodes: from when on starts count, and what comes of those that are missing.

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use orch_runner::client::{CallReport, Discovery, Scope, Waited};
use orch_runner::script::{FleetAccess, Wait};
use orch_wire::ids::{NodeName, RunId};
use orch_wire::outcome::{NodeResult, Outcome};
use orch_wire::time::Timestamp;

use crate::kit::{Trial, ran};

/// A fleet of one node: when it last answered or was found, and what was waited for.
#[derive(Clone, Default)]
struct Watched {
    told: Arc<Mutex<Option<Instant>>>,
    waits: Arc<Mutex<Vec<Wait>>>,
}

impl Watched {
    /// Whoever asks is told only now: the broker was away until then.
    fn tell(&self) -> Vec<NodeName> {
        *self.told.lock().unwrap() = Some(Instant::now());
        vec!["n1".parse().unwrap()]
    }

    fn access(&self) -> FleetAccess {
        let (calls, finds, waits) = (self.clone(), self.clone(), self.clone());
        FleetAccess::answering(
            RunId::new(Timestamp::from_millis(1), &[7; 10]),
            move |request, _, _| {
                let calls = calls.clone();
                async move {
                    tokio::task::yield_now().await;
                    let nodes = match request.scope {
                        Scope::Nodes(nodes) => nodes,
                        _ => calls.tell(),
                    };
                    let ok = |node| NodeResult { outcome: Outcome::Ok, ..NodeResult::not_started(node, "") };
                    let results = nodes.into_iter().map(ok).collect();
                    Ok(CallReport { results, ..CallReport::default() })
                }
            },
            move |_, _, _| {
                let finds = finds.clone();
                async move {
                    tokio::task::yield_now().await;
                    Ok(Discovery { nodes: finds.tell(), ..Discovery::default() })
                }
            },
        )
        .waiting(move |wait, _| {
            waits.waits.lock().unwrap().push(wait);
            ready(Ok(Waited::default()))
        })
    }
}

#[tokio::test]
async fn what_was_before_a_selection_was_found_out_does_not_count() {
    for script in [
        "nodes(\"role::web\").wait_online(\"5m\");",
        "let web = nodes(\"role::web\"); web.node.ping(); web.wait_online(\"5m\");",
        "nodes(\"role::web\").node.ping().nodes.wait_online(\"5m\");",
    ] {
        let watched = Watched::default();
        let trial = Trial { fleet: Some(watched.access()), ..Trial::default() };
        let ran = trial.run(script).await;
        assert_eq!(ran.exit(), 0, "{script}");
        let told = watched.told.lock().unwrap().unwrap();
        let waits = watched.waits.lock().unwrap();
        assert_eq!(waits.len(), 1, "{script}");
        assert!(waits[0].since >= told, "{script}");
    }
}

#[tokio::test]
async fn a_selection_keeps_the_moment_in_which_it_was_found_out() {
    let watched = Watched::default();
    let trial = Trial { fleet: Some(watched.access()), ..Trial::default() };
    let text = "let web = nodes(\"role::web\").expect(1); web.wait_gone(\"1m\"); nodes(\"role::db\").expect(1);\n\
                web.node.ping().nodes.wait_online(\"5m\"); print(web.count);";
    let ran = trial.run(text).await;
    assert_eq!(ran.printed, ["1"]);
    let waits = watched.waits.lock().unwrap();
    assert!(waits[0].since == waits[1].since && waits[1].since < watched.told.lock().unwrap().unwrap());
}

/// One that hangs in its reboot is failed; the others of its group come to the end of their steps.
#[tokio::test]
async fn who_does_not_come_back_takes_no_further_part() {
    let ran = ran(
        r#"
        let web = nodes("role::web").expect(3);
        let done = web.rollout(#{ batch: 3, max_failures: 1 }, |group| {
            group.wait_online("5m");
            print(group.service.status(#{ service: "shop" }).nodes.names);
        });
        print(`${done.ok.nodes.names} ${done.failed.nodes.names}`);
        for result in done.failed { print(`${result.code}: ${result.message}`); }
        try { web.rollout(#{ batch: 3 }, |group| { group.tolerate(0).wait_online("5m"); }); } catch (e) { print(e.kind); }"#,
    )
    .await;
    assert_eq!(
        ran.printed[1..],
        [
            r#"["web1", "web10"] ["web2"]"#,
            "wait: it did not come back from a reboot within 5 min 0 s",
            "rollout",
        ],
        "{:?}",
        ran.printed
    );
}
