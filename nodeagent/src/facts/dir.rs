//! Facts from `facts.d` folders: JSON, YAML, TOML and `key=value` text. A broken file costs only itself.

use std::path::Path;

use serde_json::{Map, Value};

use crate::files;
use crate::json::{DEPTH, is_within};
use crate::problem::Problem;

/// Most files in one folder.
const FILES: usize = 256;
/// Longest file.
const FILE_BYTES: usize = 512 * 1024;
/// Longest name of a fact.
const NAME_BYTES: usize = 256;

/// Reads a folder's files in the order of their names into `facts`; later ones win, each fact as a whole.
pub(super) fn read(folder: &Path, facts: &mut Map<String, Value>, problems: &mut Vec<Problem>) {
    let paths = match files::list(folder, FILES) {
        Ok(paths) => paths,
        Err(error) => return problems.push(error.into()),
    };
    for path in paths {
        if is_hidden(&path) {
            continue;
        }
        match read_file(&path) {
            Ok(found) => facts.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
}

/// Files of editors and package managers that wait to be looked at.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with('.')
        || [".bak", ".orig", ".rej", ".swp", ".dpkg-dist", ".dpkg-old", ".rpmnew", ".rpmsave", "~"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn read_file(path: &Path) -> Result<Map<String, Value>, Problem> {
    let parse: fn(&str) -> Result<Value, String> = match path.extension().and_then(|ext| ext.to_str()) {
        Some("json") => |text| serde_json::from_str(text).map_err(|e| e.to_string()),
        Some("yaml" | "yml") => |text| serde_saphyr::from_str(text).map_err(|e| e.to_string()),
        Some("toml") => {
            |text| toml::from_str(text).map_err(|e: toml::de::Error| e.to_string().trim_end().to_owned())
        }
        Some("txt") => parse_text,
        _ => return Err(Problem::new(path, "is none of .json, .yaml, .yml, .toml, .txt")),
    };
    let text = files::read_text(path, FILE_BYTES)?;
    let value = parse(text.strip_prefix('\u{feff}').unwrap_or(&text)).map_err(|e| Problem::new(path, e))?;
    let facts = match value {
        Value::Object(facts) => facts,
        // An empty YAML file, or one with only comments.
        Value::Null => Map::new(),
        _ => return Err(Problem::new(path, "does not hold a map of facts")),
    };
    if let Some(name) = facts.keys().find(|name| name.is_empty() || name.len() > NAME_BYTES) {
        let shown: String = name.chars().take(40).collect();
        return Err(Problem::new(
            path,
            format!("has a fact with an empty or too long name: `{}`", shown.escape_debug()),
        ));
    }
    if facts.values().any(|value| !is_within(value, DEPTH)) {
        return Err(Problem::new(path, format!("is nested deeper than {DEPTH} levels")));
    }
    Ok(facts)
}

/// Lines of `name=value`; values are text, as Facter has them.
fn parse_text(text: &str) -> Result<Value, String> {
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
        read(folder.path(), &mut facts, &mut problems);
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
        read(folder.path(), &mut facts, &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
