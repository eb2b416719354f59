//! A dry run: what is done, what is listed, what nobody knows, and where it stops.

use orch_runner::script::{Ending, Would};

use crate::kit::{Ran, Trial};

async fn dry(text: &str) -> Ran {
    Trial { dry_run: true, ..Trial::default() }.run(text).await
}

/// What was listed, in short.
fn would(ran: &Ran) -> Vec<String> {
    let told = |would: &Would| match would {
        Would::Call { agent, action, nodes, args, place } => {
            let nodes = nodes.as_ref().map_or("?".to_owned(), |nodes| {
                nodes.iter().map(|node| node.as_str()).collect::<Vec<_>>().join(",")
            });
            format!("{place} {agent}.{action} {nodes} {}", serde_json::Value::Object(args.clone()))
        }
        Would::Do { does, place } => format!("{place} {does}"),
    };
    ran.report.would.as_ref().unwrap().iter().map(told).collect()
}

fn stops(ran: &Ran) -> bool {
    matches!(&ran.report.ending, Ending::Failed(diagnostic) if diagnostic.code.as_str() == "E0315")
}

#[tokio::test]
async fn reads_run_writes_are_asked_or_listed() {
    let ran = dry(r##"
        let web = nodes("role::web");
        print(web.service.status(#{ service: "shop" }).summary("status"));
        print(web.service.reload(#{ service: "shop" }).ok.nodes.names);
        let restarted = web.service.restart(#{ service: "shop", mode: "hard" });
        print(restarted);
        print(`restarted ${restarted.ok.count} of ${web.count}`);
        print("in all " + (restarted.count + 1));
        emit("restarted", restarted.ok.count);
        emit("list", ["a", restarted.ok]);
    "##)
    .await;
    assert!(matches!(ran.report.ending, Ending::Finished), "{:?}", ran.report.ending);
    assert_eq!(ran.asked, ["service.status `role::web`", "dry service.reload web1,web2,web10"]);
    assert_eq!(
        ran.printed,
        ["running  3", r#"["web1", "web2", "web10"]"#, "unknown", "restarted unknown of 3", "in all unknown"]
    );
    assert_eq!(
        would(&ran),
        [r#"test.orch:5:37 service.restart web1,web2,web10 {"mode":"hard","service":"shop"}"#]
    );
    assert_eq!(
        serde_json::to_string(&ran.report.emitted).unwrap(),
        r#"{"restarted":"unknown","list":["a","unknown"]}"#
    );
    assert_eq!(ran.exit(), 0);
}

#[tokio::test]
async fn a_decision_on_what_nobody_knows_ends_it() {
    for decides in [
        "if r.ok.count > 1 { print(1); }",
        "if r.any { print(1); }",
        "if !r.done { print(1); }",
        "while r.any { print(1); }",
        "if r == 1 { print(1); }",
        "if 1 == r { print(1); }",
        "if r != () { print(1); }",
        "if [r] == [1] { print(1); }",
        "if 1 in [r] { print(1); }",
        "if r in [1, 2] { print(1); }",
        "if \"x\" in r { print(1); }",
        "if \"x\" in `${r}` { print(1); }",
        "if `${r}` == \"unknown\" { print(1); }",
        "if `${r}`.contains(\"un\") { print(1); }",
        "if true && r.any { print(1); }",
        "if false || r.any { print(1); }",
        "let x = !r.any;",
        "for one in r { print(1); }",
        "for one in r.bad { print(1); }",
        "switch r.count { 1 => print(1), _ => print(2) }",
        "[1, 2].filter(|n| r.any);",
        "[1, 2].filter(|n| n == r);",
        "[1, 2].filter(|n, i| r.any);",
        "[1, 2].all(|n| r.any);",
        "[1, 2].some(|n| r.any);",
        "[1, 2].find(|n| r.any);",
        "[1, 2].find_map(|n| r.any);",
        "[1, 2].index_of(|n| r.any);",
        "[1, 2].sort(|a, b| r.count);",
        "let l = [1, 2]; l.retain(|n| r.any);",
        "let l = [1, 2]; l.drain(|n| r.any);",
        "#{a: 1}.filter(|n, v| r.any);",
        "[1, 2].contains(r);",
        "[1, 2][r.count];",
        "#{a: 1}[r.name];",
        "web.filter(|n| r.any);",
        "web.service.status(#{ service: \"shop\" }).all(|s| r.any);",
        "fail(r.message);",
        "r.each(|one| print(one));",
        "if nodes(`role::${r.name}`).count > 1 { print(1); }",
        "try { if r.any { print(1); } } catch (e) { print(`caught ${e}`); }",
        "try { if r == 1 { print(1); } } catch { print(1); }",
        "try { print(1 == r); } catch { print(1); }",
        "try { if r { print(1); } } catch { print(1); }",
        "try { if r.any { print(1); } } catch { print(1); }",
        "try { if r.any() { print(1); } } catch (e) { print(1); }",
        "try { if true && r.any { print(1); } } catch { print(1); }",
        "try { let x = r || true; print(1); } catch { print(1); }",
        "try { while r.any { print(1); } } catch { print(1); }",
        "try { do { print(2); } while r.any; } catch { print(1); }",
        "try { for one in r.bad { print(1); } } catch { print(1); }",
        "fn is_bad(r) { r.any } try { if is_bad(r) { print(1); } } catch { print(1); }",
        "fn look(r) { if r.any { print(1); } } try { look(r); } catch { print(1); }",
        "run_script(\"tools/count.orch\", #{ tier: r.name });",
        "parallel([|| r == 1, || 2]);",
        "background(|| r == 1).wait();",
        "defer(|| { if r == 1 { print(1); } });",
        "web.rollout(#{}, |group| { if r.any { print(1); } });",
    ] {
        let script = format!(
            "let web = nodes(\"role::web\"); let r = [web.service.restart(#{{ service: \"shop\" }})].reduce(|sum, x| x, ()); {decides}"
        );
        let ran = dry(&script).await;
        assert!(stops(&ran), "{decides}: {:?}", ran.report.ending);
        assert!(
            !ran.printed.iter().any(|line| line.contains('1') || line.contains("caught")),
            "{decides}: {:?}",
            ran.printed
        );
        assert_eq!(ran.exit(), 1, "{decides}");
    }
}

#[tokio::test]
async fn what_does_not_depend_on_it_goes_on_where_something_is_tried() {
    let ran = dry(r##"
        let web = nodes("role::web");
        let r = web.service.restart(#{ service: "shop" });
        try { if web.count > 0 && !web.names.is_empty() { print("some"); } } catch { print("caught"); }
        for one in [r, web.names[0]] { print("one"); }
        if r == () || true { print("not here"); }"##)
    .await;
    assert_eq!(ran.printed, ["some", "one", "one"]);
    assert!(stops(&ran), "{:?}", ran.report.ending);
}

#[tokio::test]
async fn the_end_says_on_what_it_depends() {
    let ran = dry(r##"let done = nodes("role::web").service.restart(#{ service: "shop" });
if done.bad.count > 0 { fail("broken"); }"##)
    .await;
    insta::assert_snapshot!(ran.error(), @r##"
    error[E0315]: the dry run stops here: what comes next depends on `service.restart` at test.orch:1:39, which was not done
     --> test.orch:2:19
      |
    2 | if done.bad.count > 0 { fail("broken"); }
      |                   ^
    "##);
}

#[tokio::test]
async fn what_is_made_of_it_is_unknown_and_goes_on() {
    let ran = dry(r##"
        let web = nodes("role::web");
        let r = [web.service.restart(#{ service: "shop" })].reduce(|sum, x| x, ());
        let n = r.ok.count * 2 - 1;
        let more = 3 + n;
        let text = "a" + r.name + "b";
        print(`${n} ${more} ${-more} ${text} ${r.sort_by(|a, b| 1)[0].x} ${r.all(|x| x.y)} ${type_of(n)}`);
        let list = [1, n];
        list.push(r);
        print(list);
        print([1, 2].map(|x| x + n));
        let other = nodes(r.names);
        other.service.status(#{ service: "shop" });
        other.service.restart(#{ service: "shop" });
        r.nodes.service.restart(#{ service: "shop" });
        let answer = web.service.status(#{ service: r.name });
        print(answer.count);
        log::warn(n);
        section("to " + n);
    "##)
    .await;
    assert!(matches!(ran.report.ending, Ending::Finished), "{:?}", ran.report.ending);
    assert_eq!(
        ran.printed,
        [
            "unknown unknown unknown aunknownb unknown unknown unknown",
            "[1, unknown, unknown]",
            "[unknown, unknown]",
            "unknown",
            "== to unknown"
        ]
    );
    assert_eq!(ran.warned, ["warn: unknown"]);
    // What would read is not asked of nodes that nobody knows.
    assert_eq!(ran.asked, ["discover `role::web`"]);
    let listed = would(&ran);
    assert_eq!(listed.len(), 4, "{listed:?}");
    assert!(listed[1].ends_with(r#"service.restart ? {"service":"shop"}"#), "{listed:?}");
    assert!(listed[2].ends_with(r#"service.restart ? {"service":"shop"}"#), "{listed:?}");
    assert!(listed[3].ends_with(r#"service.status web1,web2,web10 {"service":"unknown"}"#), "{listed:?}");
}

#[tokio::test]
async fn nothing_is_waited_for_and_this_machine_stays_as_it_is() {
    let ran = dry(r##"
        let began = timestamp();
        sleep("1h");
        wait_until("1h", "1m", || nodes("role::db").service.status(#{ service: "shop" }).all(|r| r.status == "running"));
        wait_until("1h", "1m", || nodes("role::web").service.status(#{ service: "shop" }).all(|r| r.status == "running"));
        let r = nodes("role::db").service.restart(#{ service: "shop" });
        wait_until("1h", "1m", || r.all(|one| one.status == "running"));
        write_text("motd.txt", "closed");
        write_text("motd.txt", "now " + r.count);
        print(read_text("motd.txt"));
        print(exec(["wc", "-w"]).code);
        nodes("role::web").rollout(#{ batch: 1, pause: "1h" }, |group| {
            group.service.restart(#{ service: "shop" });
            print(group.names);
        });
        defer(|| nodes("role::db").service.restart(#{ service: "shop" }));
        print(run_script("tools/count.orch", #{ tier: "web" }).nodes);
        print(began.elapsed < 60.0);
    "##)
    .await;
    assert!(matches!(ran.report.ending, Ending::Finished), "{:?}", ran.report.ending);
    assert_eq!(
        ran.printed,
        ["the shop is open", "unknown", r#"["web1"]"#, r#"["web2"]"#, r#"["web10"]"#, "3", "true"]
    );
    assert!(!ran.asked.iter().any(|asked| asked.contains("restart")), "{:?}", ran.asked);
    let listed: Vec<String> =
        would(&ran).iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    let restart = |nodes: &str| format!(r#"service.restart {nodes} {{"service":"shop"}}"#);
    assert_eq!(
        listed,
        [
            "wait up to 60 min 0 s for the condition".to_owned(),
            restart("db1"),
            "wait up to 60 min 0 s for the condition".to_owned(),
            "write `motd.txt`".to_owned(),
            "write `motd.txt`".to_owned(),
            "run `wc -w`".to_owned(),
            restart("web1"),
            restart("web2"),
            restart("web10"),
            restart("db1"),
        ]
    );
    // No roll-out is told as done.
    assert!(ran.report.calls.iter().all(|call| call.action == "status"), "{:?}", ran.report.calls);
}

#[tokio::test]
async fn mistakes_are_told_as_ever() {
    let wrong = dry(r##"nodes("role::web").invoke("service.restart", #{ service: "SH" + "OP" });"##).await;
    assert!(wrong.error().contains("E0204"), "{}", wrong.error());
    let forbidden = dry(r##"write_text("../other", "x");"##).await;
    assert!(forbidden.error().contains("E0310"), "{}", forbidden.error());
    let nobody = dry(r##"nodes("role::none").service.restart(#{ service: "shop" });"##).await;
    assert_eq!(nobody.exit(), 1);
    let caught = dry(r##"
        try { nodes("role::web").expect(9); } catch (error) { print(error.kind); }
        try { 1 / 0; } catch (error) { print(error.kind); }
    "##)
    .await;
    assert_eq!(caught.printed, ["expect", "runtime"]);
}

#[tokio::test]
async fn secrets_are_masked_in_what_is_listed() {
    let ran = dry(r##"
        let token = secret("env:SHOP_TOKEN");
        exec(["wc", "open-sesame"]);
        nodes("role::web").service.restart(#{ service: "shop" });
    "##)
    .await;
    assert!(would(&ran)[0].ends_with("run `wc ***`"), "{:?}", would(&ran));
}
