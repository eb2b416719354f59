use orch_runner::diagnostic::{SourceText, Style};
use orch_runner::script::compile;

use crate::kit::{fault, ran};

#[test]
fn syntax_errors_show_the_place() {
    insta::assert_snapshot!(fault("let web = nodes(\"role::web\")\nprint(web.count);\n"), @r#"
    error[E0101]: `;` is missing to terminate this statement
     --> test.orch:1:29
      |
    1 | let web = nodes("role::web")
      |                             ^ `;` is missing here
    2 | print(web.count);
      | ----- before this
    "#);
    insta::assert_snapshot!(fault("if true {\n    print(1);\n"), @r#"
    error[E0101]: `}` is missing to terminate this block
     --> test.orch:2:14
      |
    2 |     print(1);
      |              ^ `}` is missing here
    "#);
    insta::assert_snapshot!(fault("print(\"never ends);\n"), @r#"
    error[E0101]: a string does not end
     --> test.orch:1:7
      |
    1 | print("never ends);
      |       ^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(fault("let match = 1;"), @r#"
    error[E0101]: `match` is a reserved word
     --> test.orch:1:5
      |
    1 | let match = 1;
      |     ^^^^^
      |
      = help: `match` can be the name of an action, an input or a field, not of a variable
    "#);
}

#[test]
fn undefined_names_suggest_the_nearest() {
    insta::assert_snapshot!(fault("let servers = nodes();\nprint(`there are ${serers.count}`);"), @r#"
    error[E0103]: `serers` is not defined
     --> test.orch:2:20
      |
    2 | print(`there are ${serers.count}`);
      |                    ^^^^^^
      |
      = help: did you mean `servers`?
    "#);
    insta::assert_snapshot!(fault("const version = 1;\nfn show() { print(version); }\nshow();"), @r#"
    error[E0103]: `version` is not defined
     --> test.orch:2:19
      |
    2 | fn show() { print(version); }
      |                   ^^^^^^^
      |
      = note: functions do not see the constants of the script by their bare names
      = help: write `global::version`
    "#);
    insta::assert_snapshot!(fault("lgo::info(1);"), @r#"
    error[E0103]: there is no module `lgo`
     --> test.orch:1:1
      |
    1 | lgo::info(1);
      | ^^^
    "#);
}

#[test]
fn malformed_queries_in_literals_are_told_before_anything_runs() {
    insta::assert_snapshot!(fault("let web = nodes(\"role::web and (cpus > 4\");"), @r#"
    error[E0205]: the query does not parse: this parenthesis is not closed
     --> test.orch:1:32
      |
    1 | let web = nodes("role::web and (cpus > 4");
      |                                ^
      |
      = help: add `)`
    "#);
    insta::assert_snapshot!(fault("let web = nodes().where(\"role::web AND a=1\");"), @r#"
    error[E0205]: the query does not parse: `AND` is no operator
     --> test.orch:1:36
      |
    1 | let web = nodes().where("role::web AND a=1");
      |                                    ^^^
      |
      = help: write `and`
    "#);
}

#[test]
fn data_functions_of_queries_in_literals_are_checked_against_their_schemas() {
    insta::assert_snapshot!(fault("let web = nodes(\"role::web and servic('x').status = running\");"), @r#"
    error[E0207]: the query is refused: there is no data function `servic`
     --> test.orch:1:32
      |
    1 | let web = nodes("role::web and servic('x').status = running");
      |                                ^^^^^^
      |
      = help: did you mean `service`?
    "#);
    insta::assert_snapshot!(fault("let web = nodes().where(\"puppet().enabled = maybe\");"), @r#"
    error[E0207]: the query is refused: `enabled` is a boolean, and `maybe` is none
     --> test.orch:1:45
      |
    1 | let web = nodes().where("puppet().enabled = maybe");
      |                                             ^^^^^
      |
      = help: write `true` or `false`
    "#);
}

#[tokio::test]
async fn queries_that_are_put_together_are_checked_before_anything_is_sent() {
    for made in [
        r#"nodes("servic" + "('x').status = a")"#,
        r#"nodes().where("puppet().enabled =" + " maybe")"#,
        r##"nodes(#{ query: "service().status" + " = a" })"##,
    ] {
        let ran =
            ran(&format!("try {{ {made}.count }} catch (e) {{ print(e.kind); print(e.message); }}")).await;
        assert_eq!(ran.printed[0], "query", "{made}");
        assert!(ran.printed[1].contains("is refused: "), "{:?}", ran.printed);
        assert!(ran.asked.is_empty(), "{made}: {:?}", ran.asked);
    }
}

#[test]
fn a_script_that_is_too_large_is_refused() {
    assert!(fault(&"\n".repeat(70_000)).contains("error[E0102]: the script has 70000 lines"));
    assert!(fault(&" ".repeat(70_000)).contains("a line of the script has 70000 characters"));
}

#[tokio::test]
async fn a_function_that_only_the_run_finds_missing_suggests_the_nearest() {
    insta::assert_snapshot!(ran("let held = #{ web: nodes() };\nheld.n = 1;\nheld.web.limt(1);").await.error(), @r"
    error[E0201]: there is no function `limt`
     --> test.orch:3:10
      |
    3 | held.web.limt(1);
      |          ^^^^
      |
      = help: did you mean `limit`?
    ");
    insta::assert_snapshot!(ran("let held = #{ web: nodes() };\nheld.n = 1;\nheld.web.limit();").await.error(), @r"
    error[E0201]: `limit` does not take these arguments
     --> test.orch:3:10
      |
    3 | held.web.limit();
      |          ^^^^^
      |
      = note: it was called with (selection)
      = note: it takes 2 arguments, its receiver included
    ");
}

#[tokio::test]
async fn the_calls_around_an_error_are_told() {
    let text =
        "fn inner(n) {\n    n / 0\n}\nfn outer() { inner(1) }\nlet list = [1];\nlist.map(|x| outer());\n";
    let ran = ran(text).await;
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0306]: division by zero: 1 / 0
     --> test.orch:2:7
      |
    2 |     n / 0
      |       ^
      |
      = note: in `inner`, called at test.orch:4:14
      = note: in `outer`, called at test.orch:6:14
      = note: in a closure, called at test.orch:6:6
      = note: in `map`, called at test.orch:6:6
    "#);
    assert_eq!(ran.exit(), 1);
}

#[tokio::test]
async fn what_a_script_throws_is_its_message() {
    assert!(ran("throw \"no\";").await.error().starts_with("error[E0306]: no\n"));
    assert!(ran("throw 5;").await.error().starts_with("error[E0306]: 5\n"));
    let rethrown = ran("try { 1 / 0 } catch (e) { throw e; }").await.error();
    assert!(rethrown.to_lowercase().contains("division by zero"), "{rethrown}");
}

#[tokio::test]
async fn endless_recursion_is_a_limit_and_not_a_crash() {
    let ran = ran("fn f(n) { f(n + 1) + 1 }\nf(1);").await;
    assert!(ran.error().starts_with("error[E0307]: functions call each other too deep"), "{}", ran.error());
    assert_eq!(ran.exit(), 1);
}

#[test]
fn the_examples_compile() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut compiled = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "orch") {
            let source =
                SourceText::new(&path.display().to_string(), &std::fs::read_to_string(&path).unwrap());
            let script = compile(&source, &orch_runner::schemas::Schemas::builtin().unwrap())
                .unwrap_or_else(|faults| panic!("{}", faults[0].render(Style::default())));
            assert!(!script.doc().is_empty(), "{} says what it is for", path.display());
            compiled += 1;
        }
    }
    assert!(compiled >= 2);
}
