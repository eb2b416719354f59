//! The program as its user meets it: exit codes, messages, files.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their way to fail")]

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `orch` in a folder, with an environment of its own.
fn orch(dir: &Path, args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_orch"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec())
            .unwrap()
            .replace(&dir.canonicalize().unwrap().display().to_string(), "DIR")
    };
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// A folder with a fleet's files for a broker at this port, and an operator.
fn fleet(port: u16) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let port = port.to_string();
    for args in [
        ["pki", "init", "fleet", "--broker", "127.0.0.1", "--port", &port].as_slice(),
        &["pki", "add-operator", "fleet", "alice"],
    ] {
        let ended = orch(dir.path(), args);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
    dir
}

const CONFIG: &str = "fleet/operators/alice/orch.toml";

#[test]
fn wrong_usage_is_64_and_says_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    for (args, said) in [
        (["bogus"].as_slice(), "unrecognized subcommand"),
        (&["ping", "--format", "xml"], "human, table, json, jsonl"),
        (&["find", "-S", "role::web &&", "--lab", "1"], " --> -S:1:11\n"),
        (&["find", "-F", "a"], "the value of `-F` does not parse"),
        (&["find", "-T", "bad name"], "flag --collective"),
        (&["ping", "--lab", "many"], "write how many nodes"),
        (&["find", "-I", "web[1-"], "1 | web[1-"),
        (&["find", "--limit", "0"], "it would leave no node"),
        (&["find", "--nodes", "absent.txt"], "absent.txt: No such file"),
        (&["find", "--seed", "1"], "--limit"),
        (&["ping", "--timeout", "5 parsecs"], "is not a span of time"),
        (&["call", "node"], "AGENT.ACTION"),
        (&["call", "node.pong", "--lab", "1"], "did you mean `ping`?"),
        (&["call", "noed.ping", "--lab", "1"], "did you mean `node`?"),
        (&["call", "node.get_fact", "--lab", "1"], "`fact` is missing"),
        (&["call", "node.get_fact", "fakt=a", "--lab", "1"], "`fakt`"),
        (&["call", "shop.deploy", "version=1", "--lab", "1"], "--yes"),
        // What restricts nothing is no filter.
        (&["call", "shop.deploy", "version=1", "-A", "mcollective", "--lab", "1"], "--yes"),
        (&["find", "-W", ""], "a word is missing"),
        (&["find", "-S", "servic('x').status = a", "--lab", "1"], "did you mean `service`?"),
        (&["ping", "-S", "puppet().enabled = maybe", "--lab", "1"], "`enabled` is a boolean"),
        (&["facts", "os", "-S", "fstat('`id`').size = 1", "--lab", "1"], "must not hold a backtick"),
        (&["agents", "-S", "fstat('/x').siez = 1", "--lab", "1"], "did you mean `size`?"),
        (&["call", "node.ping", "-S", "service() = a", "--lab", "1"], "`service` needs an argument"),
        (&["lab", "0"], "at least one node"),
        (&["pki", "init", "f", "--broker", "a b"], "neither a host name nor an IP address"),
        (&["broker", "forget", "web[1-"], "web[1-"),
    ] {
        let ended = orch(dir.path(), args);
        assert_eq!(ended.code, Some(64), "{args:?}: {}{}", ended.out, ended.err);
        assert!(ended.err.contains(said), "{args:?}: {}", ended.err);
        assert_eq!(ended.out, "", "{args:?}: talk on stdout");
    }
}

#[test]
fn a_wrong_configuration_is_78_and_names_the_place() {
    let dir = fleet(1);
    let ended = orch(dir.path(), &["ping"]);
    assert_eq!(ended.code, Some(78));
    assert!(
        ended.err.contains("no orch.toml in DIR or above") && ended.err.contains("--config"),
        "{}",
        ended.err
    );

    std::fs::write(dir.path().join("orch.toml"), "\nbrokre = 'x'\n").unwrap();
    let ended = orch(dir.path(), &["ping"]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.err.contains("DIR/orch.toml:2:1: unknown field `brokre`"), "{}", ended.err);

    let psk = dir.path().join("fleet/operators/alice/psk");
    std::fs::set_permissions(&psk, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = orch(dir.path(), &["--config", CONFIG, "ping"]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.err.contains("alice/orch.toml:6:7") && ended.err.contains("chmod 600"), "{}", ended.err);
}

#[test]
fn a_broker_that_is_not_there_is_69_with_what_to_check() {
    // Bound once, so that nobody else has it, and closed, so that nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = fleet(port);
    for args in [["ping"].as_slice(), &["broker", "status"], &["find", "-C", "x"]] {
        let ended = orch(dir.path(), &[&["--config", CONFIG], args].concat());
        assert_eq!(ended.code, Some(69), "{}", ended.err);
        assert!(ended.err.contains(&format!("cannot reach the broker at 127.0.0.1:{port}")), "{}", ended.err);
        assert!(ended.err.contains("check that orch-broker runs"), "{}", ended.err);
    }
}

#[test]
fn a_broker_that_says_nothing_is_69_within_the_connection_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = fleet(listener.local_addr().unwrap().port());
    let begun = Instant::now();
    let ended = orch(dir.path(), &["--config", CONFIG, "ping", "--connect-timeout", "1s"]);
    assert_eq!(ended.code, Some(69), "{}", ended.err);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn pki_makes_folders_that_are_ready_and_private() {
    let dir = fleet(4567);
    let ended = orch(dir.path(), &["pki", "add-node", "fleet", "web[1-2]", "db1"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(ended.out, "fleet/nodes/db1\nfleet/nodes/web1\nfleet/nodes/web2\n");
    let fleet = dir.path().join("fleet");
    for secret in [
        "ca.key",
        "psk",
        "broker/broker.key",
        "nodes/web1/node.key",
        "nodes/web1/psk",
        "operators/alice/operator.key",
    ] {
        assert_eq!(mode(&fleet.join(secret)), 0o600, "{secret}");
    }
    let node = std::fs::read_to_string(fleet.join("nodes/web1/node.toml")).unwrap();
    assert!(node.contains("broker = \"127.0.0.1:4567\""), "{node}");

    // Nothing is made anew, and nothing halfway.
    let key = std::fs::read(fleet.join("nodes/web2/node.key")).unwrap();
    let ended = orch(dir.path(), &["pki", "add-node", "fleet", "web[2-9]"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("web2 is there already"), "{}", ended.err);
    assert_eq!(std::fs::read(fleet.join("nodes/web2/node.key")).unwrap(), key);
    assert!(!fleet.join("nodes/web3").exists());
    let ended = orch(dir.path(), &["pki", "init", "fleet", "--broker", "b"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("fleet/ca.key is there already"), "{}", ended.err);
    let ended = orch(dir.path(), &["pki", "add-node", "elsewhere", "web1"]);
    assert!(ended.err.contains("elsewhere is no folder of a fleet"), "{}", ended.err);
}

#[test]
fn pki_revokes_by_name_all_or_none_and_says_what_to_do_then() {
    let dir = fleet(1);
    orch(dir.path(), &["pki", "add-node", "fleet", "web[1-3]"]);
    let list = || std::fs::read(dir.path().join("fleet/broker/crl.pem")).unwrap();
    let before = list();
    for (args, code, said) in [
        (["web[3-5]"].as_slice(), 1, "no certificate here of node web4, node web5, and nothing was revoked"),
        (&["web1", "alice"], 1, "operators are named as operator/NAME"),
        (&["--cert", "fleet/ca.key"], 1, "fleet/ca.key: no certificate in it"),
        (&["--cert", "absent.pem"], 1, "cannot read absent.pem"),
        (&["operator/a b"], 64, "a b"),
        (&["web[1-"], 64, "web[1-"),
        (&[], 64, "NAMES"),
    ] {
        let ended = orch(dir.path(), &[&["pki", "revoke", "fleet"], args].concat());
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.err);
        assert!(ended.err.contains(said), "{args:?}: {}", ended.err);
        assert_eq!(list(), before, "{args:?}");
    }
    let ended = orch(dir.path(), &["pki", "revoke", "fleet", "web[1-2]", "operator/alice"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "fleet/broker/crl.pem\n"), "{}", ended.err);
    assert!(
        ended.err.contains("3 certificates revoked, 3 in all: copy fleet/broker/crl.pem"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("SIGHUP"), "{}", ended.err);
    std::fs::rename(dir.path().join("fleet/nodes/web3"), dir.path().join("old")).unwrap();
    let ended = orch(dir.path(), &["pki", "revoke", "fleet", "--cert", "old/node.pem"]);
    assert!(ended.err.contains("1 certificate revoked, 4 in all"), "{}", ended.err);
}

#[test]
fn a_node_that_asks_with_a_request_keeps_its_key() {
    let dir = fleet(1);
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    std::fs::write(dir.path().join("web9.csr"), request).unwrap();
    let ended = orch(dir.path(), &["pki", "add-node", "fleet", "web9", "--csr", "web9.csr"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let folder = dir.path().join("fleet/nodes/web9");
    assert!(folder.join("node.pem").exists() && !folder.join("node.key").exists());
    let ended = orch(dir.path(), &["pki", "add-node", "fleet", "web[1-2]", "--csr", "web9.csr"]);
    assert_eq!(ended.code, Some(64), "{}", ended.err);
}

#[test]
fn a_nodes_certificate_is_none_to_ask_the_broker_with() {
    let dir = fleet(1);
    orch(dir.path(), &["pki", "add-node", "fleet", "web1"]);
    let config = "broker = '127.0.0.1:1'\nca = 'ca.pem'\ncert = 'node.pem'\nkey = 'node.key'\npsk = 'psk'\n";
    std::fs::write(dir.path().join("fleet/nodes/web1/orch.toml"), config).unwrap();
    for command in [["broker", "status"].as_slice(), &["ping"]] {
        let ended = orch(dir.path(), &[&["--config", "fleet/nodes/web1/orch.toml"], command].concat());
        assert_eq!(ended.code, Some(69), "{}", ended.err);
        assert!(ended.err.contains("node web1") && ended.err.contains("add-operator"), "{}", ended.err);
    }
}

#[test]
fn a_folder_that_a_lab_cannot_write_to_is_known_before_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let ended = orch(dir.path(), &["lab", "100000", "--dir", "file"]);
    // So many nodes would be refused, too; but later.
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("file"), "{}", ended.err);
}

#[test]
fn each_value_tells_where_it_comes_from() {
    let dir = fleet(4567);
    let ended = orch(dir.path(), &["--config", CONFIG, "config", "show", "-T", "eu"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    // Columns are as wide as the folder's name is long.
    let lines: Vec<String> =
        ended.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    insta::assert_snapshot!(lines.join("\n"));
    let default = orch(dir.path(), &["config", "show", "--default"]);
    assert!(default.out.contains("discovery = \"2s\""));
}

#[test]
fn a_lab_answers_and_what_one_command_found_the_next_one_takes() {
    let dir = tempfile::tempdir().unwrap();
    let ended = orch(dir.path(), &["ping", "--lab", "3", "--format", "json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let call: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(call["counts"]["ok"], 3);

    let found = orch(dir.path(), &["find", "--lab", "8", "-C", "role::web", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(found["nodes"], serde_json::json!(["web1", "web2", "web3"]));

    let ended = orch(dir.path(), &["find", "--lab", "8", "-C", "role::web", "--limit", "50%"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "web1\n"));
    let ended = orch(dir.path(), &["find", "--lab", "2", "-C", "no::such"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains("no node matches"), "{}", ended.err);
}

#[test]
fn names_restrict_what_other_flags_find_however_many_there_are() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("list"), "web1\nweb2 # the second\ndb1\nnobody\n").unwrap();
    for (args, found) in [
        // More names than fit into a query; the nodes are asked for the rest, and the names are compared here.
        (["-I", "web[2-9999]", "-A", "node"].as_slice(), "web2\nweb3\n"),
        (&["-I", "web[2-9999]", "-I", "/^db/"], "db1\nweb2\nweb3\n"),
        (&["--nodes", "list", "-A", "node"], "db1\nweb1\nweb2\n"),
        (&["--nodes", "list", "-I", "/^web/", "-C", "role::web", "--limit", "1"], "web1\n"),
        (&["--nodes", "list", "-I", "web[1-2]"], "web1\nweb2\n"),
        (&["-I", "web[1-3]!web2", "-I", "web[3-4]", "--limit", "2"], "web1\nweb3\n"),
    ] {
        let ended = orch(dir.path(), &[&["find", "--lab", "8"], args].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), found), "{args:?}: {}", ended.err);
    }
    std::fs::write(dir.path().join("list"), "web1\n\n.web2\n").unwrap();
    let ended = orch(dir.path(), &["find", "--lab", "2", "--nodes", "list"]);
    assert_eq!(ended.code, Some(64));
    assert!(ended.err.contains("--nodes: list: line 3: `.web2` is no name of a node"), "{}", ended.err);
}

#[test]
fn values_of_a_fact_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let ended = orch(dir.path(), &["facts", "role", "--lab", "8", "-q"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    insta::assert_snapshot!(ended.out);
}

#[test]
fn help_shows_examples_and_goes_to_stdout() {
    let dir = tempfile::tempdir().unwrap();
    for command in
        ["ping", "find", "match", "facts", "inventory", "agents", "call", "broker", "lab", "pki", "config"]
    {
        let ended = orch(dir.path(), &[command, "--help"]);
        assert_eq!(ended.code, Some(0), "{command}");
        assert!(ended.out.contains("Examples:\n  orch "), "{command}: {}", ended.out);
    }
    insta::assert_snapshot!("help_of_find", orch(dir.path(), &["find", "--help"]).out);
}

#[test]
fn a_script_runs_and_its_json_tells_everything() {
    let dir = tempfile::tempdir().unwrap();
    let text = "//! Counts.\nconst what = param(\"what\", \"string\", \"Fact to look at\", \"role\");\n\
        let all = nodes(\"role::web\").expect(1, 9);\nlet r = all.node.get_fact(#{ fact: what });\n\
        print(`${r.ok.count} of ${all.count}`);\nemit(\"ok\", r.ok.count);\n";
    std::fs::write(dir.path().join("count.orch"), text).unwrap();
    let ended = orch(dir.path(), &["script", "count.orch", "--lab", "5"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(ended.out, "3 of 3\nok = 3\n");

    let ended = orch(dir.path(), &["script", "count.orch", "what=os.name", "--lab", "5", "--format", "json"]);
    let run: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(run["emitted"], serde_json::json!({ "ok": 3 }));
    assert_eq!((run["exit"].as_u64(), run["calls"][0]["args"]["fact"].as_str()), (Some(0), Some("os.name")));
    assert_eq!(run["calls"][0]["counts"]["ok"], 3);

    let ended = orch(dir.path(), &["script", "count.orch", "--lab", "5", "--format", "jsonl"]);
    let events: Vec<String> = ended
        .out
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(events.first().map(String::as_str), Some("resolved"), "{events:?}");
    assert!(events.contains(&"call".to_owned()) && events.contains(&"print".to_owned()), "{events:?}");
    assert_eq!(events.last().map(String::as_str), Some("end"), "{events:?}");

    let ended = orch(dir.path(), &["script", "count.orch", "--help"]);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.out.contains("Counts.") && ended.out.contains("what=STRING  Fact to look at"),
        "{}",
        ended.out
    );
}

#[test]
fn what_is_wrong_with_a_script_is_told_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("syntax.orch", "let x = nodes(;\n");
    write("good.orch", "const n = param(\"n\", \"int\", \"A number\");\nprint(n);\n");
    for (args, code, said) in [
        (["script", "syntax.orch"].as_slice(), 65, "syntax.orch:1:15"),
        (&["script", "good.orch"], 64, "the parameter `n` is missing"),
        (&["script", "good.orch", "n=x"], 64, "must be a whole number"),
        (&["script", "good.orch", "m=1"], 64, "no parameter `m`"),
        (&["script", "good.orch", "n"], 64, "write NAME=VALUE"),
        (&["script", "absent.orch"], 64, "cannot read absent.orch"),
        (&["script"], 64, "FILE"),
        (&["script", "good.orch", "n=1"], 78, "no configuration names"),
    ] {
        let ended = orch(dir.path(), args);
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.err);
        assert!(ended.err.contains(said), "{args:?}: {}", ended.err);
    }
    write("forever.orch", "loop { sleep(\"50ms\"); }\n");
    let ended = orch(dir.path(), &["script", "forever.orch", "--lab", "1", "--deadline", "300ms"]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("deadline"), "{}", ended.err);
}

/// Starts a script that calls an action that lasts, and waits until the call is about to be made.
fn long_call(dir: &Path) -> std::process::Child {
    let text = "print(\"now\");\nnodes().expect(1, 9).shop.deploy(#{ version: \"1\", seconds: 50 });\n";
    std::fs::write(dir.join("long.orch"), text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_orch"))
        .args(["script", "long.orch", "--lab", "2"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "now\n");
    child
}

#[test]
fn a_signal_ends_a_call_soon_and_shows_what_came_in() {
    use rustix::process::{Pid, Signal, kill_process};
    let dir = tempfile::tempdir().unwrap();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let child = long_call(dir.path());
        let begun = Instant::now();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}: {said}", begun.elapsed());
        assert!(said.contains("interrupted"), "{said}");
    }
}
