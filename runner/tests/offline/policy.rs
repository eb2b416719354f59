//! `orch policy check`.

use serde_json::json;

use super::setting::{caller, setting};
use super::{Ended, cases, folder, orch};

const NODE: &str = "identity: web1\nfacts: {customer: acme, environment: production, cpus: 8}\n\
                    classes: ['acme::devserver', apache]\nagents: [svc]\ndata: {puppet: {enabled: true}}\n";

/// Asks about `svc.restart` for a caller, with these policies.
fn check(policies: &[(&str, &str)], caller: &str, flags: &[&str]) -> Ended {
    let names: Vec<String> = policies.iter().map(|(name, _)| format!("policies/{name}")).collect();
    let mut files: Vec<(&str, &str)> =
        names.iter().zip(policies).map(|(name, (_, text))| (name.as_str(), *text)).collect();
    files.extend([("node.yaml", NODE), ("policies/README.md", "no policy")]);
    let dir = folder(&files);
    let asked = ["policy", "check", "--policies", "policies", "--agent", "svc", "--action", "restart"];
    let about = ["--node", "node.yaml", "--caller", caller];
    orch(dir.path(), &[asked.as_slice(), &about, flags].concat())
}

#[test]
fn the_cases_hold() {
    let cases = cases("AP");
    assert!(cases.len() > 10);
    for case in cases {
        let setting = setting(&case.input);
        let files: Vec<(&str, &str)> =
            setting.files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let mut flags = vec!["--unconfigured", if setting.allow_unconfigured { "allow" } else { "deny" }];
        if !setting.default_file {
            flags.push("--no-default-file");
        }
        let ended = check(&files, caller(&case.input), &flags);
        let code = match case.expected.as_str() {
            "allow" => 0,
            "deny" | "the group is ignored" => 1,
            other => panic!("{}: {other}", case.id),
        };
        assert_eq!(ended.code, Some(code), "{}: {}: {ended:?}", case.id, case.input);
    }
}

#[test]
fn the_line_that_decided_is_named_and_shown() {
    let policy = "policy default deny\nallow\tcert=y\t*\t*\t*\nallow\tops\trestart\tcpus>4\tapache\n";
    let files = [("svc.policy", policy), ("groups", "ops cert=x\n")];
    let ended = check(&files, "cert=x", &["--explain"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(ended.out, @r"
    allowed by line 3 of svc.policy

    line  text                                 verdict
    2     allow  cert=y  *  *  *               it is for other callers
    3     allow  ops  restart  cpus>4  apache  this line decides
    ");
    let denied = check(&files, "cert=z", &["--explain"]);
    assert_eq!(denied.code, Some(1));
    assert!(denied.out.starts_with("denied by the default in line 1 of svc.policy\n"), "{}", denied.out);
    assert!(denied.out.contains("1     policy default deny"), "{}", denied.out);

    let document = check(&files, "cert=x", &["--explain", "--format", "json"]).json();
    assert_eq!(document["decision"], "allow");
    assert_eq!((&document["file"], &document["line"]), (&json!("svc.policy"), &json!(3)));
    assert_eq!(document["text"], "allow\tops\trestart\tcpus>4\tapache");
    assert_eq!(
        document["steps"][0],
        json!({
            "line": 2, "text": "allow\tcert=y\t*\t*\t*", "matches": false, "column": "callers",
            "why": "it is for other callers",
        })
    );
    assert_eq!(document["steps"][1]["matches"], true);
}

#[test]
fn a_malformed_file_is_65_with_every_fault_underlined() {
    let policy = "allow\tcert=x\t*\t*\nallow    cert=x  *  *\nallow\tcert=\t*\tcpus>4 AND apache\t*\n";
    let ended = check(&[("svc.policy", policy)], "cert=x", &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(65), ""));
    insta::assert_snapshot!(ended.err, @r"
    error[E0209]: the last of four columns is a query, and `*` is none
     --> policies/svc.policy:1:16
      |
    1 | allow    cert=x    *    *
      |                         ^
      |
      = help: write five columns: `*` for any facts, and `*` for any classes
    error[E0209]: blanks stand where a tab must be
     --> policies/svc.policy:2:6
      |
    2 | allow    cert=x  *  *
      |      ^^^^
      |
      = help: columns are separated by tabs; an editor may have replaced them
    error[E0209]: `cert=` is not a valid caller: both sides of the `=` must hold something
     --> policies/svc.policy:3:7
      |
    3 | allow    cert=    *    cpus>4 AND apache    *
      |          ^^^^^
    error[E0209]: `AND` is no operator
     --> policies/svc.policy:3:22
      |
    3 | allow    cert=    *    cpus>4 AND apache    *
      |                               ^^^
      |
      = help: write `and`
    error: 4 faults: a node denies every call of `svc` until the file is mended
    ");
    let document = check(&[("svc.policy", policy)], "cert=x", &["--format", "json"]).json();
    assert_eq!(document["decision"], "deny");
    let places: Vec<String> = document["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            format!(
                "{}:{}:{}",
                fault["file"].as_str().unwrap(),
                fault["span"]["line"],
                fault["span"]["column"]
            )
        })
        .collect();
    let file = "policies/svc.policy";
    assert_eq!(
        places,
        [format!("{file}:1:16"), format!("{file}:2:6"), format!("{file}:3:7"), format!("{file}:3:22")]
    );
}

#[test]
fn what_another_agent_is_given_does_not_change_the_answer() {
    let files = [("svc.policy", "allow\tcert=x\t*\t*\t*"), ("other.policy", "nonsense"), ("groups", "b@d")];
    let ended = check(&files, "cert=x", &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("other.policy is malformed too: 1 fault"), "{}", ended.err);
    let groups = check(&[("svc.policy", "allow\tops\t*\t*\t*"), ("groups", "b@d")], "cert=x", &[]);
    assert_eq!(groups.code, Some(65), "{groups:?}");
    assert!(groups.err.contains("policies/groups:1:1"), "{}", groups.err);
}

#[test]
fn wrong_usage_is_64() {
    let good = [("svc.policy", "policy default allow")];
    for (flags, said) in [
        (["--unconfigured", "maybe"].as_slice(), "write `allow` or `deny`"),
        (&["--polices", "x"], "--policies"),
    ] {
        let ended = check(&good, "cert=x", flags);
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.err.contains(said) && ended.out.is_empty(), "{ended:?}");
    }
    let ended = check(&good, "alice", &[]);
    assert_eq!(ended.code, Some(64));
    assert!(ended.err.contains("it is not of the form `kind=value`"), "{}", ended.err);
    let dir = folder(&[("node.yaml", NODE), ("broken.yaml", "facts: [")]);
    let ask = |policies: &str, node: &str| {
        let args = ["policy", "check", "--policies", policies, "--caller", "cert=x", "--agent", "a"];
        orch(dir.path(), &[args.as_slice(), &["--action", "b", "--node", node]].concat())
    };
    let absent = ask("nowhere", "node.yaml");
    assert_eq!(absent.code, Some(64), "{absent:?}");
    assert!(absent.err.contains("nowhere cannot be read"), "{}", absent.err);
    assert_eq!(ask(".", "absent.yaml").code, Some(64));
    assert_eq!(ask(".", "broken.yaml").code, Some(65));
    assert_eq!(ask(".", "node.yaml").code, Some(1));
}

/// The samples are in order, and decide as their comments say.
#[test]
fn the_sample_policies_decide_as_they_say() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (caller, agent, action, code) in [
        ("cert=alice", "service", "stop", 0),
        ("cert=bob", "service", "restart", 0),
        ("cert=ci-7", "service", "restart", 0),
        ("cert=ci-7x", "service", "restart", 1),
        ("cert=mallory", "service", "status", 0),
        ("cert=bob", "shop", "deploy", 1),
        ("cert=alice", "shop", "deploy", 0),
        ("cert=mallory", "node", "ping", 0),
        ("cert=mallory", "package", "install", 1),
    ] {
        let args = ["policy", "check", "--policies", "examples/policies", "--node", "examples/node.yaml"];
        let call = ["--caller", caller, "--agent", agent, "--action", action];
        let ended = orch(&root, &[args.as_slice(), &call].concat());
        assert_eq!(
            (ended.code, ended.err.as_str()),
            (Some(code), ""),
            "{caller} {agent}.{action}: {ended:?}"
        );
    }
}
