//! The modules that ship with the program.

use orch_runner::diagnostic::{SourceText, Style};
use orch_runner::schemas::Schemas;
use orch_runner::script::compile;

use crate::kit::{prints, ran};

fn modules() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../stdlib/modules");
    let mut all: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn every_module_is_checked_described_and_shipped() {
    let schemas = Schemas::builtin().unwrap();
    for (name, text) in modules() {
        let compiled = compile(&SourceText::new(&name, &text), &schemas).unwrap_or_else(|faults| {
            panic!("{}", faults.iter().map(|fault| fault.render(Style::default())).collect::<String>())
        });
        assert!(
            compiled.warnings().is_empty(),
            "{name}: {}",
            compiled.warnings()[0].render(Style::default())
        );
        assert!(!compiled.doc().is_empty(), "{name} says what it is for");
        let user = format!("import \"{name}\" as it;\n");
        assert!(compile(&SourceText::new("user", &user), &schemas).is_ok(), "{name} is not shipped");
    }
}

#[tokio::test]
async fn text() {
    let printed = prints(
        r#"
        import "text" as text;
        print(text::bytes(0) + " " + text::bytes(1536) + " " + text::bytes(5368709120));
        print(text::seconds(0) + ", " + text::seconds(61) + ", " + text::seconds(93784));
        print(text::join(["a", 1, true], "-") + " " + text::join([], "-"));
        print(text::count(1, "node") + " " + text::count(2, "node"));
        print("[" + text::left("ab", 4) + "]");"#,
    )
    .await;
    assert_eq!(
        printed,
        ["0 B 1.5 KiB 5.0 GiB", "0 s, 1 min 1 s, 1 d 2 h", "a-1-true ", "1 node 2 nodes", "[ab  ]"]
    );
}

#[tokio::test]
async fn table() {
    let printed = prints(
        r##"
        import "table" as table;
        print(table::of([#{ name: "web1", cpus: 2 }, #{ name: "database", cpus: 16 }], ["name", "cpus"]));
        print(table::of_summary(nodes("role::web or role::db").service.status(#{ service: "shop" }).summary("status")));"##,
    )
    .await;
    assert_eq!(printed[0], "name      cpus\nweb1      2\ndatabase  16");
    assert_eq!(printed[1], "count  value\n3      running\n1      stopped");
}

#[tokio::test]
async fn assert() {
    let failed = ran(r##"
        import "assert" as assert;
        let answers = nodes("role::web or role::db").service.status(#{ service: "shop" });
        assert::that(answers.count == 4, "four");
        assert::equal(1 + 1, 2, "sum");
        assert::some(nodes("role::web"));
        try { assert::some(nodes("role::none")); } catch (error) { print(error.message); }
        try { assert::equal(1, 2, "sum"); } catch (error) { print(error.message); }
        assert::every(answers, "status", "running");
    "##)
    .await;
    assert_eq!(failed.printed, ["no node was found", "sum: found 1, wanted 2"]);
    let error = failed.error();
    assert!(error.contains("error[E0302]: status is not running on db1"), "{error}");
    assert!(error.contains("std/assert.orch:") && error.contains("called at test.orch:9:17"), "{error}");
    assert_eq!(failed.exit(), 1);
}

#[tokio::test]
async fn retry() {
    let ran = ran(r##"
        import "retry" as retry;
        let web = nodes("role::web");
        let tries = [];
        print(retry::times(3, "1ms", || { tries.push(1); if tries.len() < 3 { fail("not yet"); } web.count }));
        try { retry::times(2, 0, || fail("never")); } catch (error) { print(error.message); }
        print(retry::patiently(2, 0.001, || web.node.ping().ok.count));
    "##)
    .await;
    assert_eq!(ran.printed, ["3", "never", "3"]);
    assert_eq!(ran.warned.len(), 3);
}

#[tokio::test]
async fn rollout() {
    let ran = ran(r##"
        import "rollout" as rollout;
        let done = rollout::restart(nodes("role::web"), "shop");
        print(done.ok.count);
        let others = rollout::restart(nodes("os.family = Debian"), "shop", #{ batch: 1, max_failures: 1 });
        print(others.bad.nodes.names);
    "##)
    .await;
    assert_eq!(ran.printed, ["3", r#"["bad1"]"#]);
    assert_eq!(ran.rollouts.len(), 8);
    assert_eq!(ran.exit(), 2);
}

#[tokio::test]
async fn modules_are_found_from_branches_tasks_and_deferred_closures() {
    let printed = prints(
        r#"
        import "text" as text;
        import "table" as table;
        let web = nodes("role::web");
        defer(|| print(text::count(web.count, "node")));
        print(parallel([|| text::bytes(2048), || table::of([#{ a: 1 }], ["a"])]));
        print(background(|| text::count(web.count, "node")).wait());
        web.rollout(#{ batch: 2 }, |group| print(text::count(group.count, "node")));
        wait_until("1s", "1ms", || text::count(web.count, "node") == "3 nodes");"#,
    )
    .await;
    assert_eq!(printed, [r#"["2.0 KiB", "a\n1"]"#, "3 nodes", "2 nodes", "1 node", "3 nodes"]);
}
