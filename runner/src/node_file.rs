//! A node written down in a file, for the commands that work without a fleet (`query.md`, Node file).

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use orch_wire::ids::{CollectiveName, NodeName};
use orch_wire::query::NodeView;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::diagnostic::{Code, Diagnostic, SourceText, Span};

/// Longest file that is read: many times the facts of the most talkative node.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// What a node would know of itself. Every field may be left out of the file, or left empty.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeFile {
    /// Its name; a node without one is meant by no filter on names.
    pub identity: Option<NodeName>,
    /// Its facts, structured.
    #[serde(deserialize_with = "or_nothing")]
    pub facts: Map<String, Value>,
    /// Its classes.
    #[serde(deserialize_with = "or_nothing")]
    pub classes: Vec<String>,
    /// The names of its agents.
    #[serde(deserialize_with = "or_nothing")]
    pub agents: Vec<String>,
    /// Its collectives: the one that every node is in, where the file names none.
    pub collectives: Vec<String>,
    /// What its data functions answer, by the name of the function, whatever the argument.
    #[serde(deserialize_with = "or_nothing")]
    pub data: Map<String, Value>,
}

impl Default for NodeFile {
    fn default() -> Self {
        Self {
            identity: None,
            facts: Map::new(),
            classes: Vec::new(),
            agents: Vec::new(),
            collectives: vec![CollectiveName::main().to_string()],
            data: Map::new(),
        }
    }
}

/// `facts:` with nothing behind it is a null in YAML, and means none.
fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A map at the top of the file: serde would take a list for the fields in their order, too.
struct Written(NodeFile);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields).map(Self)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = NodeFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with `identity`, `facts`, `classes`, …")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NodeFile, A::Error> {
        NodeFile::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A file that describes no node.
#[derive(Debug, thiserror::Error)]
pub enum NodeFileError {
    /// It cannot be read.
    #[error("the node file {} cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// It holds something else than a node.
    #[error("{}: {}", path.display(), fault.message)]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, with the place where the parser knows one.
        fault: Box<Diagnostic>,
    },
}

/// Reads a node from a file; `-` stands for standard input. A name that ends in `.json` says that it is JSON, `.yaml` and
/// `.yml` that it is YAML; elsewhere a text that begins with `{` is JSON.
///
/// # Errors
/// When the file cannot be read, or with the place at which it is no node.
pub fn load(path: &Path) -> Result<NodeFile, NodeFileError> {
    let unreadable = |error| NodeFileError::Unreadable { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to see that it is too much.
    let most = FILE_BYTES + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.map_err(unreadable)?;
    parse(path, bytes)
}

fn parse(path: &Path, bytes: Vec<u8>) -> Result<NodeFile, NodeFileError> {
    let malformed = |fault| NodeFileError::Malformed { path: path.to_owned(), fault: Box::new(fault) };
    let plain = |message: String| malformed(Diagnostic::error(Code::DataFile, message));
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES {
        return Err(plain(format!("the node file is longer than {FILE_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        plain(format!("the node file is not text: byte {} is not UTF-8", error.utf8_error().valid_up_to()))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let source = SourceText::new(&path.display().to_string(), text);
    let parsed = if is_json(path, text) { from_json(text) } else { from_yaml(text) };
    let node = parsed.map_err(|(message, place)| {
        let fault = Diagnostic::error(Code::DataFile, format!("the node file is malformed: {message}"));
        malformed(match place {
            Some(place) => fault.at(&source, place),
            None => fault,
        })
    })?;
    match node.data.iter().find(|(_, outputs)| !outputs.is_object()) {
        Some((function, _)) => Err(plain(format!(
            "the node file is malformed: `data.{}` is no map of outputs, such as `{{status: running}}`",
            function.escape_debug()
        ))),
        None => Ok(node),
    }
}

fn is_json(path: &Path, text: &str) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => true,
        Some("yaml" | "yml") => false,
        _ => text.trim_start().starts_with('{'),
    }
}

type Parsed = Result<NodeFile, (String, Option<Span>)>;

fn from_json(text: &str) -> Parsed {
    let parsed: Result<Written, _> = serde_json::from_str(text);
    parsed.map(|written| written.0).map_err(|error| {
        // The parser stands behind the character or value that it could not take.
        let place = Span { line: error.line(), column: error.column().max(1), length: 1 };
        (without_place(&error.to_string()), (error.line() > 0).then_some(place))
    })
}

fn from_yaml(text: &str) -> Parsed {
    // An empty file, or one with only comments, is a node that knows nothing.
    let parsed: Result<Option<Written>, _> = serde_saphyr::from_str(text);
    parsed.map(|written| written.map(|written| written.0).unwrap_or_default()).map_err(|error| {
        let at = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let place = error.location();
        let place = place.map(|place| Span { line: at(place.line()), column: at(place.column()), length: 1 });
        (without_place(&error.without_snippet().to_string()), place)
    })
}

/// What a parser says, without the line and column that the excerpt shows.
fn without_place(said: &str) -> String {
    said.rsplit_once(" at line ").map_or(said, |(message, _)| message).to_owned()
}

impl NodeFile {
    /// Calls `judge` with the node as filters and policies see it.
    pub fn seen<T>(&self, judge: impl FnOnce(&NodeView<'_>) -> T) -> T {
        let data =
            |function: &str, _: Option<&str>| self.data.get(function).and_then(Value::as_object).cloned();
        judge(&NodeView {
            identity: self.identity.as_ref().map_or("", NodeName::as_str),
            facts: &self.facts,
            classes: &self.classes,
            agents: &self.agents,
            collectives: &self.collectives,
            data: Some(&data),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<NodeFile, NodeFileError> {
        parse(Path::new(name), text.as_bytes().to_vec())
    }

    const YAML: &str = "\
identity: web1.example.com
facts:
  os: {family: Debian}   # structured
  cpus: 8
classes: [role::web, \"apache\"]
agents:
  - service
data:
  service: {status: running}
";

    #[test]
    fn json_and_yaml_say_the_same() {
        let json = r#"{"identity": "web1.example.com", "facts": {"os": {"family": "Debian"}, "cpus": 8},
            "classes": ["role::web", "apache"], "agents": ["service"], "data": {"service": {"status": "running"}}}"#;
        for (name, text) in
            [("n.json", json), ("n.txt", json), ("-", json), ("n.yaml", YAML), ("n.yml", json), ("n", YAML)]
        {
            let node = read(name, text).unwrap();
            assert_eq!(node.identity.as_ref().unwrap().as_str(), "web1.example.com", "{name}");
            assert_eq!(node.facts["os"]["family"], "Debian", "{name}");
            assert_eq!(node.classes, ["role::web", "apache"], "{name}");
            assert_eq!(node.collectives, ["main"], "{name}");
            let query = "os.family = Debian and cpus > 7 and agent = service and service('x').status = running and collective = main";
            let query = orch_wire::query::Query::parse(query).unwrap();
            assert!(node.seen(|node| query.matches(node)), "{name}");
        }
    }

    #[test]
    fn everything_may_be_left_out() {
        for text in ["", "# nothing\n", "{}", "\u{feff}{}", "facts:\nclasses:\n"] {
            let node = read("n", text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert!(node.identity.is_none() && node.facts.is_empty() && node.classes.is_empty(), "{text:?}");
            assert_eq!(node.collectives, ["main"], "{text:?}");
        }
        assert_eq!(read("n", "collectives: [eu, us]").unwrap().collectives, ["eu", "us"]);
    }

    /// Name of the file, text, message, and the line of the place.
    #[test]
    fn faults_name_the_place() {
        for (name, text, said, line) in [
            ("n.json", "{\"facts\": {\n  \"a\": 1,\n}}", "trailing comma", Some(3)),
            ("n.json", "{\"fakts\": {}}", "unknown field `fakts`", Some(1)),
            ("n.json", "{\n\"classes\": \"web\"}", "expected a sequence", Some(2)),
            ("n.json", "{\"identity\": \"../x\"}", "`../x` is not a valid node name", Some(1)),
            ("n.json", "[]", "expected a map with", Some(1)),
            ("n.json", "", "EOF while parsing", Some(1)),
            ("n.yaml", "facts:\n  a: [1, 2\nclasses: [x]\n", "", Some(3)),
            ("n.yaml", "identity: web1\nklasses: [x]\n", "unknown field `klasses`", Some(2)),
            ("n.yaml", "data:\n  service: running\n", "`data.service` is no map of outputs", None),
            ("n.yaml", "classes: {a: 1}\n", "", Some(1)),
            ("n.yaml", "- web1\n", "expected mapping", Some(1)),
        ] {
            let NodeFileError::Malformed { fault, .. } = read(name, text).unwrap_err() else {
                panic!("{text}")
            };
            assert!(fault.message.contains(said), "{text:?}: {}", fault.message);
            assert_eq!(fault.span.map(|span| span.line), line, "{text:?}: {}", fault.message);
        }
        let deep = "[".repeat(100_000);
        assert!(read("n.json", &format!("{{\"facts\": {{\"a\": {deep}")).is_err());
        assert!(read("n.yaml", &format!("facts: {{a: {deep}")).is_err());
        assert!(parse(Path::new("n"), vec![0xff]).unwrap_err().to_string().contains("byte 0 is not UTF-8"));
    }
}
