//! The import rules of the house: who may know whom (`ARCHITECTURE.md`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file below a folder, with its text. Lines of comments do not count: they may name what they please.
fn sources(folder: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = root();
    let mut files = Vec::new();
    walk(&root.join(folder), &mut files);
    assert!(!files.is_empty(), "no sources in {folder}");
    files
        .into_iter()
        .map(|path| {
            let code: String = std::fs::read_to_string(&path)
                .unwrap()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| format!("{line}\n"))
                .collect();
            (path.strip_prefix(&root).unwrap().display().to_string(), code)
        })
        .collect()
}

/// Whether the code names this path, as a whole word at its start.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !part(before) && !(word.chars().last().is_some_and(char::is_alphanumeric) && part(after))
    })
}

/// Files below `folder` that name one of `words`, but for those that `may`.
fn offenders(folder: &str, words: &[&str], may: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (file, code) in sources(folder) {
        for word in words.iter().filter(|word| !may(&file) && names(&code, word)) {
            found.push(format!("{file} names {word}"));
        }
    }
    found
}

fn dependencies(member: &str) -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

const NONE: [String; 0] = [];
const MEMBERS: [&str; 5] = ["wire/src", "link/src", "broker/src", "nodeagent/src", "runner/src"];

#[test]
fn wire_is_pure() {
    let impure = [
        "tokio",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "std::fs",
        "std::env",
        "std::process",
        "SystemTime",
        "Instant::now",
        "getrandom",
    ];
    assert_eq!(offenders("wire/src", &impure, |_| false), NONE);
    let known = dependencies("wire");
    for stranger in ["tokio", "rustls", "zeromq", "clap", "getrandom", "rand"] {
        assert!(!known.iter().any(|name| name == stranger), "wire depends on {stranger}");
    }
}

#[test]
fn one_crate_speaks_tls_and_two_places_speak_zeromq() {
    for member in MEMBERS {
        assert_eq!(offenders(member, &["rustls", "tokio_rustls"], |file| file.starts_with("link/")), NONE);
        let may = |file: &str| file.starts_with("link/") || file == "broker/src/lanes.rs";
        assert_eq!(offenders(member, &["zeromq"], may), NONE);
        assert_eq!(offenders(member, &["rmp_serde"], |file| file == "wire/src/codec.rs"), NONE);
    }
}

#[test]
fn the_programs_do_not_know_each_other() {
    let others = [
        ("wire", ["orch-link", "orch-broker", "orch-nodeagent", "orch-runner"].as_slice()),
        ("link", &["orch-broker", "orch-nodeagent", "orch-runner"]),
        ("broker", &["orch-nodeagent", "orch-runner"]),
        ("nodeagent", &["orch-broker", "orch-runner"]),
    ];
    for (member, strangers) in others {
        for name in dependencies(member) {
            assert!(!strangers.contains(&name.as_str()), "{member} depends on {name}");
        }
    }
    for member in ["wire", "link", "broker", "nodeagent", "runner"] {
        assert!(
            !dependencies(member).iter().any(|name| name == "orch-tests"),
            "{member} depends on the tests"
        );
    }
    let lab = |file: &str| file == "runner/src/lab.rs" || file.starts_with("runner/src/lab/");
    assert_eq!(offenders("runner/src", &["orch_broker", "orch_nodeagent"], lab), NONE);
}

#[test]
fn inside_the_runner_knowledge_flows_one_way() {
    assert_eq!(
        offenders("runner/src/client", &["rhai", "crate::script", "crate::cli", "crate::report"], |_| false),
        NONE
    );
    assert_eq!(offenders("runner/src/report", &["rhai", "crate::script", "crate::cli"], |_| false), NONE);
    assert_eq!(offenders("runner/src/script", &["tokio::net", "orch_link", "crate::cli"], |_| false), NONE);
}

#[test]
fn only_the_edges_read_the_environment() {
    let edge = |file: &str| {
        file.ends_with("/main.rs") || file.contains("/config") || file.starts_with("runner/src/cli")
    };
    for member in MEMBERS {
        assert_eq!(offenders(member, &["std::env", "env::var"], edge), NONE);
    }
}

#[test]
fn every_suite_file_is_listed() {
    let suite = root().join("tests/tests/suite");
    let main = std::fs::read_to_string(suite.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(suite).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|&module| module != "main") {
            assert!(main.contains(&format!("mod {module};")), "{name} is not run: main.rs does not list it");
        }
    }
}
