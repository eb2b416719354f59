//! The facts about Rhai that `language.md` builds on, each with a script.

use orch_runner::diagnostic::SourceText;
use orch_runner::script::compile;

use crate::kit::{fault, prints, ran, schemas};

#[tokio::test]
async fn a_getter_per_agent_and_a_method_per_action() {
    let printed = prints(
        r#"print(nodes("role::web").timeout("3s").quiet().service.status(#{ service: "shop" }).count);"#,
    )
    .await;
    assert_eq!(printed, ["3"]);
}

#[tokio::test]
async fn reserved_words_are_names_of_agents_inputs_and_fields() {
    let printed = prints(
        r#"
        let r = nodes("role::web").package.status(#{ package: "shop" });
        let m = #{ default: 1, with: 2, new: 3, match: 4 };
        print(`${r.count} ${m.default + m.with + m.new + m.match}`);
    "#,
    )
    .await;
    assert_eq!(printed, ["3 10"]);
}

#[tokio::test]
async fn a_string_indexer_is_the_fallback_for_properties() {
    let printed = prints(
        r#"
        for r in nodes("role::db").service.status(#{ service: "shop" }) { print(r.status + r["status"]); }
    "#,
    )
    .await;
    assert_eq!(printed, ["stoppedstopped"]);
}

#[tokio::test]
async fn an_error_of_our_own_arrives_in_catch_with_its_getters() {
    let printed = prints(r#"
        try { nodes("a = 1").expect(5) } catch (e) { print(`${e.kind} ${e.message}`); print(e.results == ()); }
    "#)
    .await;
    assert_eq!(printed, ["expect expected 5 nodes for `a = 1`, found 0", "true"]);
}

#[tokio::test]
async fn a_captured_selection_can_be_read_while_its_own_method_runs() {
    let printed = prints(
        r#"
        let web = nodes("role::web");
        let kept = web.filter(|n| web.count == 3 && n.facts.cpus > 3);
        let r = web.service.status(#{ service: "shop" });
        print(r.map(|one| r.count + web.count));
        print(kept.names);
        print(web.count);
    "#,
    )
    .await;
    assert_eq!(printed, ["[6, 6, 6]", r#"["web2", "web10"]"#, "3"]);
}

#[tokio::test]
async fn functions_see_constants_as_global() {
    assert_eq!(
        prints(r#"const A = nodes("role::web"); fn f() { global::A.count } print(f());"#).await,
        ["3"]
    );
    assert!(fault("const A = 1; fn f() { A } f();").contains("write `global::A`"));
}

#[tokio::test]
async fn the_end_of_a_cancelled_run_cannot_be_caught() {
    let trial = crate::kit::Trial::default();
    let cancel = trial.cancel.clone();
    let script = r#"try { loop { } } catch { print("caught"); }"#;
    let (ran, ()) = tokio::join!(trial.run(script), async { cancel.cancel() });
    assert_eq!((ran.exit(), ran.printed.len()), (130, 0));
}

#[tokio::test]
async fn a_script_can_reach_nothing_else() {
    assert!(fault("eval(\"1\");").contains("eval"));
    assert!(fault("import \"/etc/passwd\" as p;").contains("`/etc/passwd` cannot be imported"));
}

#[tokio::test]
async fn constants_have_the_methods_of_variables() {
    assert_eq!(
        prints(r#"const web = nodes("role::web"); print(web.limit(1).tolerate(1).names);"#).await,
        [r#"["web1"]"#]
    );
}

#[tokio::test]
async fn large_arrays_are_built_in_linear_time() {
    // 32,000 pushes took 547 ms with a limit on the size of values, 19 ms without: it is quadratic.
    assert_eq!(prints("let a = []; for i in 0..200000 { a.push(i); } print(a.len());").await, ["200000"]);
}

#[tokio::test]
async fn invoke_is_not_taken_by_the_engine() {
    assert_eq!(
        prints(r#"let f = Fn("len"); print(nodes("role::db").invoke("node.ping").count);"#).await,
        ["1"]
    );
}

#[tokio::test]
async fn an_error_from_within_functions_and_closures_is_caught_as_it_was_raised() {
    let printed = prints(
        r#"
        fn restart_on(who) { who.service.restart(#{ service: "shop" }); }
        try { [nodes("role::bad")].map(|who| restart_on(who)); } catch (e) { print(`${e.kind} ${e.message}`); }
    "#,
    )
    .await;
    assert_eq!(printed, ["call `service.restart` did not end ok on 1 of 1 node"]);
}

#[tokio::test]
async fn a_panic_ends_the_run_as_an_internal_error() {
    // The made-up fleet knows no such action, and says so the hard way.
    let ran = ran("try { nodes().node.stats(); } catch { }").await;
    assert_eq!(ran.exit(), 70);
    assert!(ran.error().contains("orch itself made a mistake: not in this fleet"), "{}", ran.error());
}

#[test]
fn a_function_with_the_name_of_an_action_is_refused() {
    insta::assert_snapshot!(fault("nodes().service.restart(#{});\nfn restart(who) { who.count }"), @r#"
    error[E0104]: the function `restart` would be called in the place of the action `restart`
     --> test.orch:2:4
      |
    2 | fn restart(who) { who.count }
      |    ^^^^^^^
      |
      = help: give the function another name, such as `do_restart`
    "#);
    insta::assert_snapshot!(fault("fn limit(n) { n }"), @r#"
    error[E0104]: the function `limit` would be called in the place of the method `limit`
     --> test.orch:1:4
      |
    1 | fn limit(n) { n }
      |    ^^^^^
      |
      = help: give the function another name, such as `do_limit`
    "#);
    // With another number of arguments it is no method.
    assert!(
        compile(&SourceText::new("a", "fn restart(a, b) { a + b } fn limit(a, b) { a }"), &schemas()).is_ok()
    );
}
