//! Programs on the operator's machine, and scripts that run other scripts.

use std::time::{Duration, Instant};

use orch_runner::script::Ending;
use serde_json::json;

use crate::kit::{Folder, Trial};

#[tokio::test]
async fn a_program_gives_what_it_wrote_and_how_it_ended() {
    let folder = Folder::new();
    folder.write("tool", "#!/bin/sh\necho \"$1\"; pwd >&2; exit 3\n");
    let path = folder.root.join("tool");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = r#"
        let ended = exec(["./tool", "$HOME; `id`"]);
        print(ended.code); print(ended.stdout); print(ended.stderr);
        print(exec(["sh", "-c", "kill -9 $$"]).code);
        print(exec(["cat"]).stdout.len());
        print(exec(["head", "-c", 1], #{ input: "x" }).stdout);"#;
    let ran = folder.run("exec=*", script).await;
    let here = format!("{}\n", folder.root.display());
    assert_eq!(ran.printed, ["3", "$HOME; `id`\n", here.as_str(), "137", "0", "x"]);
}

#[tokio::test]
async fn a_program_that_fails_is_told_in_its_own_words() {
    let folder = Folder::new();
    let failed = r#"exec(["sh", "-c", "echo one; echo two >&2; exit 5"], #{ check: true });"#;
    insta::assert_snapshot!(folder.run("exec=*", failed).await.error(), @r#"
    error[E0312]: `sh` ended with code 5
     --> test.orch:1:1
      |
    1 | exec(["sh", "-c", "echo one; echo two >&2; exit 5"], #{ check: true });
      | ^^^^
      |
      = note: two
    "#);
    insta::assert_snapshot!(folder.run("exec=*", r#"exec(["no-such-program"]);"#).await.error(), @r#"
    error[E0312]: `no-such-program` is not there to be run
     --> test.orch:1:1
      |
    1 | exec(["no-such-program"]);
      | ^^^^
    "#);
    for (script, why) in [
        (r#"exec([]);"#, "is given a program"),
        (r#"exec(["echo", #{}]);"#, "is a string or a number, not a map"),
        (r#"let o = #{ timout: 1 }; exec(["echo"], o);"#, "no option `timout`"),
        (r#"exec(["sh", "-c", "yes"], #{ timeout: "20s" });"#, "more than 8 MiB"),
    ] {
        let ran = folder.run("exec=*", script).await;
        assert!(ran.error().contains(why), "{}", ran.error());
    }
}

/// A program that starts another one, tells its number, and waits for it.
const NESTED: &str = "sleep 600 & echo $! > child; wait";

fn is_gone(folder: &Folder) -> bool {
    let child: i32 = folder.read("child").trim().parse().unwrap();
    let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    // Without a parent that waits for it nothing but its number may be left.
    state.is_empty() || state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

async fn until(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not come to hold");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_ended_with_all_that_it_started() {
    let folder = Folder::new();
    let script = format!(r#"exec(["sh", "-c", "{NESTED}"], #{{ timeout: "500ms" }});"#);
    let ran = folder.run("exec=*", &script).await;
    assert!(ran.error().contains("`sh` did not end within"), "{}", ran.error());
    until(|| is_gone(&folder)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_ends_with_the_run() {
    let folder = Folder::new();
    let trial = Trial { local: Some(folder.local(allowing("exec=*"))), ..Trial::default() };
    let cancel = trial.cancel.clone();
    let script = format!(r#"exec(["sh", "-c", "trap '' TERM; {NESTED}; wait"]); print("on");"#);
    let path = folder.root.join("child");
    let ends = async {
        until(|| std::fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'))).await;
        cancel.cancel();
    };
    let (ran, ()) = tokio::join!(trial.run(&script), ends);
    assert!(matches!(ran.report.ending, Ending::Interrupted));
    assert!(ran.printed.is_empty());
    until(|| is_gone(&folder)).await;
}

fn allowing(text: &str) -> orch_runner::script::Permissions {
    orch_runner::script::Permissions::new(orch_runner::script::Grants::parse(text).unwrap())
}

#[tokio::test]
async fn a_script_is_part_of_the_one_that_runs_it() {
    let folder = Folder::new();
    folder.write(
        "tools/restart.orch",
        r#"let tier = param("tier", "string", "Which");
        let most = param("most", "int", "How many", 2);
        print(`restarting ${tier}`);
        let done = nodes(`role::${tier}`).limit(most).service.restart(#{ service: "shop" });
        emit("done", done.ok.count); emit("names", done.nodes.names);
        print(read_text("../motd.txt"));"#,
    );
    let script = r#"
        emit("mine", 1);
        let web = run_script("tools/restart.orch", #{ tier: "web" });
        print(web.done); print(web.names);
        let all = parallel([|| run_script("tools/restart.orch", #{ tier: "web", most: 1 }).done]);
        print(all);"#;
    let ran = folder.run("", script).await;
    let expected = [
        "restarting web",
        "the shop is open",
        "2",
        "[\"web1\", \"web2\"]",
        "restarting web",
        "the shop is open",
        "[1]",
    ];
    assert_eq!(ran.printed, expected);
    assert_eq!(serde_json::Value::from(ran.report.emitted.clone()), json!({"mine": 1}));
    assert_eq!(ran.report.calls.len(), 2);
    assert_eq!(ran.exit(), 0);
}

#[tokio::test]
async fn the_errors_of_a_script_are_those_of_the_call_with_the_way_through_it() {
    let folder = Folder::new();
    folder.write(
        "tools/bad.orch",
        "fn again() {\n    nodes(\"role::bad\").service.restart(#{ service: \"shop\" });\n}\nagain();\n",
    );
    let ran = folder.run("", r#"run_script("tools/bad.orch");"#).await;
    assert_eq!(ran.exit(), 2, "{}", ran.error());
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0301]: `service.restart` did not end ok on 1 of 1 node
     --> test.orch:1:1
      |
    1 | run_script("tools/bad.orch");
      | ^^^^^^^^^^
      |
      = note: at tools/bad.orch:2:32
      = note: bad1: failed (unit): the unit is masked
      = note: in `again`, called at tools/bad.orch:4:1
    "#);
    let caught = r#"try { run_script("tools/bad.orch"); } catch (error) { print(`${error.kind} ${error.results.failed.count}`); }"#;
    let ran = folder.run("", caught).await;
    assert_eq!(ran.printed, ["call 1"]);
    assert_eq!(ran.exit(), 0, "the error was caught");
    folder.write("tools/wrong.orch", "let a = 1;\nprint(1 / 0);\n");
    insta::assert_snapshot!(folder.run("", r#"run_script("tools/wrong.orch");"#).await.error(), @r#"
    error[E0306]: division by zero: 1 / 0
     --> test.orch:1:1
      |
    1 | run_script("tools/wrong.orch");
      | ^^^^^^^^^^
      |
      = note: at tools/wrong.orch:2:9
    "#);
    folder.write("tools/faulty.orch", "nodes(\"role::web\").service.restat();\nlet x = ;\n");
    insta::assert_snapshot!(folder.run("", r#"run_script("tools/faulty.orch");"#).await.error(), @r#"
    error[E0314]: `tools/faulty.orch` cannot be run: it has mistakes
     --> test.orch:1:1
      |
    1 | run_script("tools/faulty.orch");
      | ^^^^^^^^^^
      |
      = note: tools/faulty.orch:2:9: unexpected `;`
    "#);
    insta::assert_snapshot!(folder.run("", r#"run_script("tools/count.orch", #{ teir: "web" });"#).await.error(), @r#"
    error[E0110]: `tools/count.orch` cannot be run with these parameters
     --> test.orch:1:1
      |
    1 | run_script("tools/count.orch", #{ teir: "web" });
      | ^^^^^^^^^^
      |
      = note: the script has no parameter `teir`
      = note: the parameter `tier` is missing
      = help: write them as `#{ name: value }` behind the path
    "#);
}

#[tokio::test]
async fn what_a_script_defers_and_begins_ends_with_it() {
    let folder = Folder::new();
    folder.write(
        "a.orch",
        r#"defer(|| print("deferred")); background(|| print("beside")).wait(); print("a");"#,
    );
    let ran = folder.run("", r#"run_script("a.orch"); print("outer");"#).await;
    assert_eq!(ran.printed, ["beside", "a", "deferred", "outer"]);
    folder.write("hang.orch", r#"defer(|| print("deferred")); nodes("role::web").service.hang();"#);
    let trial = Trial { local: Some(folder.local(Default::default())), ..Trial::default() };
    trial.cancel.cancel();
    let ran = trial.run(r#"try { run_script("hang.orch"); } catch { print("no"); }"#).await;
    assert!(matches!(ran.report.ending, Ending::Interrupted));
}

#[tokio::test]
async fn scripts_are_not_within_each_other_without_end() {
    let folder = Folder::new();
    folder.write("a.orch", r#"run_script("a.orch");"#);
    let ran = folder.run("", r#"run_script("a.orch");"#).await;
    assert!(ran.error().contains("8 scripts are within each other already"), "{}", ran.error());
    // As deep as calls go, in each.
    folder.write("deep.orch", "fn down(n) { if n > 0 { down(n - 1) } else { emit(\"n\", 1); } }\ndown(100);");
    folder.write(
        "deeper.orch",
        "fn down(n) { if n > 0 { down(n - 1) } else { run_script(\"deep.orch\"); } }\ndown(100);",
    );
    let script =
        "fn down(n) { if n > 0 { down(n - 1) } else { run_script(\"deeper.orch\"); } }\ndown(100); print(1);";
    assert_eq!(folder.run("", script).await.printed, ["1"]);
}
