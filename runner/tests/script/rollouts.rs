//! Roll-outs over a hundred nodes, of which some fail and some are silent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orch_runner::client::{CallReport, Discovery, Scope};
use orch_runner::script::FleetAccess;
use orch_wire::ids::{CallId, NodeName, RunId};
use orch_wire::outcome::{NodeResult, Outcome};
use orch_wire::time::Timestamp;
use serde_json::json;

use crate::kit::{Ran, Trial, prints, ran};

/// Nodes that break, and nodes that do not answer.
const FAILS: [&str; 3] = ["n012", "n033", "n034"];
const SILENT: [&str; 2] = ["n020", "n051"];

/// An action, and the nodes that it was called on.
type Asked = (String, Vec<String>);

/// A hundred nodes, `n001` to `n100`, in ten racks. Nobody is called twice at the same time.
#[derive(Clone, Default)]
struct Hundred {
    calls: Arc<Mutex<Vec<Asked>>>,
    busy: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Hundred {
    fn access(&self) -> FleetAccess {
        let all = || (1..=100).map(|n| NodeName::new(&format!("n{n:03}")).unwrap()).collect::<Vec<_>>();
        let fleet = self.clone();
        FleetAccess::answering(
            RunId::new(Timestamp::from_millis(1), &[7; 10]),
            move |request, _, cancel| {
                let fleet = fleet.clone();
                async move {
                    let Scope::Nodes(nodes) = &request.scope else { panic!("not resolved") };
                    let names = nodes.iter().map(ToString::to_string).collect();
                    let action = request.action.to_string();
                    if action != "inventory" {
                        fleet.calls.lock().unwrap().push((action.clone(), names));
                    }
                    let busy = fleet.busy.fetch_add(nodes.len(), Ordering::SeqCst) + nodes.len();
                    fleet.most.fetch_max(busy, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    if action == "hang" {
                        cancel.cancelled().await;
                    }
                    fleet.busy.fetch_sub(nodes.len(), Ordering::SeqCst);
                    let results = nodes.iter().map(|node| answer(node, &action)).collect();
                    Ok(CallReport { results, interrupted: cancel.is_cancelled(), ..CallReport::default() })
                }
            },
            move |_, _, _| std::future::ready(Ok(Discovery { nodes: all(), ..Discovery::default() })),
        )
    }

    fn called(&self, action: &str) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        let mut names: Vec<String> =
            calls.iter().filter(|(name, _)| name == action).flat_map(|(_, nodes)| nodes.clone()).collect();
        names.sort();
        names
    }

    async fn run(&self, text: &str) -> Ran {
        Trial { fleet: Some(self.access()), ..Trial::default() }.run(text).await
    }
}

fn answer(node: &NodeName, action: &str) -> NodeResult {
    let ok = NodeResult { outcome: Outcome::Ok, ..NodeResult::not_started(node.clone(), "") };
    match action {
        "inventory" => {
            let rack = &node.as_str()[2..3];
            let data = json!({ "identity": node, "facts": { "rack": rack }, "classes": [] });
            NodeResult { data: data.as_object().cloned().unwrap(), ..ok }
        }
        "hang" => NodeResult::silent(node.clone(), "interrupted", true, Duration::ZERO),
        "restart" if FAILS.contains(&node.as_str()) => {
            NodeResult { outcome: Outcome::Failed, message: "the unit is masked".to_owned(), ..ok }
        }
        "restart" if SILENT.contains(&node.as_str()) => {
            NodeResult::silent(node.clone(), "no answer", false, Duration::ZERO)
        }
        "status" => NodeResult { data: json!({ "status": "running" }).as_object().cloned().unwrap(), ..ok },
        _ => ok,
    }
}

/// The outcomes of the roll-out itself, which is recorded last.
fn outcomes(ran: &Ran, outcome: Outcome) -> Vec<String> {
    let record = ran.report.calls.iter().rfind(|record| record.action == "rollout").unwrap();
    assert_eq!(record.report.results.len(), 100);
    let of = record.report.results.iter().filter(|result| result.outcome == outcome);
    of.map(|result| result.node.to_string()).collect()
}

fn script(budget: usize) -> String {
    format!(
        r##"let all = nodes();
all.rollout(#{{ canary: 1, batch: 10, max_failures: {budget} }}, |group| {{
    group.service.restart(#{{ service: "shop" }});
}});
"##
    )
}

#[tokio::test]
async fn a_budget_that_is_used_up_stops_the_roll_out_where_it_must() {
    let fleet = Hundred::default();
    let ran = fleet.run(&script(4)).await;
    // 1, then tens: the fifth bad node is in n042-n051.
    let not_started: Vec<String> = (52..=100).map(|n| format!("n{n:03}")).collect();
    assert_eq!(outcomes(&ran, Outcome::NotStarted), not_started);
    assert_eq!(outcomes(&ran, Outcome::Failed), FAILS);
    assert_eq!(outcomes(&ran, Outcome::Silent), SILENT);
    assert_eq!(outcomes(&ran, Outcome::Ok).len(), 46);
    assert_eq!(fleet.called("restart").len(), 51);
    assert_eq!(ran.exit(), 2);
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0309]: the roll-out stopped after n[042-051]: 5 nodes were not ok, at most 4 may be
     --> test.orch:2:5
      |
    2 | all.rollout(#{ canary: 1, batch: 10, max_failures: 4 }, |group| {
      |     ^^^^^^^
      |
      = note: n[052-100]: not_started: 5 nodes were not ok, at most 4 may be
      = note: n[012,033-034]: failed: the unit is masked
      = note: n[020,051]: silent: no answer
    "#);
    insta::assert_snapshot!(ran.rollouts.join("\n"), @"
    roll-out of 100 nodes in 11 groups: 1, 10, 10, 10, 10, 10, …
    group 1 of 11, n001: 1 ok
    group 2 of 11, n[002-011]: 10 ok
    group 3 of 11, n[012-021]: 8 ok, 1 failed, 1 silent
    group 4 of 11, n[022-031]: 10 ok
    group 5 of 11, n[032-041]: 8 ok, 2 failed
    group 6 of 11, n[042-051]: 9 ok, 1 silent
    ");
}

#[tokio::test]
async fn within_its_budget_it_comes_to_its_end() {
    let fleet = Hundred::default();
    let ran = fleet.run(&script(5)).await;
    assert!(outcomes(&ran, Outcome::NotStarted).is_empty());
    assert_eq!(outcomes(&ran, Outcome::Ok).len(), 95);
    assert_eq!(fleet.called("restart").len(), 100);
    assert_eq!(ran.exit(), 2);
}

#[tokio::test]
async fn a_node_that_is_out_takes_no_further_part() {
    let fleet = Hundred::default();
    let ran = fleet
        .run(
            r##"
        let all = nodes();
        let done = all.rollout(#{ batch: "25%", max_failures: "5%" }, |group| {
            group.service.restart(#{ service: "shop" });
            group.limit(20).service.status(#{ service: "shop" });
            wait_until("1s", "1ms", || group.service.status(#{ service: "shop" }).all(|r| r.status == "running"));
        });
        print(`${done.bad.nodes.folded} ${all.count}`);"##,
        )
        .await;
    assert_eq!(ran.printed, ["n[012,020,033-034,051] 100"]);
    for bad in FAILS.iter().chain(&SILENT) {
        assert!(!fleet.called("status").contains(&(*bad).to_owned()), "{bad}");
    }
    assert_eq!(ran.exit(), 2);
}

#[tokio::test]
async fn a_group_whose_steps_break_off_is_failed_and_the_script_can_catch_it() {
    let fleet = Hundred::default();
    let ran = fleet
        .run(
            r##"
        let all = nodes();
        try {
            all.rollout(#{ batch: 10, max_failures: 4 }, |group| {
                if group.contains("n015") { fail("the database is full"); }
            });
        } catch (error) {
            print(error.kind);
            print(`${error.results.failed.nodes.folded} ${error.results.not_started.count}`);
            for result in error.results.failed.nodes.limit(1) { print(result.name); }
            print(error.results.find(|r| r.node == "n015").message);
        }"##,
        )
        .await;
    assert_eq!(ran.printed, ["rollout", "n[011-020] 80", "n011", "the database is full"]);
    assert_eq!(ran.exit(), 0);
}

#[tokio::test]
async fn a_mistake_in_the_steps_ends_the_script_and_every_node_is_told() {
    let fleet = Hundred::default();
    let ran = fleet
        .run(r#"let all = nodes(); all.rollout(#{ batch: 40, max_failures: "all" }, |group| { [1][group.count]; });"#)
        .await;
    assert_eq!((outcomes(&ran, Outcome::Failed).len(), outcomes(&ran, Outcome::NotStarted).len()), (40, 60));
    assert!(ran.error().contains("error[E0306]"), "{}", ran.error());
}

#[tokio::test]
async fn racks_go_one_node_at_a_time() {
    let fleet = Hundred::default();
    let ran = fleet
        .run(
            r##"
        nodes().rollout(#{ batch: 25, per: "rack", max_per: 2, max_failures: 5 }, |group| {
            group.service.restart(#{ service: "shop" });
            print(group.count);
        });"##,
        )
        .await;
    // Ten racks, and n100 in one of its own: two of each.
    assert_eq!(ran.printed[0], "20");
    assert_eq!(ran.printed.iter().map(|count| count.parse::<usize>().unwrap()).sum::<usize>(), 100);
    assert_eq!(fleet.called("restart").len(), 100);
}

#[tokio::test]
async fn a_window_calls_so_many_at_once_and_stops_within_the_budget() {
    let fleet = Hundred::default();
    let text = |budget| {
        format!(
            r##"
        let all = nodes();
        let names = all.names;
        all.rollout(#{{ canary: 2, concurrency: 7, max_failures: {budget} }}, |group| {{
            group.service.restart(#{{ service: "shop" }});
            if group.service.status(#{{ service: "shop" }}).count > names.len() {{ fail("more than all"); }}
        }});"##
        )
    };
    let ran = fleet.run(&text(5)).await;
    assert_eq!(outcomes(&ran, Outcome::Ok).len(), 95);
    assert!(fleet.most.load(Ordering::SeqCst) <= 7);
    assert_eq!((fleet.called("restart").len(), ran.exit()), (100, 2));

    let fleet = Hundred::default();
    let ran = fleet.run(&text(0)).await;
    let reached = fleet.called("restart").len();
    assert_eq!(outcomes(&ran, Outcome::NotStarted).len(), 100 - reached);
    // The first bad one is n012; until it is noted others may have their turn, and then nobody.
    assert!((12..60).contains(&reached), "{reached}");
    assert!(ran.error().contains("1 node was not ok, at most 0 may be"), "{}", ran.error());
    assert_eq!(ran.exit(), 2);
}

#[tokio::test]
async fn the_gate_is_asked_and_failures_are_handed_over() {
    let fleet = Hundred::default();
    let ran = fleet
        .run(
            r##"
        let all = nodes();
        try {
            all.rollout(#{
                batch: 40,
                max_failures: 10,
                gate: |group| group.count < 40 || !group.contains("n041"),
                on_fail: |bad| { print(bad.nodes.folded); bad.nodes.service.status(#{ service: "shop" }); },
            }, |group| group.service.restart(#{ service: "shop" }));
        } catch (error) { print(error.message); }"##,
        )
        .await;
    assert_eq!(ran.printed, ["n[012,020,033-034]", "n051", "the gate stopped the roll-out after n[041-080]"]);
    assert_eq!(fleet.called("status").len(), 5);
}

#[tokio::test]
async fn an_interrupt_leaves_no_node_untold() {
    let fleet = Hundred::default();
    let trial = Trial { fleet: Some(fleet.access()), ..Trial::default() };
    let cancel = trial.cancel.clone();
    let calls = fleet.calls.clone();
    let text = r##"
        let all = nodes();
        defer(|| print(all.count));
        all.rollout(#{ batch: 30 }, |group| {
            if group.contains("n031") { group.service.hang(); }
        });"##;
    let (ran, ()) = tokio::join!(trial.run(text), async {
        while calls.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    });
    assert_eq!((ran.printed.join(" "), ran.exit()), ("100".to_owned(), 130));
    assert_eq!(outcomes(&ran, Outcome::Ok).len(), 30);
    assert_eq!(outcomes(&ran, Outcome::Silent).len(), 30);
    assert_eq!(outcomes(&ran, Outcome::NotStarted).len(), 40);
}

#[tokio::test]
async fn options_that_do_not_fit_are_told_before_anything_is_sent() {
    for (options, message) in [
        ("concurrency: 3, batch: 2", "it goes with neither `batch` nor `pause`"),
        ("max_per: 2", "`max_per` needs `per`"),
        ("batch: 0", "`batch` is at least one node"),
    ] {
        let text = format!("nodes().rollout(#{{ {options} }}, |group| group.count);");
        let fleet = Hundred::default();
        let ran = fleet.run(&text).await;
        assert!(ran.error().contains(message), "{}", ran.error());
        assert!(fleet.calls.lock().unwrap().is_empty());
    }
    let empty = ran(r#"nodes("role::none").rollout(#{}, |group| group.count);"#).await;
    assert_eq!(empty.exit(), 1);
    assert_eq!(prints(r#"print(nodes("role::web").rollout(#{}, |g| g.count).ok.count);"#).await, ["3"]);
}

#[tokio::test]
async fn a_window_over_one_call_and_batches_of_one_call() {
    let fleet = Hundred::default();
    let ran = fleet
        .run(r##"print(nodes().concurrency(9).tolerate("all").service.restart(#{ service: "shop" }).ok.count);"##)
        .await;
    assert_eq!((ran.printed.join(""), fleet.most.load(Ordering::SeqCst)), ("95".to_owned(), 9));
    assert_eq!(ran.report.calls.len(), 1);
    let fleet = Hundred::default();
    let ran = fleet
        .run(
            r##"
        try { nodes().batch("20%").tolerate(3).service.restart(#{ service: "shop" }); } catch (e) {
            print(`${e.results.not_started.count} ${e.results.bad.count}`);
        }"##,
        )
        .await;
    // n012, n020, then n033 and n034: the second batch is the last.
    assert_eq!(ran.printed, ["60 64"]);
    assert_eq!(fleet.called("restart").len(), 40);
}

/// A fleet of three whose answers depend on how often a node was asked, in the order of its calls.
fn scripted(answers: fn(&str, &str, usize, bool) -> NodeResult) -> (FleetAccess, Arc<Mutex<Vec<String>>>) {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let calls = log.clone();
    let names = || ["n1", "n2", "n3"].map(|name| NodeName::new(name).unwrap()).to_vec();
    let access = FleetAccess::answering(
        RunId::new(Timestamp::from_millis(1), &[7; 10]),
        move |request, _, _| {
            let Scope::Nodes(nodes) = &request.scope else { panic!("not resolved") };
            let mut log = calls.lock().unwrap();
            let results = nodes.iter().map(|node| {
                let again = request.resend.is_some();
                let line = format!("{node} {}{}", request.action, if again { " again" } else { "" });
                let before = log.iter().filter(|other| other.starts_with(&format!("{node} "))).count();
                log.push(line);
                answers(node.as_str(), request.action.as_str(), before, again)
            });
            let results = results.collect();
            let call = Some(request.resend.unwrap_or(CallId::new(Timestamp::from_millis(1), &[1; 10])));
            std::future::ready(Ok(CallReport { results, call, ..CallReport::default() }))
        },
        move |_, _, _| std::future::ready(Ok(Discovery { nodes: names(), ..Discovery::default() })),
    );
    (access, log)
}

fn ended(node: &str, outcome: Outcome) -> NodeResult {
    NodeResult { outcome, ..NodeResult::not_started(NodeName::new(node).unwrap(), "so") }
}

#[tokio::test]
async fn a_silent_node_is_asked_again_for_its_call_and_a_failed_one_called_again() {
    for pace in ["", ".concurrency(1)", ".batch(1)"] {
        let (access, log) = scripted(|node, _, before, again| match (node, before) {
            ("n1", 0) => NodeResult { began: true, ..ended(node, Outcome::Silent) },
            ("n1", 1) => ended(node, Outcome::Silent),
            ("n2", 0 | 1) => ended(node, Outcome::Failed),
            _ => {
                assert!(again || node != "n1", "a silent node was called anew");
                ended(node, Outcome::Ok)
            }
        });
        let text = format!(
            r##"print(nodes(){pace}.retry(2, 0).service.restart(#{{ service: "shop" }}).ok.count);"##
        );
        let ran = Trial { fleet: Some(access), ..Trial::default() }.run(&text).await;
        assert_eq!((ran.printed.join(""), ran.exit()), ("3".to_owned(), 0), "{pace}");
        let mut asked = log.lock().unwrap().clone();
        asked.sort();
        assert_eq!(
            asked,
            [
                "n1 restart",
                "n1 restart again",
                "n1 restart again",
                "n2 restart",
                "n2 restart",
                "n2 restart",
                "n3 restart"
            ],
            "{pace}"
        );
    }
    // What was known of a node that stays silent is not forgotten.
    let (access, _) = scripted(|node, _, before, _| match (node, before) {
        ("n1", 0) => NodeResult { began: true, ..ended(node, Outcome::Silent) },
        ("n1", _) => ended(node, Outcome::Silent),
        _ => ended(node, Outcome::Ok),
    });
    let text = r##"
        let all = nodes().retry(1, 0).tolerate(1).service.restart(#{ service: "shop" });
        print(all.silent.find(|r| true).began);"##;
    let ran = Trial { fleet: Some(access), ..Trial::default() }.run(text).await;
    assert_eq!((ran.printed.join(""), ran.exit()), ("true".to_owned(), 3));
}

#[tokio::test]
async fn arguments_of_each_nodes_own_go_out_at_the_pace_of_the_selection() {
    let (access, log) =
        scripted(|node, _, _, _| ended(node, if node == "n1" { Outcome::Failed } else { Outcome::Ok }));
    let text = r##"
        try {
            nodes().batch(1).invoke_each("service.restart", |node| #{ service: "shop" });
        } catch (error) {
            print(`${error.results.failed.nodes.names} ${error.results.not_started.nodes.names}`);
        }"##;
    let ran = Trial { fleet: Some(access), ..Trial::default() }.run(text).await;
    assert_eq!(ran.printed, [r#"["n1"] ["n2", "n3"]"#]);
    assert_eq!(*log.lock().unwrap(), ["n1 restart"]);
    // Wrong arguments of one node keep all from being called.
    let (access, log) = scripted(|node, _, _, _| ended(node, Outcome::Ok));
    let text = r##"nodes().invoke_each("service.restart", |node| #{ service: if node.name == "n3" { "X!" } else { "x" } });"##;
    let ran = Trial { fleet: Some(access), ..Trial::default() }.run(text).await;
    assert!(ran.error().contains("`service` must match"), "{}", ran.error());
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_node_whose_first_step_was_done_is_never_told_to_be_not_started() {
    let (access, _) = scripted(|node, action, _, _| match action {
        "restart" if node != "n3" => ended(node, Outcome::NotStarted),
        _ => ended(node, Outcome::Ok),
    });
    let text = r##"
        let all = nodes();
        let done = all.rollout(#{ max_failures: "all" }, |group| {
            group.limit(1).service.status(#{ service: "shop" });
            group.service.restart(#{ service: "shop" });
        });
        for r in done { print(`${r.node} ${r.outcome} ${r.code}`); }"##;
    let ran = Trial { fleet: Some(access), ..Trial::default() }.run(text).await;
    assert_eq!(ran.printed, ["n1 failed step", "n2 not_started ", "n3 ok "]);
}

#[tokio::test]
async fn a_roll_out_in_a_roll_out_tells_the_outer_one_of_its_nodes() {
    let (access, _) =
        scripted(|node, _, _, _| ended(node, if node == "n2" { Outcome::Failed } else { Outcome::Ok }));
    let text = r##"
        let all = nodes();
        let done = all.rollout(#{ batch: 2, max_failures: 1 }, |outer| {
            outer.rollout(#{ batch: 1, max_failures: 1 }, |inner| inner.service.restart(#{ service: "shop" }));
        });
        print(`${done.ok.nodes.names} ${done.failed.nodes.names}`);"##;
    let ran = Trial { fleet: Some(access), ..Trial::default() }.run(text).await;
    assert_eq!(ran.printed, [r#"["n1", "n3"] ["n2"]"#]);
    assert_eq!(ran.exit(), 2);
}

#[tokio::test]
async fn a_panic_in_a_window_ends_the_run_and_leaves_nobody_waiting() {
    let (access, _) = scripted(|node, _, _, _| {
        assert!(node != "n2", "not in this fleet");
        ended(node, Outcome::Ok)
    });
    let text = r##"
        let all = nodes();
        defer(|| print("deferred"));
        all.rollout(#{ concurrency: 2, max_failures: 1 }, |group| group.service.restart(#{ service: "shop" }));"##;
    let ran = Trial { fleet: Some(access), ..Trial::default() }.run(text).await;
    assert_eq!((ran.printed.join(""), ran.exit()), ("deferred".to_owned(), 70));
}
