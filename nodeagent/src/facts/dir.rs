//! Facts from `facts.d` folders: JSON, YAML, TOML, `key=value` text, and executables. A broken file costs only itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::programs::Printed;
use crate::files;
use crate::json::{DEPTH, is_within};
use crate::problem::Problem;

/// Most files in one folder.
const FILES: usize = 256;
/// Longest file, and most that a program may print.
pub(super) const FILE_BYTES: usize = 512 * 1024;
/// Longest name of a fact.
const NAME_BYTES: usize = 256;

/// Reads a folder's files in the order of their names into `facts`; later ones win, each fact as a whole. Of executables it takes
/// what they have printed.
pub(super) fn read(
    folder: &Path,
    printed: &mut Printed,
    facts: &mut Map<String, Value>,
    problems: &mut Vec<Problem>,
) {
    let paths = match files::list(folder, FILES) {
        Ok(paths) => paths,
        Err(error) => return problems.push(error.into()),
    };
    for path in paths {
        if is_hidden(&path) {
            continue;
        }
        let found = if is_program(&path) { printed.remove(&path) } else { Some(read_file(&path)) };
        match found {
            Some(Ok(found)) => facts.extend(found),
            Some(Err(problem)) => problems.push(problem),
            // It has come since the programs ran, and runs the next time.
            None => {}
        }
    }
}

/// The executables of a folder.
pub(super) fn programs(folder: &Path) -> Vec<PathBuf> {
    // A folder that cannot be listed is told of when its files are read.
    let mut paths = files::list(folder, FILES).unwrap_or_default();
    paths.retain(|path| !is_hidden(path) && is_program(path));
    paths
}

/// As Facter has it, the end of a name says more than an execute bit, which whole folders get by mistake.
fn is_program(path: &Path) -> bool {
    parser(path).is_none()
        && fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Files of editors and package managers that wait to be looked at.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with('.')
        || [".bak", ".orig", ".rej", ".swp", ".dpkg-dist", ".dpkg-old", ".rpmnew", ".rpmsave", "~"]
            .iter()
            .any(|end| name.ends_with(end))
}

type Parser = fn(&str) -> Result<Value, String>;

/// How a file of data is read.
fn parser(path: &Path) -> Option<Parser> {
    match path.extension()?.to_str()? {
        "json" => Some(parse_json),
        "yaml" | "yml" => Some(parse_yaml),
        "toml" => Some(parse_toml),
        "txt" => Some(parse_text),
        _ => None,
    }
}

fn read_file(path: &Path) -> Result<Map<String, Value>, Problem> {
    let parse = parser(path).ok_or_else(|| {
        Problem::new(path, "is none of .json, .yaml, .yml, .toml, .txt, and not executable")
    })?;
    let text = files::read_text(path, FILE_BYTES)?;
    let value = parse(text.strip_prefix('\u{feff}').unwrap_or(&text)).map_err(|e| Problem::new(path, e))?;
    facts_of(value).map_err(|error| Problem::new(path, error))
}

/// The facts that a value holds; the error is the end of a sentence.
pub(super) fn facts_of(value: Value) -> Result<Map<String, Value>, String> {
    let facts = match value {
        Value::Object(facts) => facts,
        // An empty YAML file, or one with only comments.
        Value::Null => Map::new(),
        _ => return Err("does not hold a map of facts".to_owned()),
    };
    if let Some(name) = facts.keys().find(|name| name.is_empty() || name.len() > NAME_BYTES) {
        let shown: String = name.chars().take(40).collect();
        return Err(format!("has a fact with an empty or too long name: `{}`", shown.escape_debug()));
    }
    if facts.values().any(|value| !is_within(value, DEPTH)) {
        return Err(format!("is nested deeper than {DEPTH} levels"));
    }
    Ok(facts)
}

pub(super) fn parse_json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

pub(super) fn parse_yaml(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str(text).map_err(|e| e.to_string())
}

pub(super) fn parse_toml(text: &str) -> Result<Value, String> {
    toml::from_str(text).map_err(|e: toml::de::Error| e.to_string().trim_end().to_owned())
}

/// Lines of `name=value`; values are text, as Facter has them.
pub(super) fn parse_text(text: &str) -> Result<Value, String> {
    let mut facts = Map::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {} is not of the form name=value", number.saturating_add(1)));
        };
        facts.insert(name.trim().to_owned(), Value::String(value.trim().to_owned()));
    }
    Ok(Value::Object(facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_folder(files: &[(&str, &[u8])]) -> (Map<String, Value>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let (mut facts, mut problems) = (Map::new(), Vec::new());
        read(folder.path(), &mut Printed::new(), &mut facts, &mut problems);
        let short = |problem: &Problem| problem.path.file_name().unwrap().to_string_lossy().into_owned();
        (facts, problems.iter().map(short).collect())
    }

    #[test]
    fn four_formats() {
        let (facts, problems) = read_folder(&[
            ("a.json", br#"{"role": "web", "deep": {"x": [1, 2.5]}}"#),
            ("b.yaml", b"---\ncountry: uk\nports: [80, 443]\nready: true\n"),
            ("c.toml", b"rack = 4\n[site]\nname = 'lon'\n"),
            ("d.txt", b"# by hand\nowner = ops team\n\nnote=a=b\n"),
            ("e.yml", b"# nothing yet\n"),
        ]);
        assert_eq!(problems, Vec::<String>::new());
        let expected = json!({
            "role": "web", "deep": {"x": [1, 2.5]}, "country": "uk", "ports": [80, 443], "ready": true,
            "rack": 4, "site": {"name": "lon"}, "owner": "ops team", "note": "a=b",
        });
        assert_eq!(Value::Object(facts), expected);
    }

    #[test]
    fn a_broken_file_costs_only_itself() {
        let deep = format!(r#"{{"x": {}1{}}}"#, "[".repeat(40), "]".repeat(40));
        let (facts, problems) = read_folder(&[
            ("a.json", b"{"),
            ("b.yaml", b"a: [1"),
            ("c.toml", b"x = "),
            ("d.txt", b"no value"),
            ("e.json", b"[1]"),
            ("f.json", &vec![b' '; FILE_BYTES + 1]),
            ("g.json", deep.as_bytes()),
            ("h.sh", b"#!/bin/sh\n"),
            ("i.txt", &[0xff]),
            ("j.json", br#"{"": 1}"#),
            ("k.json~", b"{"),
            (".l.json", b"{"),
            ("m.json", br#"{"good": 1}"#),
        ]);
        assert_eq!(Value::Object(facts), json!({"good": 1}));
        let names: Vec<&str> = problems.iter().map(|name| name.split('.').next().unwrap()).collect();
        assert_eq!(names.concat(), "abcdefghij");
    }

    #[test]
    fn executables_stand_among_the_files_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, mode) in [
            ("a.json", 0o644),
            ("b", 0o755),
            ("c.json", 0o755),
            ("d.sh", 0o700),
            ("e.sh~", 0o755),
            ("f", 0o755),
        ] {
            fs::write(path(name), format!("{{\"last\": \"{name}\", \"{name}\": true}}")).unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(programs(folder.path()), ["b", "d.sh", "f"].map(path));
        assert_eq!(programs(&path("none")), [""; 0].map(path));
        let printed = |name: &str| json!({"last": name, "b": true}).as_object().cloned().unwrap();
        let mut all: Printed =
            [(path("b"), Ok(printed("b"))), (path("d.sh"), Err(Problem::new(&path("d.sh"), "failed")))]
                .into();
        let (mut facts, mut problems) = (Map::new(), Vec::new());
        read(folder.path(), &mut all, &mut facts, &mut problems);
        assert_eq!(
            Value::Object(facts),
            json!({"last": "c.json", "a.json": true, "b": true, "c.json": true})
        );
        assert_eq!(problems, [Problem::new(&path("d.sh"), "failed")]);
    }

    #[test]
    fn a_yaml_bomb_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let before = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb.push_str(&format!("a{n}: &a{n} [{before}]\n"));
        }
        let (facts, problems) = read_folder(&[("bomb.yaml", bomb.as_bytes())]);
        assert!(facts.is_empty());
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn a_pipe_in_the_folder_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe.json");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let (mut facts, mut problems) = (Map::new(), Vec::new());
        read(folder.path(), &mut Printed::new(), &mut facts, &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
