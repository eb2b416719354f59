//! `orch match` as its user meets it, and the cases of behaviour that a command can answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their way to fail")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `orch match` in a folder, with an environment of its own.
fn orch_match(dir: &Path, stdin: &str, args: &[&str]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_orch"))
        .arg("match")
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever does not read it has ended already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The node of the group CT, with what CI and CF have besides.
fn node() -> Value {
    json!({
        "identity": "web1.example.com",
        "facts": {
            "country": "uk", "environment": "production", "customer": "acme", "cpus": "8", "mem": "7.5",
            "os": "RedHat", "path": "/usr/local", "desc": "a long value", "zone": "eu-1",
        },
        "classes": ["apache", "role::web", "mysql::server"],
        "agents": ["rpcutil", "package"],
        "data": {
            "fstat": {"md5": "abc123", "size": 158, "present": 1, "mtime_age": 100},
            "puppet": {"enabled": true, "applying": false, "since_lastrun": 600, "status": "idling"},
            "ldavg": {"avg": 0.5, "name": null},
            "num": {"v": 10},
        },
    })
}

/// A folder with this node in `node.json`.
fn folder(node: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("node.json"), node.to_string()).unwrap();
    dir
}

/// Runs `orch match` on a node.
fn matched(node: &Value, args: &[&str]) -> Ended {
    let dir = folder(node);
    orch_match(dir.path(), "", &[&["--node", "node.json"], args].concat())
}

/// The quoted texts in a line, read as JSON strings.
fn quoted(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find('"') {
        let mut stream = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<String>();
        found.push(stream.next().unwrap().unwrap());
        rest = &rest[start + stream.byte_offset()..];
    }
    found
}

fn codes(text: &str) -> Vec<i32> {
    match text {
        "true" => vec![0],
        "false" => vec![1],
        refused if refused.contains("refused") => vec![64],
        error if error.contains("error") => vec![64],
        _ => vec![0, 1],
    }
}

/// How the command ends for a case, if it is about filters.
fn answer(case: &Value) -> Option<Ended> {
    let input = case["input"].as_str().unwrap();
    Some(match case["group"].as_str().unwrap() {
        "FP" => matched(&json!({}), &["-F", input]),
        "FC" => {
            let texts = quoted(input);
            let (last, given) = texts.split_last().unwrap();
            let operator = input.split(' ').rev().nth(1).unwrap();
            let fact = match input.split(' ').next().unwrap() {
                "fact" => json!(given[0]),
                "array" => json!(given),
                _ => json!({"foo": 1, "baz": 2}),
            };
            matched(&json!({"facts": {"f": fact}}), &["-F", &format!("f {operator} {last}")])
        }
        group @ ("CI" | "CF") => {
            let mut node = node();
            node["classes"] = json!(["apache", "role::web", "test_class_test", "mysql"]);
            // Names are exact, so that `-I web1` in CF speaks of a node of that short name.
            if group == "CF" {
                node["identity"] = json!("web1");
            } else {
                node["facts"] = json!({});
            }
            let words: Vec<&str> = input.split(' ').collect();
            let args: Vec<&str> = words.iter().map(|word| word.trim_matches(['"', '\''])).collect();
            matched(&node, &args)
        }
        "CT" => matched(&node(), &["-S", input]),
        "CP" => matched(&json!({}), &[input]),
        _ => return None,
    })
}

#[test]
fn the_cases_of_behaviour_hold_for_the_command() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases/cases.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let mut held = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        if case["run"] != "command" {
            continue;
        }
        let Some(ended) = answer(&case) else { continue };
        let expected = codes(case["expected"].as_str().unwrap());
        assert!(
            ended.code.is_some_and(|code| expected.contains(&code)),
            "{case}: {:?} {}",
            ended.code,
            ended.err
        );
        assert_eq!(ended.code == Some(64), ended.out.is_empty(), "{case}: {}", ended.out);
        held += 1;
    }
    assert!(held > 90, "only {held} cases were looked at");
}

/// The line of the query, the line below it with the place, and the help.
fn place(ended: &Ended) -> String {
    let lines: Vec<&str> = ended.err.lines().collect();
    let at = lines.iter().position(|line| line.contains('^')).unwrap_or_else(|| panic!("{}", ended.err));
    let help = lines.iter().find_map(|line| line.trim().strip_prefix("= help: ")).unwrap_or_default();
    format!("{}\n{}\n{help}", lines[at - 1], lines[at])
}

#[test]
fn a_wrong_query_is_underlined_and_told_what_would_be_right() {
    for (query, expected) in [
        ("a AND b", "1 | a AND b\n  |   ^^^\nwrite `and`"),
        ("a && b", "1 | a && b\n  |   ^^\nwrite `and`"),
        ("a || b", "1 | a || b\n  |   ^^\nwrite `or`"),
        ("desc = 'a long", "1 | desc = 'a long\n  |        ^^^^^^^\nend the text with `'`"),
        // Wide characters take two columns, a tab as many as it is shown with.
        ("städte = 東京 AND b", "1 | städte = 東京 AND b\n  |               ^^^\nwrite `and`"),
        ("a\tAND b", "1 | a    AND b\n  |      ^^^\nwrite `and`"),
        ("a = 1 and\n  b AND c", "2 |   b AND c\n  |     ^^^\nwrite `and`"),
        ("servic('x').status = a", "1 | servic('x').status = a\n  | ^^^^^^\ndid you mean `service`?"),
        ("fstat('/x').siez = 1", "1 | fstat('/x').siez = 1\n  |             ^^^^\ndid you mean `size`?"),
        (
            "puppet().enabled=maybe",
            "1 | puppet().enabled=maybe\n  |                  ^^^^^\nwrite `true` or `false`",
        ),
        ("service().status = a", "1 | service().status = a\n  | ^^^^^^^\nwrite `service('…')`"),
        ("puppet('x').status = a", "1 | puppet('x').status = a\n  |        ^^^\nwrite `puppet()`"),
    ] {
        let ended = matched(&node(), &["--explain", query]);
        assert_eq!(place(&ended), expected, "{}", ended.err);
        // A function that nobody describes may be there on other nodes; here the query is false.
        assert_eq!(ended.code, Some(if query.starts_with("servic(") { 1 } else { 64 }), "{query}");
    }
    let long = format!("{}AND b", "a = 1 and ".repeat(700));
    let ended = matched(&node(), &[&long]);
    assert!(ended.err.lines().all(|line| line.chars().count() < 160), "{}", ended.err);
    assert!(place(&ended).ends_with("^^^\nwrite `and`"), "{}", ended.err);
}

#[test]
fn an_explanation_shows_each_term_with_what_the_node_has() {
    let query = "(role::web and not cpus > 16) and (os = redhat or nofact = 1 or puppet().applying = false)";
    let ended = matched(&node(), &[query, "--explain"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    insta::assert_snapshot!(ended.out, @r#"
    web1.example.com matches

    holds  term                           on the node
    yes    and
    yes      role::web                    "role::web"
    yes      not
    no         cpus > 16                  "8"
    yes      or
    no         os = redhat                "RedHat" (they differ in case, which matters)
    no         nofact = 1                 (the node has no such fact)
    yes        puppet().applying = false  false
    "#);
    let ended = matched(&node(), &["not nosuch('x').y = 1 or apache", "--explain", "--format", "json"]);
    assert_eq!(ended.code, Some(1));
    insta::assert_snapshot!(ended.out, @r#"
    {
      "node": "web1.example.com",
      "matches": false,
      "query": "not nosuch(\"x\").y = 1 or apache",
      "flags": [],
      "explanation": {
        "holds": null,
        "or": [
          {
            "holds": null,
            "not": {
              "holds": null,
              "term": "nosuch(\"x\").y = 1",
              "value": null,
              "note": "the node has no data function `nosuch`, so that the whole query is false"
            }
          },
          {
            "holds": true,
            "term": "apache",
            "value": "apache"
          }
        ]
      }
    }
    "#);
    assert!(ended.err.contains("there is no data function `nosuch`"), "{}", ended.err);
}

#[test]
fn all_flags_count_as_in_a_call() {
    let dir = folder(&node());
    std::fs::write(dir.path().join("list"), "db1\nweb1.example.com # here\n").unwrap();
    std::fs::write(dir.path().join("others"), "db1\n").unwrap();
    std::fs::write(dir.path().join("bad"), "db1\n\na b\n").unwrap();
    for (args, stdin, code) in [
        (["-F", "cpus>7", "-C", "/web/"].as_slice(), "", 0),
        (&["-W", "apache country=uk"], "", 0),
        (&["-W", "apache country=us"], "", 1),
        (&["-A", "mcollective"], "", 0),
        (&["-I", "web[1-3].example.com"], "", 0),
        (&["-I", "web[2-3].example.com", "-I", "/^web1/"], "", 0),
        (&["-I", "node[1-9999]", "-C", "apache"], "", 1),
        (&["-I", "node[1-9999]", "-I", "/^web1/", "-C", "apache"], "", 0),
        (&["--nodes", "list", "apache"], "", 0),
        (&["--nodes", "others", "apache"], "", 1),
        (&["--nodes", "list", "-I", "/^db/"], "", 1),
        (&["--nodes", "-"], r#"[{"node": "web1.example.com"}]"#, 0),
        (&["--nodes", "-"], r#"{"nodes": ["db1"]}"#, 1),
        (&["-T", "main"], "", 0),
        (&["-T", "eu"], "", 1),
        (&["apache", "-S", "cpus > 100"], "", 1),
        (&[], "", 0),
        (&["--nodes", "bad"], "", 64),
        (&["--nodes", "absent"], "", 64),
        (&["-W", " "], "", 64),
        (&["-S", ""], "", 64),
        (&["--limit", "1"], "", 64),
    ] {
        let ended = orch_match(dir.path(), stdin, &[&["--node", "node.json"], args].concat());
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.err);
    }
    let ended = orch_match(dir.path(), "{}", &["--node", "-", "--nodes", "-"]);
    assert_eq!(ended.code, Some(64));
    assert!(ended.err.contains("cannot both read standard input"), "{}", ended.err);
    let ended = orch_match(dir.path(), "", &["--node", "node.json", "--nodes", "bad"]);
    assert!(ended.err.contains("--nodes: bad: line 3: `a b` is no name of a node"), "{}", ended.err);
}

#[test]
fn schemas_of_the_project_describe_further_data_functions() {
    let mut node = node();
    node["data"]["stock"] = json!({"left": 3});
    let dir = folder(&node);
    std::fs::write(dir.path().join("orch.toml"), "agents = [\"schemas\"]\n").unwrap();
    std::fs::create_dir(dir.path().join("schemas")).unwrap();
    let schema = json!({
        "metadata": {"name": "stock", "description": "d", "author": "x", "license": "MIT", "version": "1.0.0",
                     "url": "https://example.com", "timeout": 5},
        "data": {"output": {"left": {"description": "d", "display_as": "Left", "type": "integer"}}},
    });
    std::fs::write(dir.path().join("schemas/stock.json"), schema.to_string()).unwrap();
    for (query, code) in
        [("stock().left > 2", 0), ("stock().left > 3", 1), ("stock().left = many", 64), ("stok() = 3", 1)]
    {
        let ended = orch_match(dir.path(), "", &["--node", "node.json", query]);
        assert_eq!(ended.code, Some(code), "{query}: {}", ended.err);
    }
    let ended = orch_match(dir.path(), "", &["--node", "node.json", "stok().left = 3"]);
    assert!(ended.err.contains("did you mean `stock`?"), "{}", ended.err);
}

#[test]
fn a_bad_node_file_is_65_and_names_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    file("a.json", "{\n  \"facts\": {\"a\": 1},\n  \"clases\": []\n}");
    file("b.yaml", "identity: web1\nfacts: [1\n");
    file("c.yaml", "data:\n  service: running\n");
    for (name, code, said) in [
        ("a.json", 65, " --> a.json:3:"),
        ("b.yaml", 65, " --> b.yaml:"),
        ("c.yaml", 65, "`data.service` is no map of outputs"),
        ("absent.json", 64, "absent.json cannot be read: No such file"),
    ] {
        let ended = orch_match(dir.path(), "", &["--node", name, "apache"]);
        assert_eq!(ended.code, Some(code), "{name}: {}", ended.err);
        assert!(ended.err.contains(said), "{name}: {}", ended.err);
    }
    let ended = orch_match(dir.path(), "classes: [apache]\n", &["--node", "-", "apache"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "the node matches\n"), "{}", ended.err);
    // What a built-in function would answer is not in the file: that is said, for the file may be at fault.
    let ended = orch_match(dir.path(), "{}", &["--node", "-", "service('nginx').status = running"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("no `service` under `data`"), "{}", ended.err);
}
