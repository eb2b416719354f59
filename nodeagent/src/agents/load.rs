//! Finding external agents and data functions: `NAME.json` or `NAME.toml` with an executable `NAME` beside it, in a folder or in
//! a folder `NAME` of it. A data function may have the files `NAME_data`, so that it can stand beside an agent of its name.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orch_wire::described::Described;
use orch_wire::ids::{AgentName, Digest};
use orch_wire::schema::MAX_SCHEMA;

use super::functions::Function;
use super::registry::{Agent, Kind, Registry};
use crate::files::{self, FileError};
use crate::problem::Problem;

/// Most entries of an agents folder.
pub(super) const ENTRIES: usize = 1024;

/// What a file describes.
pub(super) enum Found {
    Agent(Arc<Agent>),
    Function(Arc<Function>),
}

/// It and its file, or what is wrong with that.
type Looked = Result<(Found, PathBuf), Problem>;

/// All agents of a folder; none where it is missing. Those whose schema has not changed are taken from `earlier`.
pub(super) fn folder(folder: &Path, earlier: &Registry) -> Vec<Looked> {
    let mut found = Vec::new();
    if let Err(error) = scan(folder, earlier, true, &mut found) {
        found.push(Err(error.into()));
    }
    found
}

fn scan(folder: &Path, earlier: &Registry, is_top: bool, found: &mut Vec<Looked>) -> Result<(), FileError> {
    let metadata = match fs::metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(FileError::io("inspect", folder))?,
    };
    files::refuse_if_others_write(folder, &metadata)?;
    for path in files::list(folder, ENTRIES)? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        if is_top && path.is_dir() {
            if let Err(error) = scan(&path, earlier, false, found) {
                found.push(Err(error.into()));
            }
            continue;
        }
        let is_own = is_top || folder.file_name() == path.file_stem();
        if is_own && matches!(path.extension().and_then(|ext| ext.to_str()), Some("json" | "toml")) {
            found.push(read(&path, earlier).map(|it| (it, path)));
        }
    }
    Ok(())
}

fn read(path: &Path, earlier: &Registry) -> Result<Found, Problem> {
    let (file, metadata) = files::open(path)?;
    files::refuse_if_others_write(path, &metadata)?;
    let bytes = files::read_from(&file, path, MAX_SCHEMA)?;
    let executable = path.with_extension("");
    let kind = Kind::External { executable: executable.clone(), schema_file: Digest::of(&bytes) };
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if let Some(same) = as_before(stem, &kind, earlier) {
        files::check_executable(&executable)?;
        return Ok(same);
    }
    let text = String::from_utf8(bytes).map_err(|_| Problem::new(path, "is not UTF-8 text"))?;
    let is_toml = path.extension().is_some_and(|ext| ext == "toml");
    let described = Described::parse(is_toml, &text).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Problem::new(path, lines.join("; "))
    })?;
    let found = match described {
        Described::Agent(schema) => {
            let name = AgentName::new(&schema.name).map_err(|error| Problem::new(path, error.to_string()))?;
            must_be_named(path, "an agent", stem == name.as_str(), &schema.name)?;
            Found::Agent(Arc::new(Agent::new(name, *schema, kind)))
        }
        Described::Function(schema) => {
            let name = schema.name.clone();
            must_be_named(path, "a data function", function_name(stem) == name || stem == name, &name)?;
            let function = Function::external(*schema, kind).map_err(|error| Problem::new(path, error))?;
            Found::Function(Arc::new(function))
        }
    };
    files::check_executable(&executable)?;
    Ok(found)
}

/// What the file described before, if it has not changed.
fn as_before(stem: &str, kind: &Kind, earlier: &Registry) -> Option<Found> {
    if let Some(agent) = earlier.get(stem).filter(|agent| agent.kind.is_same_program(kind)) {
        return Some(Found::Agent(Arc::clone(agent)));
    }
    let function = earlier.functions().get(stem).or_else(|| earlier.functions().get(function_name(stem)))?;
    function.is_of(kind).then(|| Found::Function(Arc::clone(function)))
}

fn function_name(stem: &str) -> &str {
    stem.strip_suffix("_data").unwrap_or(stem)
}

fn must_be_named(path: &Path, what: &str, is_named: bool, name: &str) -> Result<(), Problem> {
    let other = || Problem::new(path, format!("describes {what} of another name, `{name}`"));
    if is_named { Ok(()) } else { Err(other()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const SCHEMA: &str = r#"{"metadata": {"name": "NAME", "description": "d", "author": "a", "license": "l",
        "version": "1", "url": "u", "timeout": 5},
        "actions": [{"action": "run", "description": "r", "input": {}, "output": {}}]}"#;

    fn write(path: &Path, text: &str, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn install(folder: &Path, name: &str, schema_mode: u32, mode: u32) {
        write(&folder.join(format!("{name}.json")), &SCHEMA.replace("NAME", name), schema_mode);
        write(&folder.join(name), "#!/bin/sh\n", mode);
    }

    #[test]
    fn agents_are_found_and_bad_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        install(at, "good", 0o644, 0o755);
        install(&at.join("own"), "own", 0o600, 0o700);
        install(at, "loose_schema", 0o666, 0o755);
        install(at, "loose_program", 0o644, 0o775);
        install(at, "inert", 0o644, 0o644);
        install(at, "node", 0o644, 0o755);
        write(&at.join("absent.json"), &SCHEMA.replace("NAME", "absent"), 0o644);
        write(&at.join("other.json"), &SCHEMA.replace("NAME", "good"), 0o644);
        write(&at.join("broken.json"), "{", 0o644);
        write(&at.join("README.md"), "read me", 0o644);
        let registry = Registry::load(&[], &[at.to_owned(), at.join("none")]);
        assert_eq!(registry.names(), ["good", "node", "own"]);
        let mut named: Vec<String> = registry
            .problems()
            .iter()
            .map(|problem| problem.path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        named.sort();
        assert_eq!(named, ["absent", "broken", "inert", "loose_program", "loose_schema", "node", "other"]);
    }

    #[test]
    fn read_again_only_what_has_changed_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        install(at, "good", 0o644, 0o755);
        install(at, "other", 0o644, 0o755);
        let folders = [at.to_owned()];
        let earlier = Registry::load(&[], &folders);
        write(
            &at.join("other.json"),
            &SCHEMA.replace("NAME", "other").replace("\"r\"", "\"changed\""),
            0o644,
        );
        let now = Registry::load_again(&[], &folders, &earlier);
        let is_same = |name| Arc::ptr_eq(earlier.get(name).unwrap(), now.get(name).unwrap());
        assert_eq!(["good", "node", "other"].map(is_same), [true, true, false]);
        // A program that may not be run any more is none, whatever its schema says.
        fs::set_permissions(at.join("good"), fs::Permissions::from_mode(0o644)).unwrap();
        let now = Registry::load_again(&[], &folders, &now);
        assert_eq!(now.names(), ["node", "other"]);
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("agents");
        install(&at, "good", 0o644, 0o755);
        fs::set_permissions(&at, fs::Permissions::from_mode(0o777)).unwrap();
        let registry = Registry::load(&[], &[at]);
        assert_eq!(registry.names(), ["node"]);
        assert_eq!(registry.problems().len(), 1);
    }
}
