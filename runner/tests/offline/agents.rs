//! `orch agents check`.

use serde_json::{Value, json};

use super::agent::source;
use super::{Ended, cases, folder, orch};

fn check(file: &str, text: &str, args: &[&str]) -> Ended {
    let dir = folder(&[(file, text)]);
    orch(dir.path(), &[["agents", "check", file].as_slice(), args].concat())
}

/// The agent of the cases, changed.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut source = source();
    change(&mut source);
    source.to_string()
}

fn without(place: &str, key: &str) -> String {
    changed(|all| drop(all.pointer_mut(place).unwrap().as_object_mut().unwrap().remove(key)))
}

#[test]
fn the_cases_hold() {
    let cases = cases("DV");
    assert!(cases.len() > 15);
    let good = changed(|_| {});
    for case in cases {
        let input = "/actions/0/input/s";
        let codes = match case.input.as_str() {
            "DDL load: string input whose validation is an unknown name" => {
                vec![check(
                    "a.json",
                    &changed(|all| all["actions"][0]["input"]["s"]["validation"] = json!("nosuch")),
                    &[],
                )]
            }
            "DDL load: string input without a validation" => {
                vec![check("a.json", &without(input, "validation"), &[])]
            }
            "DDL load: output without a description" => {
                vec![check("a.json", &without("/actions/0/output/v", "description"), &[])]
            }
            "DDL load: extra metadata keys" => {
                vec![check("a.json", &changed(|all| all["metadata"]["mood"] = json!("fine")), &[])]
            }
            "DDL: action without a display line" => vec![check("a.json", &good, &[])],
            text if text.starts_with("DDL load: metadata without any one of ") => {
                let keys = text.rsplit(" of ").next().unwrap().split(", ");
                keys.map(|key| check("a.json", &without("/metadata", key), &[])).collect()
            }
            text => {
                let (action, rest) = text.split_once(' ').unwrap();
                let end = rest.rfind('}').unwrap() + 1;
                vec![check("a.json", &good, &[action, "--json", &rest[..end]])]
            }
        };
        let fine = case.expected == "valid" || case.expected.starts_with(['a', 'd']);
        for ended in codes {
            assert_eq!(ended.code, Some(if fine { 0 } else { 65 }), "{}: {}: {ended:?}", case.id, case.input);
            assert_eq!(ended.out.is_empty(), !fine, "{}: {ended:?}", case.id);
            assert_eq!(!ended.err.contains("error["), fine, "{}: {ended:?}", case.id);
        }
    }
}

#[test]
fn arguments_are_taken_as_runner_and_node_take_them() {
    let good = changed(|all| all["actions"][0]["input"]["s"]["secret"] = json!(true));
    for (args, code, said) in [
        (
            ["act", "i=-5", "b=YES", "n=1.5", "l=stop"].as_slice(),
            0,
            r#"a.act takes {"i":-5,"b":true,"n":1.5,"l":"stop"}"#,
        ),
        (&["req"], 0, r#"a.req takes {"need":"dflt"}"#),
        (&["req", "need=abc"], 0, r#"{"need":"abc"}"#),
        (&["req", "--json", "{}"], 65, "`need` is missing"),
        (&["act", "s=abc"], 0, r#"{"s":"***"}"#),
        (&["act", "--json", r#"{"i": "1"}"#], 65, "`i` must be an integer, not a string"),
        (&["act", "i=x", "s=TOOLONG", "zz=1"], 65, "`s` must have at most 5 characters"),
        (&["act", "i=x", "s=TOOLONG", "zz=1"], 65, "`i` must be an integer"),
        (&["act", "i=x", "s=TOOLONG", "zz=1"], 65, "`zz` is no input of `act`"),
        (&["act", "i=1", "i=2"], 65, "`i` is given twice"),
        (&["nosuch"], 65, "its actions are `act`, `req`"),
        (&["act", "--json", "[]"], 65, "the arguments are no JSON object"),
        (&["act", "--json", "{,}"], 65, " --> --json:1:2"),
        (&["act", "oops"], 64, "write NAME=VALUE"),
        (&["act", "i=1", "--json", "{}"], 64, "cannot be used with"),
    ] {
        let ended = check("a.json", &good, args);
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
        assert!(format!("{}{}", ended.out, ended.err).contains(said), "{args:?}: {ended:?}");
        assert!(!ended.err.contains("TOOLONG"), "a value is told: {ended:?}");
    }
}

#[test]
fn every_fault_of_a_file_is_told_with_its_place() {
    let text = changed(|all| {
        all["metadata"]["timeout"] = json!("soon");
        all["actions"][0]["input"]["s"]["validation"] = json!("^(?!a)");
        drop(all["actions"][1]["input"]["need"].as_object_mut().unwrap().remove("prompt"));
    });
    let ended = check("a.json", &text, &[]);
    assert_eq!(ended.code, Some(65));
    insta::assert_snapshot!(ended.err, @r"
    error[E0210]: a.json: metadata.timeout: must be a number of seconds, above 0 and at most a week
    error[E0210]: a.json: actions.act.input.s.validation: the look-around `(?!` is not supported, since every expression must run in linear time
    error[E0210]: a.json: actions.req.input.need.prompt: is missing
    a.json: 3 faults
    ");
    let document = check("a.json", &text, &["--format", "json"]).json();
    assert_eq!(document["valid"], false);
    let fields: Vec<&str> =
        document["faults"].as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap()).collect();
    assert_eq!(
        fields,
        ["metadata.timeout", "actions.act.input.s.validation", "actions.req.input.need.prompt"]
    );

    let broken = check("a.toml", "[metadata]\nname = \n", &[]);
    assert_eq!(broken.code, Some(65));
    assert!(broken.err.contains(" --> a.toml:2:"), "{}", broken.err);
    assert_eq!(check("a.json", "\u{1}", &[]).code, Some(65));
}

#[test]
fn doubts_are_warnings() {
    let text = changed(|all| {
        all["actions"][0]["output"]["message"] = json!({"description": "d", "display_as": "M"});
        all["actions"][0]["input"]["s"]["secert"] = json!(true);
    });
    let ended = check("b.json", &text, &["--format", "json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = ended.json();
    let fields: Vec<&str> = document["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "actions.act.input.s.secert",
            "actions.req.input.opt.default",
            "actions.act.output.message",
            "metadata.name"
        ]
    );
    assert!(ended.err.contains("r.data.message"), "{}", ended.err);
    assert_eq!(document["agent"]["actions"], json!(["act", "req"]));
}

/// Everything that ships is in order, data functions included.
#[test]
fn shipped_schemas_are_in_order() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = 0;
    for shipped in ["stdlib/agents", "stdlib/data", "examples/agents"] {
        for entry in std::fs::read_dir(root.join(shipped)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            seen += 1;
            let ended = orch(&root, &["agents", "check", path.to_str().unwrap()]);
            assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        }
    }
    assert!(seen > 8, "{seen}");
}
