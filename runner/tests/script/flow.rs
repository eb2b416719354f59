use crate::kit::{Trial, prints, ran};

#[tokio::test]
async fn fail_ends_the_script_with_one() {
    let ran = ran(r#"print("a"); fail("the shop is closed"); print("b");"#).await;
    assert_eq!((ran.printed.as_slice(), ran.exit()), (["a".to_owned()].as_slice(), 1));
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0302]: the shop is closed
     --> test.orch:1:13
      |
    1 | print("a"); fail("the shop is closed"); print("b");
      |             ^^^^
    "#);
    assert_eq!(prints(r#"try { fail("x"); } catch (e) { print(e.kind + e.message); }"#).await, ["failx"]);
}

#[tokio::test]
async fn wait_until_bears_failed_calls_and_keeps_them_out_of_the_exit_code() {
    let ran = ran(r#"
        let tries = [];
        wait_until("5s", "1ms", || {
            tries.push(1);
            if tries.len() < 3 { nodes("role::bad").service.restart(#{ service: "shop" }); }
            true
        });
        print(tries.len());
    "#)
    .await;
    assert_eq!((ran.printed.as_slice(), ran.exit()), (["3".to_owned()].as_slice(), 0));
    assert!(ran.report.calls.is_empty());
}

#[tokio::test]
async fn wait_until_gives_up_at_its_limit() {
    let ran = ran(r#"wait_until("30ms", "1ms", || { nodes("role::bad").service.restart(#{ service: "shop" }); true });"#).await;
    assert_eq!(ran.exit(), 1);
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0304]: the condition did not hold within 30 ms
     --> test.orch:1:1
      |
    1 | wait_until("30ms", "1ms", || { nodes("role::bad").service.restart(#{ service: "shop" }); true });
      | ^^^^^^^^^^
      |
      = note: bad1: failed (unit): the unit is masked
      = cause: 1: `service.restart` did not end ok on 1 of 1 node
    "#);
    // Only a call is "not yet": anything else is a mistake.
    let ran = crate::kit::ran(r#"wait_until("1h", "1s", || fail("no"));"#).await;
    assert!(ran.error().contains("error[E0302]: no"), "{}", ran.error());
}

#[tokio::test]
async fn sleep_ends_when_the_run_is_cancelled() {
    for text in [r#"sleep("1h");"#, "sleep(3600);", r#"wait_until("1h", "1h", || false);"#] {
        let trial = Trial::default();
        let cancel = trial.cancel.clone();
        let (sleeping, ()) = tokio::join!(trial.run(text), async { cancel.cancel() });
        assert_eq!(sleeping.exit(), 130, "{text}");
    }
}

#[tokio::test]
async fn output_goes_where_it_belongs() {
    let ran = ran(r#"section("Start"); print(1); log::info("i"); log::warn(2); log::debug("d"); debug("x"); print(nodes("role::db"));"#).await;
    assert_eq!(ran.printed, ["== Start", "1", "db1 (1 node)"]);
    assert_eq!(ran.warned, ["info: i", "warn: 2", "debug: d", "debug: \"x\""]);
}

#[tokio::test]
async fn a_script_that_fills_the_memory_is_ended() {
    for script in [
        r#"let s = "x"; loop { s += s; }"#,
        "try { let a = [1]; loop { a += a; } } catch { print(\"caught\"); }",
        "parallel([|| { let a = [1]; loop { a += a; } }]);",
    ] {
        let ran = ran(script).await;
        let error = ran.error();
        assert!(error.contains("error[E0307]: the script takes more than 1024 MiB"), "{script}: {error}");
        assert_eq!((ran.exit(), ran.printed.len()), (1, 0), "{script}");
    }
    for script in [
        r#"let s = "x"; s.pad(100000000000, 'y');"#,
        r#"let s = "x"; s.pad(100000000000, "yz");"#,
        "let a = []; a.pad(100000000000, 1);",
        "blob(100000000000);",
        "blob(100000000000, 7);",
    ] {
        let ran = ran(script).await;
        assert!(ran.error().contains("error[E0307]"), "{script}: {}", ran.error());
    }
    let text = r#"let s = "a"; s.pad(5, "bc"); let l = [1]; l.pad(3, 0); print(s); print(l); print(blob(2, 1).len());"#;
    assert_eq!(prints(text).await, ["abcbc", "[1, 0, 0]", "2"]);
}
