use orch_runner::script::{Bounds, Standing};

use crate::kit::{AWAY, Trial, prints, ran};

#[tokio::test]
async fn a_call_raises_when_more_nodes_are_bad_than_tolerated() {
    let text = r#"nodes("os.family = Debian").service.restart(#{ service: "shop" });"#;
    let ran = ran(text).await;
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0301]: `service.restart` did not end ok on 1 of 3 nodes
     --> test.orch:1:37
      |
    1 | nodes("os.family = Debian").service.restart(#{ service: "shop" });
      |                                     ^^^^^^^
      |
      = note: bad1: failed (unit): the unit is masked
    "#);
    assert_eq!(ran.exit(), 2);
    for options in ["tolerate(1)", r#"tolerate("34%")"#, r#"tolerate("all")"#] {
        let ran = crate::kit::ran(&text.replace(".service", &format!(".{options}.service"))).await;
        assert_eq!(ran.exit(), 2, "tolerated nodes still count for the exit code: {options}");
        assert!(matches!(ran.report.ending, orch_runner::script::Ending::Finished), "{options}");
    }
}

#[tokio::test]
async fn a_caught_call_has_no_part_in_the_exit_code() {
    let ran = ran(r#"
        try { nodes("os.family = Debian").service.restart(#{ service: "shop" }); }
        catch (e) { print(`${e.kind}: ${e.message}`); print(e.results.failed.nodes); print(e.results.ok.count); }
    "#)
    .await;
    assert_eq!(ran.printed, ["call: `service.restart` did not end ok on 1 of 3 nodes", "bad1 (1 node)", "2"]);
    assert_eq!(ran.exit(), 0);
    assert_eq!(ran.report.calls[0].standing, Standing::Caught);
}

#[tokio::test]
async fn a_call_that_is_thrown_again_counts() {
    let ran =
        ran(r#"try { nodes("role::bad").service.restart(#{ service: "shop" }); } catch (e) { throw e; }"#)
            .await;
    assert_eq!(ran.exit(), 2);
}

#[tokio::test]
async fn an_absent_target_is_silent() {
    let ran = ran("nodes().tolerate(1).node.ping();").await;
    assert_eq!(ran.exit(), 3);
    let results = &ran.report.calls[0].report.results;
    assert!(results.iter().any(|result| result.node.as_str() == AWAY && !result.is_ok()));
}

#[tokio::test]
async fn arguments_that_are_put_together_are_checked_before_anything_is_sent() {
    let ran = ran(r#"let args = #{}; args.servce = "shop"; nodes("role::web").service.restart(args);"#).await;
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0204]: `service.restart` cannot be called so
     --> test.orch:1:66
      |
    1 | let args = #{}; args.servce = "shop"; nodes("role::web").service.restart(args);
      |                                                                  ^^^^^^^
      |
      = note: `servce` is no input of `restart`; did you mean `service`?
      = note: `service` is missing: Name
    "#);
    assert!(ran.asked.is_empty(), "{:?}", ran.asked);
    assert_eq!(ran.exit(), 1);
    let ran =
        crate::kit::ran(r#"let n = [5]; nodes("role::web").service.restart(#{ service: n.pop() });"#).await;
    assert!(ran.error().contains("`service` must be a string, not an integer"), "{}", ran.error());
}

#[tokio::test]
async fn names_that_are_put_together_are_checked_before_anything_is_sent() {
    let asked = [
        (r#"let name = "servce"; nodes()[name].restart();"#, "no agent `servce` is known"),
        (r#"let name = "service.restrat"; nodes().invoke(name);"#, "has no action `restrat`"),
        (r#"let name = "service"; nodes().invoke(name + "");"#, "write \"agent.action\""),
        (
            r#"let all = #{ web: nodes() }; all.other = 1; all.web.service.restrat();"#,
            "has an action `restrat`",
        ),
        (
            r#"let all = #{ web: nodes() }; all.other = 1; all.web.package.restart();"#,
            "has no action `restart`",
        ),
    ];
    for (script, message) in asked {
        let ran = ran(script).await;
        assert!(ran.error().contains(message), "{script}: {}", ran.error());
        assert!(ran.asked.is_empty(), "{script}: {:?}", ran.asked);
    }
}

#[tokio::test]
async fn invoke_names_the_action_in_a_string() {
    let printed = prints(
        r#"
        print(nodes("role::web").invoke("service.status", #{ service: "shop" }).count);
        print(nodes("role::web").invoke("node.ping").count);
    "#,
    )
    .await;
    assert_eq!(printed, ["3", "3"]);
}

#[tokio::test]
async fn a_dead_broker_leaves_every_known_target_not_started() {
    let ran = Trial { dead: true, ..Trial::default() }
        .run(r#"nodes(#{ identities: "web[1-2]" }).service.restart(#{ service: "shop" });"#)
        .await;
    assert_eq!(ran.exit(), 3);
    let ran = Trial { dead: true, ..Trial::default() }.run(r#"nodes("a=1").node.ping();"#).await;
    assert_eq!(ran.exit(), 69);
}

#[tokio::test]
async fn a_cancelled_run_ends_and_no_catch_holds_it() {
    let trial = Trial::default();
    trial.cancel.cancel();
    let ran = trial.run(r#"try { nodes().node.ping(); } catch { } print("after");"#).await;
    assert!(ran.printed.is_empty());
    assert_eq!(ran.exit(), 130);

    let trial = Trial::default();
    let cancel = trial.cancel.clone();
    let (endless, ()) = tokio::join!(trial.run("loop { let a = 1; }"), async { cancel.cancel() });
    assert_eq!(endless.exit(), 130);
}

#[tokio::test]
async fn a_run_changes_no_other_number_of_nodes_than_it_may() {
    let most = Bounds { most: Some(2), ..Bounds::default() };
    let exactly = Bounds { expect: Some(2), ..Bounds::default() };
    let run = async |bounds, text: &str| Trial { bounds, ..Trial::default() }.run(text).await;
    let restart = r##"nodes("role::web").service.restart(#{ service: "shop" });"##;
    let rollout =
        r##"nodes("role::web").rollout(#{}, |group| { group.service.restart(#{ service: "shop" }); });"##;
    let each = r##"nodes("role::web").invoke_each("service.restart", |node| #{ service: "shop" });"##;
    for (bounds, flag) in [(most, "--max-nodes allows 2 nodes"), (exactly, "--expect says 2 nodes")] {
        for text in [restart, rollout, each] {
            let ran = run(bounds, text).await;
            assert!(
                ran.error().contains(flag) && ran.error().contains("3 nodes of `role::web`"),
                "{}",
                ran.error()
            );
            assert_eq!((ran.exit(), ran.asked.len()), (1, 1), "{:?}", ran.asked);
        }
        // What only looks is free, and so is what fits, by groups of a roll-out too.
        let fits = r##"
            nodes("role::web").service.status(#{ service: "shop" });
            let two = nodes("role::web").limit(2);
            two.service.restart(#{ service: "shop" });
            two.rollout(#{ batch: 1 }, |group| { group.service.restart(#{ service: "shop" }); });
        "##;
        let ran = run(bounds, fits).await;
        assert_eq!(ran.exit(), 0, "{:?}", ran.report.ending);
    }
    let one = run(exactly, r##"nodes("role::db").service.restart(#{ service: "shop" });"##).await;
    assert!(one.error().contains("1 node of `role::db`, and --expect says 2 nodes"), "{}", one.error());
}
