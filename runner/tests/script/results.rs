use crate::kit::{prints, ran};

#[tokio::test]
async fn results_are_split_counted_and_walked() {
    let printed = prints(r#"
        let r = nodes("os.family = /./").tolerate("all").service.restart(#{ service: "shop" });
        print(`${r.count} ${r.ok.count} ${r.failed.count} ${r.bad.count} ${r.silent.count} ${r.rejected.is_empty}`);
        print(r.stats.failed);
        for one in r.bad { print(`${one.node} ${one.outcome} ${one.code} ${one.message} ${one.elapsed}`); }
        print(r.bad.nodes);
        print(r.map(|one| one.node));
        print(r.filter(|one| one.status == "running").count);
        print(r.all(|one| one.outcome == "ok"));
        print(r.any(|one| one.outcome == "failed"));
        print(r.find(|one| one.outcome == "failed").node);
        r.ok.each(|one| print(one));
    "#)
    .await;
    insta::assert_snapshot!(printed.join("\n"), @r#"
    5 4 1 1 0 true
    1
    bad1 failed unit the unit is masked 0.01
    bad1 (1 node)
    ["bad1", "db1", "web1", "web2", "web10"]
    4
    false
    true
    bad1
    db1: ok status=running
    web1: ok status=running
    web2: ok status=running
    web10: ok status=running
    "#);
}

#[tokio::test]
async fn fields_are_counted_and_computed() {
    let printed = prints(
        r#"
        let r = nodes("os.family = /./").service.status(#{ service: "shop" });
        let s = r.summary("status");
        print(s);
        print(s[s.keys()[0]]);
        for entry in s { print(`${entry.value}: ${entry.count}`); }
        print(`${r.sum("pid")} ${r.avg("pid")} ${r.min("pid")} ${r.max("pid")} ${r.median("pid")}`);
        print(r.group_by("status").running.nodes);
        print(r.sort_by("pid").map(|one| one.node));
        print(r.sort_by(|one| -one.elapsed).count);
        print(r.table(["status", "pid"]));
        print(r.fold());
        print(r);
    "#,
    )
    .await;
    insta::assert_snapshot!(printed.join("\n"), @r#"
    running  4
    stopped  1
    4
    running: 4
    stopped: 1
    415 103.75 101 108 103.0
    bad1,web[1-2,10] (4 nodes)
    ["bad1", "web1", "web2", "web10", "db1"]
    5
    node   status   pid
    bad1   running  101
    db1    stopped
    web1   running  102
    web2   running  104
    web10  running  108
    bad1 (1): ok
      status: running
      pid: 101
    db1 (1): ok
      status: stopped
    web1 (1): ok
      status: running
      pid: 102
    web2 (1): ok
      status: running
      pid: 104
    web10 (1): ok
      status: running
      pid: 108
    node   status   pid
    bad1   running  101
    db1    stopped
    web1   running  102
    web2   running  104
    web10  running  108
    Status: running = 4, stopped = 1
    5 ok
    "#);
}

#[tokio::test]
async fn own_names_win_over_outputs() {
    let printed = prints(
        r#"
        let one = nodes("role::db").package.status(#{ package: "shop" }).find(|r| true);
        print(`${one.node} ${one.data.node} ${one.ensure}`);
    "#,
    )
    .await;
    assert_eq!(printed, ["db1 an output 1.2"]);
}

#[tokio::test]
async fn an_output_that_a_node_did_not_give_is_nothing_and_an_unknown_one_an_error() {
    let printed = prints(
        r#"
        let r = nodes("role::bad").tolerate(1).service.restart(#{ service: "shop" });
        for one in r { print(one.status == ()); }
    "#,
    )
    .await;
    assert_eq!(printed, ["true"]);
    let ran =
        ran(r#"for one in nodes("role::web").service.status(#{ service: "shop" }) { print(one.statsu); }"#)
            .await;
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0206]: results of `service.status` have no field `statsu`
     --> test.orch:1:80
      |
    1 | for one in nodes("role::web").service.status(#{ service: "shop" }) { print(one.statsu); }
      |                                                                                ^^^^^^
      |
      = help: did you mean `status`?
    "#);
    let ran =
        crate::kit::ran(r#"nodes("role::web").service.status(#{ service: "shop" }).sum("status");"#).await;
    assert!(ran.error().contains("`status` of web1 is no number: \"running\""), "{}", ran.error());
}

#[tokio::test]
async fn what_is_emitted_is_json() {
    let ran = ran(r#"
        let r = nodes("role::db").service.status(#{ service: "shop" });
        emit("status", r.map(|one| one.status));
        emit("summary", r.summary("status"));
        emit("nodes", r.nodes);
        emit("first", r.find(|one| true));
    "#)
    .await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&ran.report.emitted).unwrap(), @r#"
    {
      "status": [
        "stopped"
      ],
      "summary": {
        "stopped": 1
      },
      "nodes": [
        "db1"
      ],
      "first": {
        "node": "db1",
        "outcome": "ok",
        "data": {
          "status": "stopped",
          "pid": null
        },
        "elapsed_ms": 10.0
      }
    }
    "#);
}
