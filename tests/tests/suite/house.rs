//! The import rules of the house: who may know whom (`ARCHITECTURE.md`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file below a folder, with its text. Lines of comments do not count: they may name what they please.
fn sources(folder: &str) -> Result<BTreeMap<String, String>> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                walk(&path, files)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
        Ok(())
    }
    let root = root();
    let mut files = Vec::new();
    walk(&root.join(folder), &mut files)?;
    assert!(!files.is_empty(), "no sources in {folder}");
    let mut sources = BTreeMap::new();
    for path in files {
        let code: String = std::fs::read_to_string(&path)?
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        sources.insert(path.strip_prefix(&root)?.display().to_string(), code);
    }
    Ok(sources)
}

/// Whether the code names this path, as a whole word at its start.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let ends_in_letter = word.chars().last().is_some_and(char::is_alphanumeric);
        !part(before) && (!ends_in_letter || !part(after))
    })
}

/// Files below `folder` that name one of `words`, but for those that `may`.
fn offenders(folder: &str, words: &[&str], may: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (file, code) in sources(folder)? {
        for word in words.iter().filter(|word| !may(&file) && names(&code, word)) {
            found.push(format!("{file} names {word}"));
        }
    }
    Ok(found)
}

fn dependencies(member: &str) -> Result<Vec<String>> {
    let manifest = std::fs::read_to_string(root().join(member).join("Cargo.toml"))?;
    let manifest: toml::Table = manifest.parse()?;
    let table = manifest["dependencies"].as_table().context("no dependencies")?;
    Ok(table.keys().cloned().collect())
}

const NONE: [String; 0] = [];
const MEMBERS: [&str; 5] = ["wire/src", "link/src", "broker/src", "nodeagent/src", "runner/src"];

#[test]
fn wire_is_pure() -> Result<()> {
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
    assert_eq!(offenders("wire/src", &impure, |_| false)?, NONE);
    let known = dependencies("wire")?;
    for stranger in ["tokio", "rustls", "zeromq", "clap", "getrandom", "rand"] {
        assert!(!known.iter().any(|name| name == stranger), "wire depends on {stranger}");
    }
    Ok(())
}

#[test]
fn one_crate_speaks_tls_and_two_places_speak_zeromq() -> Result<()> {
    for member in MEMBERS {
        assert_eq!(offenders(member, &["rustls", "tokio_rustls"], |file| file.starts_with("link/"))?, NONE);
        let lanes = ["broker/src/lanes.rs", "broker/src/lanes/tests.rs"];
        let may = |file: &str| file.starts_with("link/") || lanes.contains(&file);
        assert_eq!(offenders(member, &["zeromq"], may)?, NONE);
        assert_eq!(offenders(member, &["rmp_serde"], |file| file == "wire/src/codec.rs")?, NONE);
    }
    Ok(())
}

#[test]
fn the_programs_do_not_know_each_other() -> Result<()> {
    let others = [
        ("wire", ["orch-link", "orch-broker", "orch-nodeagent", "orch-runner"].as_slice()),
        ("link", &["orch-broker", "orch-nodeagent", "orch-runner"]),
        ("broker", &["orch-nodeagent", "orch-runner"]),
        ("nodeagent", &["orch-broker", "orch-runner"]),
    ];
    for (member, strangers) in others {
        for name in dependencies(member)? {
            assert!(!strangers.contains(&name.as_str()), "{member} depends on {name}");
        }
    }
    for member in ["wire", "link", "broker", "nodeagent", "runner"] {
        for name in dependencies(member)? {
            let test = ["orch-tests", "orch-fuzz", "orch-bench"].contains(&name.as_str());
            assert!(!test, "{member} depends on {name}");
        }
    }
    let lab = |file: &str| file == "runner/src/lab.rs" || file.starts_with("runner/src/lab/");
    assert_eq!(offenders("runner/src", &["orch_broker", "orch_nodeagent"], lab)?, NONE);
    Ok(())
}

#[test]
fn inside_the_runner_knowledge_flows_one_way() -> Result<()> {
    assert_eq!(
        offenders("runner/src/client", &["rhai", "crate::script", "crate::cli", "crate::report"], |_| false)?,
        NONE
    );
    assert_eq!(offenders("runner/src/report", &["rhai", "crate::script", "crate::cli"], |_| false)?, NONE);
    assert_eq!(offenders("runner/src/script", &["tokio::net", "orch_link", "crate::cli"], |_| false)?, NONE);
    Ok(())
}

#[test]
fn only_the_edges_read_the_environment() -> Result<()> {
    let edge = |file: &str| {
        file.ends_with("/main.rs") || file.contains("/config") || file.starts_with("runner/src/cli")
    };
    for member in MEMBERS {
        assert_eq!(offenders(member, &["std::env", "env::var"], edge)?, NONE);
    }
    Ok(())
}

/// A million inputs a minute, each of which must mean the same everywhere.
#[test]
fn the_fuzzer_opens_no_connection_and_reads_no_file() -> Result<()> {
    let edges =
        ["tokio::net", "tokio::fs", "std::net", "std::fs", "std::env", "zeromq", "rustls", "rmp_serde"];
    assert_eq!(offenders("fuzz/src", &edges, |_| false)?, NONE);
    assert!(!dependencies("tests")?.iter().any(|name| name == "orch-fuzz"), "the tests depend on the fuzzer");
    assert!(
        !dependencies("fuzz")?.iter().any(|name| name == "orch-tests"),
        "the fuzzer depends on the tests"
    );
    Ok(())
}

#[test]
fn every_suite_file_is_listed() -> Result<()> {
    let suite = root().join("tests/tests/suite");
    let mut folders = vec![(suite.join("main.rs"), suite)];
    while let Some((list, folder)) = folders.pop() {
        let listed = std::fs::read_to_string(&list)?;
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let module = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            assert!(
                path == list || listed.contains(&format!("mod {module};")),
                "{} is not run: {} does not list it",
                path.display(),
                list.display()
            );
            if path.is_dir() {
                folders.push((path.join("mod.rs"), path));
            }
        }
    }
    Ok(())
}
