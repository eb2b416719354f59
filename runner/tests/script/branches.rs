use crate::kit::{Trial, prints, ran};

#[tokio::test]
async fn branches_read_what_they_capture_while_others_do() {
    let printed = prints(
        r##"
        let web = nodes("role::web");
        let what = #{ service: "shop" };
        let counts = parallel([
            || { for i in 0..50 { web.count; } web.service.status(what).count },
            || web.where("cpus > 2").service.status(what).ok.map(|r| web.count + r.pid),
            || parallel(#{ inner: || web.names }).inner,
        ]);
        print(counts[0]); print(counts[1]); print(counts[2]);
        print(web.count);
        "##,
    )
    .await;
    assert_eq!(printed, ["3", "[107, 111]", r#"["web1", "web2", "web10"]"#, "3"]);
}

#[tokio::test]
async fn more_branches_than_threads_all_run() {
    let printed = prints(
        "let all = []; for i in 0..200 { all.push(|| i * 2); } let sums = parallel(all); print(sums.len()); print(sums[199]);",
    )
    .await;
    assert_eq!(printed, ["200", "398"]);
}

#[tokio::test]
async fn a_branch_that_fails_ends_the_others_and_says_so() {
    let ran = ran(r##"
fn renew(group) { group.service.restart(#{ service: "shop" }) }
let bad = nodes("role::bad");
let web = nodes("role::web");
parallel(#{
    broken: || renew(bad),
    slow: || web.service.hang(),
});
"##)
    .await;
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0301]: `service.restart` did not end ok on 1 of 1 node
     --> test.orch:2:33
      |
    2 | fn renew(group) { group.service.restart(#{ service: "shop" }) }
      |                                 ^^^^^^^
      |
      = note: bad1: failed (unit): the unit is masked
      = note: in `renew`, called at test.orch:6:16
      = note: in a closure, called at test.orch:5:1
      = note: in branch "broken", which ended 1 other, called at test.orch:5:1
    "#);
    assert_eq!(ran.exit(), 2);
}

#[tokio::test]
async fn the_error_of_a_branch_is_caught_as_it_was_raised() {
    let ran = ran(r##"
        try {
            parallel([|| nodes("role::bad").service.restart(#{ service: "shop" }), || 1]);
        } catch (error) {
            print(`${error.kind} ${error.results.failed.count}`);
        }
        try { parallel([|| 1 / 0]); } catch (error) { print(error.kind); }
        let five = [5]; five.push(6);
        try { parallel(five); } catch (error) { print(error.message); }
        print(parallel([]).len());
    "##)
    .await;
    assert_eq!(ran.printed, ["call 1", "runtime", "branch 1 of `parallel` is a closure, not an int", "0"]);
    assert_eq!(ran.exit(), 0);
}

#[tokio::test]
async fn an_interrupt_ends_all_branches() {
    let trial = Trial::default();
    let cancel = trial.cancel.clone();
    let script = r#"
        let web = nodes("role::web");
        try { parallel([|| web.service.hang(), || loop { }, || sleep("1h")]); } catch { print("caught"); }"#;
    let (ran, ()) = tokio::join!(trial.run(script), async { cancel.cancel() });
    assert_eq!((ran.exit(), ran.printed.len()), (130, 0));
}

#[tokio::test]
async fn a_task_is_waited_for_with_a_limit() {
    let ran = ran(r#"
        let web = nodes("role::web");
        let slow = background(|| web.service.hang());
        print(slow.done);
        try { slow.wait("10ms"); } catch (error) { print(`${error.kind}: ${error.message}`); }
        let quick = background(|| web.count);
        print(quick.wait() + quick.wait());
        fail("enough");
    "#)
    .await;
    assert_eq!(ran.printed, ["false", "wait: the task did not end within 10 ms", "6"]);
    // The one that hangs is ended with the script.
    assert_eq!(ran.exit(), 1);
}

#[tokio::test]
async fn an_error_that_nobody_took_is_that_of_the_script() {
    let untold = ran(r##"
        let bad = nodes("role::bad");
        background(|| bad.service.restart(#{ service: "shop" }));
        print("went on");
    "##)
    .await;
    assert_eq!((untold.printed.len(), untold.exit()), (1, 2));
    assert!(untold.error().contains("in background task 1, called at test.orch:3:9"), "{}", untold.error());
    let told = ran(r##"
        let bad = nodes("role::bad");
        let task = background(|| bad.service.restart(#{ service: "shop" }));
        try { task.wait(); } catch (error) { print(error.kind); }
        try { task.wait(); } catch (error) { print(error.message); }
    "##)
    .await;
    assert_eq!(told.printed, ["call", "the task failed, and its error was told before"]);
    assert_eq!(told.exit(), 0);
}

#[tokio::test]
async fn what_is_deferred_runs_after_success_errors_and_interrupts() {
    let good = ran(r#"defer(|| print("first")); defer(|| print("second")); print("script");"#).await;
    assert_eq!((good.printed.join(" "), good.exit()), ("script second first".to_owned(), 0));

    let failed = ran(r##"
        let web = nodes("role::web");
        defer(|| { web.service.restart(#{ service: "shop" }); print(`restarted ${web.count}`); });
        fail("no");
        "##)
    .await;
    assert_eq!((failed.printed.join(" "), failed.exit()), ("restarted 3".to_owned(), 1));
    assert!(failed.error().contains("error[E0302]: no"));

    let trial = Trial::default();
    let cancel = trial.cancel.clone();
    let script = r#"let web = nodes("role::web"); defer(|| print(web.node.ping().count)); loop { }"#;
    let (stopped, ()) = tokio::join!(trial.run(script), async { cancel.cancel() });
    assert_eq!((stopped.printed.join(" "), stopped.exit()), ("3".to_owned(), 130));
}

#[tokio::test]
async fn deferred_closures_each_run_and_hide_no_error() {
    let after = ran(r#"
        defer(|| print("last"));
        defer(|| fail("in the second"));
        defer(|| fail("in the first"));
    "#)
    .await;
    assert_eq!((after.printed.join(" "), after.exit()), ("last".to_owned(), 1));
    assert!(after.error().contains("error[E0302]: in the first"), "{}", after.error());
    assert!(after.troubles.join(" ").contains("in the second"), "{:?}", after.troubles);
}

#[tokio::test]
async fn a_second_interrupt_skips_what_was_deferred() {
    let trial = Trial::default();
    let (cancel, skip) = (trial.cancel.clone(), trial.skip.clone());
    let script = r#"
        let web = nodes("role::web");
        defer(|| print("never"));
        defer(|| { web.service.hang(); print("neither"); });
        loop { }"#;
    let (ran, ()) = tokio::join!(trial.run(script), async {
        cancel.cancel();
        skip.cancel();
    });
    assert_eq!((ran.printed.len(), ran.exit()), (0, 130));
}

#[tokio::test]
async fn a_panic_in_a_branch_is_an_internal_error() {
    for script in [
        "try { parallel([|| nodes().node.stats(), || 1]); } catch { }",
        "try { background(|| nodes().node.stats()).wait(); } catch { }",
        "background(|| nodes().node.stats());",
    ] {
        let ran = ran(script).await;
        assert_eq!(ran.exit(), 70, "{script}");
        assert!(ran.error().contains("orch itself made a mistake: not in this fleet"), "{}", ran.error());
    }
}

#[tokio::test]
async fn tasks_can_be_begun_for_hours() {
    let printed = prints("let n = 0; for i in 0..600 { n += background(|| i).wait(); } print(n);").await;
    assert_eq!(printed, ["179700"]);
    let ran = ran(r#"let web = nodes("role::web"); let all = []; for i in 0..300 { all.push(background(|| web.service.hang())); }"#).await;
    assert!(ran.error().contains("256 tasks run already"), "{}", ran.error());
}
