//! `orch check` and `orch help`.

use serde_json::json;

use super::{folder, orch, orch_fed};

const WRONG: &str =
    "let web = nodes(\"role::web\");\nweb.servce.restart(#{ service: \"shop\" });\nlet unused = 1;\n";

#[test]
fn findings_are_told_to_people_and_programs() {
    let dir = folder(&[
        ("a/wrong.orch", WRONG),
        ("a/b/fine.orch", "print(nodes(\"a = 1\").count);\n"),
        ("a/x.txt", "("),
    ]);
    let told = orch(dir.path(), &["check", "a"]);
    assert_eq!((told.code, told.out.as_str()), (Some(65), ""));
    assert!(told.err.contains("error[E0203]") && told.err.contains("a/wrong.orch:2:5"), "{told:?}");
    assert!(told.err.ends_with("2 scripts: 1 error, 1 warning\n"), "{told:?}");

    let json = orch(dir.path(), &["check", "a", "--format", "json"]).json();
    assert_eq!((&json["errors"], &json["warnings"]), (&json!(1), &json!(1)));
    assert_eq!(json["findings"][0]["span"], json!({ "line": 2, "column": 5, "length": 6 }));

    let sarif = orch(dir.path(), &["check", "a", "--format", "sarif"]).json();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("E0203"), &json!("error")));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a/wrong.orch");
    assert_eq!(place["region"], json!({ "startLine": 2, "startColumn": 5, "endColumn": 11 }));

    let github = orch(dir.path(), &["check", "a", "--format", "github"]);
    assert!(
        github.out.starts_with(
            "::error title=E0203,file=a/wrong.orch,line=2,col=5,endColumn=11::no agent `servce`"
        ),
        "{github:?}"
    );
    assert_eq!(orch(dir.path(), &["check", "a/b"]).code, Some(0));
    assert_eq!(orch(dir.path(), &["check", "gone.orch"]).code, Some(64));
}

#[test]
fn warnings_count_when_they_are_to() {
    let dir = folder(&[("w.orch", "let unused = 1;\n")]);
    assert_eq!(orch(dir.path(), &["check", "w.orch"]).code, Some(0));
    assert_eq!(orch(dir.path(), &["check", "w.orch", "--strict"]).code, Some(65));
    assert_eq!(orch_fed(dir.path(), "let unused = 1;\n", &["check", "-", "--strict"]).code, Some(65));
}

#[test]
fn modules_are_checked_with_what_they_are_called_with() {
    let shop =
        "/// Restarts the shop.\nfn renew(group) {\n    group.service.restrat(#{ service: \"shop\" });\n}\n";
    let main = "import \"./lib/shop\" as shop;\nlet web = nodes(\"role::web\");\nshop::renew(web);\n";
    let dir = folder(&[("deploy.orch", main), ("lib/shop.orch", shop)]);
    let told = orch(dir.path(), &["check", "deploy.orch"]);
    assert_eq!(told.code, Some(65));
    assert!(
        told.err.contains("lib/shop.orch:3:19") && told.err.contains("did you mean `restart`?"),
        "{told:?}"
    );

    let misspelt = main.replace("renew", "reenw");
    let dir = folder(&[("deploy.orch", &misspelt), ("lib/shop.orch", shop)]);
    let told = orch(dir.path(), &["check", "deploy.orch"]);
    assert!(told.err.contains("the module `shop` has no function `reenw`"), "{told:?}");
    assert!(told.err.contains("did you mean `shop::renew`?"), "{told:?}");
}

#[test]
fn imports_that_cannot_be_are_refused_with_their_chain() {
    let dir = folder(&[
        ("p/orch.toml", ""),
        ("p/a.orch", "import \"./b\" as b;\n"),
        ("p/b.orch", "import \"./c\" as c;\n"),
        ("p/c.orch", "import \"./b\" as b;\n"),
        ("p/out.orch", "import \"../secret\" as s;\n"),
        ("p/linked.orch", "import \"./link\" as s;\n"),
        ("p/gone.orch", "import \"./nowhere\" as s;\n"),
        ("p/broken.orch", "import \"./bad\" as s;\n"),
        ("p/bad.orch", "fn f( {\n"),
        ("secret.orch", "fn f() { 1 }\n"),
    ]);
    std::os::unix::fs::symlink(dir.path().join("secret.orch"), dir.path().join("p/link.orch")).unwrap();
    for (file, message) in [
        ("p/a.orch", "the import of `./b` closes a circle"),
        ("p/a.orch", "p/b.orch imports "),
        ("p/a.orch", "imported by p/a.orch"),
        ("p/out.orch", "lies outside of the project"),
        ("p/linked.orch", "lies outside of the project"),
        ("p/gone.orch", "nowhere.orch cannot be read"),
        ("p/broken.orch", "p/bad.orch:1:"),
        ("p/broken.orch", "imported by p/broken.orch"),
    ] {
        let told = orch(dir.path(), &["check", file]);
        assert_eq!(told.code, Some(65), "{told:?}");
        assert!(told.err.contains(message), "{file}: {message}\n{}", told.err);
    }
}

#[test]
fn help_explains_codes_functions_and_commands() {
    let dir = folder(&[]);
    for (what, text) in [
        ("E0203", "No schema describes this agent"),
        ("w0104", "--yes"),
        ("rollout", "max_failures"),
        ("selection.limit", "At most so many"),
        ("check", "Usage: orch check"),
        ("functions", "selection.rollout(…)"),
    ] {
        let told = orch(dir.path(), &["help", what]);
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.out.contains(text), "{what}: {}", told.out);
    }
    assert_eq!(orch(dir.path(), &["help", "nothing"]).code, Some(64));
}

#[test]
fn a_write_on_the_whole_fleet_needs_a_yes_where_nobody_can_be_asked() {
    let script = "nodes().service.restart(#{ service: \"nginx\" });\n";
    let dir = folder(&[("all.orch", script)]);
    let refused = orch(dir.path(), &["script", "all.orch", "--lab", "2"]);
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(refused.err.contains("warning[W0104]") && refused.err.contains("give --yes"), "{refused:?}");
    assert_eq!(orch(dir.path(), &["script", "all.orch", "--lab", "2", "--yes"]).code, Some(0));
}
