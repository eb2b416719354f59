use orch_runner::diagnostic::{SourceText, Style};
use orch_runner::script::{Compiled, compile};
use serde_json::{Map, Value, json};

use crate::kit::{Trial, fault, schemas};

const SCRIPT: &str = r#"//! Deploys a release.
//! Carefully.
const version = param("version", "string", "Release to deploy");
let batch = param("batch", "choice(one|two)", "Nodes at a time", "one");
let password = param("password", "secret", "For the shop", ());
if version == "2" { let extra = param("extra", "int", "Only for the second"); }
print(`${version} ${batch} ${password} ${password == ()}`);
emit("password", password);
"#;

fn compiled(text: &str) -> Compiled {
    compile(&SourceText::new("deploy.orch", text), &schemas()).unwrap()
}

fn given(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

#[test]
fn parameters_are_listed_without_running() {
    let script = compiled(SCRIPT);
    let listed: Vec<String> = script
        .params()
        .iter()
        .map(|p| format!("{} {} {} {:?} {}", p.name, p.kind, p.required, p.default, p.help))
        .collect();
    insta::assert_snapshot!(listed.join("\n"), @r#"
    version string true None Release to deploy
    batch choice(one|two) false Some(String("one")) Nodes at a time
    password secret false None For the shop
    extra int true None Only for the second
    "#);
    assert_eq!(script.doc(), "Deploys a release.\nCarefully.");
}

#[test]
fn wrong_parameters_are_told_before_anything_runs() {
    let faults = compiled(SCRIPT).check_params(&given(json!({"verson": "1", "batch": "three"}))).unwrap_err();
    let faults: Vec<String> = faults.iter().map(|fault| fault.render(Style::default())).collect();
    insta::assert_snapshot!(faults.join("\n\n"), @r#"
    error[E0110]: the script has no parameter `verson`
     = note: in deploy.orch
     = help: did you mean `version`?

    error[E0110]: the parameter `batch` must be one of `one`, `two`
     = note: in deploy.orch

    error[E0110]: the parameter `version` is missing
     = note: in deploy.orch
     = note: Release to deploy
     = help: add `version=…` after the name of the script
    "#);
    assert!(compiled(SCRIPT).check_params(&given(json!({"version": "1"}))).is_ok());
}

#[test]
fn wrong_declarations_are_told_with_their_place() {
    insta::assert_snapshot!(fault(r#"let a = param("a", "strin", "help");"#), @r#"
    error[E0111]: `strin` is no type of a parameter; types are `string`, `int`, `float`, `bool`, `duration`, `list`, `map`, `choice(a|b|c)`, `secret`
     --> test.orch:1:20
      |
    1 | let a = param("a", "strin", "help");
      |                    ^^^^^^^
    "#);
    insta::assert_snapshot!(fault(r#"let a = param("a", "int", "help", "x");"#), @r#"
    error[E0111]: the default of the parameter `a` must be a whole number
     --> test.orch:1:9
      |
    1 | let a = param("a", "int", "help", "x");
      |         ^^^^^
    "#);
    insta::assert_snapshot!(fault("let a = param(\"a\", \"int\", \"h\", 1);\nlet b = param(\"a\", \"int\", \"h\", 1);"), @r#"
    error[E0111]: the parameter `a` is declared twice
     --> test.orch:2:15
      |
    2 | let b = param("a", "int", "h", 1);
      |               ^^^
    "#);
}

#[tokio::test]
async fn values_have_their_types_and_secrets_do_not_show() {
    let params = given(json!({"version": "1.2", "password": "hunter2"}));
    let ran = Trial { params, ..Trial::default() }.run(SCRIPT).await;
    assert_eq!(ran.printed, ["1.2 one *** false"]);
    assert_eq!(ran.report.emitted["password"], json!("***"));
    let params = given(json!({"n": "5", "l": "a,b", "m": "a=1"}));
    let script = r#"let n = param("n", "int", "h"); let l = param("l", "list", "h"); let m = param("m", "map", "h");
        let f = param("f", "float", "h", 2); let d = param("d", "duration", "h", "1s"); sleep(d - "1s" + "1ms");
        print(n + 1); print(l[1]); print(m.a); print(f / 4);"#;
    let ran = Trial { params, ..Trial::default() }.run(script).await;
    assert_eq!(ran.printed, ["6", "b", "1", "0.5"]);
}

#[tokio::test]
async fn a_parameter_that_is_missing_at_run_time_is_a_usage_error() {
    let ran = Trial { params: given(json!({"version": "2"})), ..Trial::default() }.run(SCRIPT).await;
    assert_eq!(ran.exit(), 64);
    insta::assert_snapshot!(ran.error(), @r#"
    error[E0110]: the parameter `extra` is missing
     --> test.orch:6:33
      |
    6 | if version == "2" { let extra = param("extra", "int", "Only for the second"); }
      |                                 ^^^^^
      |
      = help: add `extra=…` after the name of the script
    "#);
}
