//! A catalogue of one resource, checked and applied.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use orch_wire::body::{Answer, code};
use serde_json::{Map, Value, json};

use super::report::Report;
use crate::agents::builtin::puppet::puppet;
use crate::agents::ending::Done;
use crate::agents::tool::Tools;
use crate::files::{self, FileError};
use crate::json;

/// Most properties, deepest nesting and most bytes of all their values.
const PROPERTIES: usize = 100;
const DEPTH: usize = 6;
const BYTES: usize = 256 * 1024;
/// Longest report that is read.
const REPORT_BYTES: usize = 4 * 1024 * 1024;
/// What Puppet knows for every type steers the run and is no state of a resource; `noop` could even undo a dry run.
const METAPARAMETERS: [&str; 13] = [
    "alias",
    "audit",
    "before",
    "consume",
    "export",
    "loglevel",
    "noop",
    "notify",
    "require",
    "schedule",
    "stage",
    "subscribe",
    "tag",
];

/// A resource as it is to be.
#[derive(Debug)]
pub(super) struct Wanted {
    kind: String,
    title: String,
    properties: Map<String, Value>,
}

impl Wanted {
    /// Checks what the schema cannot.
    ///
    /// # Errors
    /// With the refusal.
    pub(super) fn new(kind: &str, title: &str, properties: Map<String, Value>) -> Done<Self> {
        let refused = |message: String| Err(Box::new(Answer::rejected(code::ARGUMENTS, message)));
        if kind == "exec" {
            return refused(
                "`type` must be a state, and `exec` is a command: the agent `shell` runs those".into(),
            );
        }
        if properties.is_empty() || properties.len() > PROPERTIES {
            return refused(format!("`properties` must be 1 to {PROPERTIES} properties"));
        }
        for (name, value) in &properties {
            let shown = name.escape_debug();
            if !is_name(name) {
                return refused(format!("`properties` has `{shown}`, which is no name of a property"));
            }
            if METAPARAMETERS.contains(&name.as_str()) {
                return refused(format!(
                    "`properties` has `{shown}`, which is no property but steers the run"
                ));
            }
            if !json::is_within(value, DEPTH) || !is_plain(value) {
                return refused(format!(
                    "`properties.{shown}` is no plain value of text, numbers, lists and hashes"
                ));
            }
        }
        let properties = Value::Object(properties);
        if properties.to_string().len() > BYTES {
            return refused(format!("`properties` must have at most {BYTES} bytes"));
        }
        let Value::Object(properties) = properties else {
            return refused("`properties` must be a hash".into());
        };
        Ok(Self { kind: kind.to_owned(), title: title.to_owned(), properties })
    }

    fn catalogue(&self) -> Value {
        let resource = json!({
            "type": reference(&self.kind),
            "title": self.title,
            "exported": false,
            "parameters": self.properties,
        });
        json!({
            "name": "orch",
            "version": 1,
            "environment": "production",
            "classes": [],
            "edges": [],
            "resources": [resource],
        })
    }

    /// Lets puppet make it so, or say what it would change; gives its report.
    pub(super) async fn apply(&self, tools: &Tools<'_>, run_dir: &Path, dry_run: bool) -> Done<Report> {
        let no_folder = |error: FileError| {
            Box::new(Answer::rejected(
                code::STATE,
                format!("the action cannot be given its files: {}", error.full()),
            ))
        };
        let folder = private_folder(run_dir).map_err(no_folder)?;
        let at = |name: &str| folder.path().join(name);
        write(&at("catalogue.json"), self.catalogue().to_string().as_bytes()).map_err(no_folder)?;
        let files = [
            ("--catalog", "catalogue.json"),
            // Nothing of this is a run of the node's own catalogue: its summary, state and reports stay as they are.
            ("--lastrunfile", "summary.yaml"),
            ("--lastrunreport", "report.yaml"),
            ("--statefile", "state.yaml"),
            ("--transactionstorefile", "transactions.yaml"),
        ];
        let mut command =
            puppet("apply").args(["--reports=none", "--node_terminus=plain", "--log_level=notice"]);
        for (option, name) in files {
            command = command.args([option.into(), at(name)]);
        }
        if dry_run {
            command = command.args(["--noop"]);
        }
        let ended = tools.run(command).await?;
        // Its exit status tells nothing of the resource; without a report there was no run.
        match files::read_text(&at("report.yaml"), REPORT_BYTES) {
            Ok(text) => Report::parse(&text),
            Err(_) => Err(ended.failure()),
        }
    }
}

/// How a catalogue names a type: each part of it with a capital.
fn reference(kind: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    kind.split("::").map(capital).collect::<Vec<_>>().join("::")
}

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether it is only data. In a catalogue a hash with the key `__ptype` is an object of Ruby's, even a call of a function.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.contains('\0'),
        Value::Array(list) => list.iter().all(is_plain),
        Value::Object(map) => map.iter().all(|(key, value)| !key.starts_with("__") && is_plain(value)),
    }
}

/// Its name is that of the folders of external agents, so that one that a crash has left is removed with theirs.
fn private_folder(base: &Path) -> Result<tempfile::TempDir, FileError> {
    files::create_private_folder(base)?;
    tempfile::Builder::new()
        .prefix(&format!("call-{}-", std::process::id()))
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(base)
        .map_err(FileError::io("create a folder in", base))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(FileError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(kind: &str, properties: Value) -> Result<Wanted, String> {
        let Value::Object(properties) = properties else { panic!("no hash") };
        Wanted::new(kind, "t", properties).map_err(|answer| answer.message)
    }

    #[test]
    fn a_catalogue_has_one_resource() {
        let wanted = wanted("user", json!({"ensure": "present", "uid": 1, "groups": ["a", "b"]})).unwrap();
        let catalogue = wanted.catalogue();
        assert_eq!(
            catalogue["resources"],
            json!([{"type": "User", "title": "t", "exported": false,
                "parameters": {"ensure": "present", "uid": 1, "groups": ["a", "b"]}}])
        );
        assert_eq!(reference("nginx::resource::server_name"), "Nginx::Resource::Server_name");
    }

    #[test]
    fn what_is_no_plain_property_is_refused() {
        for (kind, properties, part) in [
            ("exec", json!({"command": "id"}), "agent `shell`"),
            ("user", json!({}), "1 to 100"),
            ("user", json!({"--noop": "x"}), "no name of a property"),
            ("user", json!({"Uid": 1}), "no name of a property"),
            ("user", json!({"noop": false}), "steers the run"),
            ("user", json!({"notify": "Exec[x]"}), "steers the run"),
            ("user", json!({"uid": null}), "no plain value"),
            (
                "file",
                json!({"content": {"__ptype": "Deferred", "name": "f", "arguments": []}}),
                "no plain value",
            ),
            ("file", json!({"content": [[[[[[[1]]]]]]]}), "no plain value"),
            ("file", json!({"content": "a\0b"}), "no plain value"),
            ("file", json!({"content": "x".repeat(BYTES)}), "at most"),
        ] {
            let error = wanted(kind, properties).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
