//! The loaded form of a schema.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use super::{Aggregate, SchemaError, SchemaWarning, Validator, load, warnings};

/// One agent: what it is and what it can do.
///
/// Serialises as the JSON it was read from, so that what a node serves is what it loaded,
/// unknown keys included; two schemas are equal when these are.
#[derive(Debug, Clone)]
pub struct AgentSchema {
    /// Name by which the agent is called.
    pub name: String,
    /// One sentence on what it is for.
    pub description: String,
    /// Who wrote it.
    pub author: String,
    /// Under which licence.
    pub license: String,
    /// Its version, which nodes may disagree on.
    pub version: String,
    /// Where it comes from.
    pub url: String,
    /// How long an action may take unless the caller says otherwise.
    pub timeout: Duration,
    /// Where it runs: inside the node's process or as a program beside it.
    pub provider: Provider,
    /// Whether arguments that no input describes are passed on to the agent.
    pub open_inputs: bool,
    /// Metadata under other keys, as read.
    pub extra: Map<String, Value>,
    /// Its actions by name.
    pub actions: BTreeMap<String, ActionSchema>,
    /// The whole schema as JSON, as read.
    pub source: Value,
}

/// Where an agent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Compiled into the node.
    Builtin,
    /// A program of its own; also what other ecosystems' provider names are read as.
    External,
}

/// One action of an agent.
#[derive(Debug, Clone)]
pub struct ActionSchema {
    /// Name by which it is called.
    pub name: String,
    /// One sentence on what it does.
    pub description: String,
    /// Which results are shown.
    pub display: Display,
    /// What it does to a node.
    pub effect: Effect,
    /// Whether it can say what it would do instead of doing it.
    pub dry_run: bool,
    /// Copied from the agent: whether undescribed arguments pass.
    pub open_inputs: bool,
    /// Its inputs, in the order of the file.
    pub inputs: Vec<InputSchema>,
    /// Its outputs, in the order of the file.
    pub outputs: Vec<OutputSchema>,
    /// What is computed over the answers of all nodes.
    pub aggregates: Vec<Aggregate>,
}

/// Which results of an action are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Display {
    /// Those that are ok.
    Ok,
    /// Those that are not.
    #[default]
    Failed,
    /// All, one line each.
    Flatten,
    /// All.
    Always,
}

/// What an action does to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// Nothing.
    Read,
    /// Changes it; doing so twice is doing so once.
    Idempotent,
    /// Changes it. Also what an action is taken for that does not say.
    #[default]
    Write,
}

/// Type of an input or an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValueType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number with a fraction; `1` is none.
    Float,
    /// Either of these.
    Number,
    /// True or false.
    Boolean,
    /// One of the values of a list.
    List,
    /// Several values.
    Array,
    /// Named values.
    Hash,
    /// Anything.
    #[default]
    Any,
}

/// One input of an action.
#[derive(Debug, Clone)]
pub struct InputSchema {
    /// Name of the argument.
    pub name: String,
    /// A short question for it.
    pub prompt: String,
    /// One sentence on it.
    pub description: String,
    /// Type of its value.
    pub kind: ValueType,
    /// Whether it may be left out.
    pub optional: bool,
    /// Stands in on the runner's side for a **required** input that is left out.
    pub default: Option<Value>,
    /// The values a [`ValueType::List`] may have.
    pub list: Vec<Value>,
    /// What a [`ValueType::String`] must look like.
    pub validation: Option<Validator>,
    /// Most characters of a [`ValueType::String`]; none for no limit.
    pub max_length: Option<usize>,
    /// Whether the value is masked wherever it could be seen, and never broadcast.
    pub secret: bool,
}

/// One output of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSchema {
    /// Name of the field.
    pub name: String,
    /// One sentence on it.
    pub description: String,
    /// Label for people.
    pub display_as: String,
    /// Type of its value; any where the file does not say.
    pub kind: ValueType,
    /// What the field holds before the action sets it.
    pub default: Option<Value>,
}

impl AgentSchema {
    /// Loads a schema from JSON.
    ///
    /// # Errors
    /// With everything that is missing or wrong, each by the path of its field.
    pub fn from_json(text: &str) -> Result<Self, Vec<SchemaError>> {
        load::from_json(text)
    }

    /// Loads a schema from TOML with the same fields.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_toml(text: &str) -> Result<Self, Vec<SchemaError>> {
        load::from_toml(text)
    }

    /// Loads a schema that is parsed already, such as one a node served.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_value(source: Value) -> Result<Self, Vec<SchemaError>> {
        load::from_value(source)
    }

    /// What loads and is hardly meant: keys that nothing reads, defaults that never stand in or are refused themselves,
    /// aggregates that cannot be computed.
    pub fn warnings(&self) -> Vec<SchemaWarning> {
        warnings::of(self)
    }

    /// The text that its digest is of: its JSON with the keys of all objects in order.
    pub fn canonical(&self) -> String {
        let mut source = self.source.clone();
        source.sort_all_objects();
        source.to_string()
    }

    /// An action by its name.
    pub fn action(&self, name: &str) -> Option<&ActionSchema> {
        self.actions.get(name)
    }
}

impl PartialEq for AgentSchema {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Serialize for AgentSchema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.source.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AgentSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = Value::deserialize(deserializer)?;
        Self::from_value(source).map_err(|errors| {
            D::Error::custom(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })
    }
}

impl ActionSchema {
    /// Whether the action may change a node.
    pub fn is_write(&self) -> bool {
        self.effect != Effect::Read
    }

    /// An input by its name.
    pub fn input(&self, name: &str) -> Option<&InputSchema> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// An output by its name.
    pub fn output(&self, name: &str) -> Option<&OutputSchema> {
        self.outputs.iter().find(|output| output.name == name)
    }

    /// Every output as it is before the action has set it: its default, or null.
    pub fn output_defaults(&self) -> Map<String, Value> {
        let default = |output: &OutputSchema| output.default.clone().unwrap_or(Value::Null);
        self.outputs.iter().map(|output| (output.name.clone(), default(output))).collect()
    }

    /// Adds the defaults of required inputs that the arguments leave out. For the runner:
    /// a node fills in nothing, so that what it does is what was written to the journal.
    #[must_use]
    pub fn with_defaults(&self, mut arguments: Map<String, Value>) -> Map<String, Value> {
        for input in self.inputs.iter().filter(|input| !input.optional) {
            if let Some(default) = &input.default
                && !arguments.contains_key(&input.name)
            {
                arguments.insert(input.name.clone(), default.clone());
            }
        }
        arguments
    }

    /// Whether any of the arguments is secret.
    pub fn has_secret(&self, arguments: &Map<String, Value>) -> bool {
        self.inputs.iter().any(|input| input.secret && arguments.contains_key(&input.name))
    }

    /// The arguments as they may be shown and written down: secrets as `***`.
    #[must_use]
    pub fn masked(&self, mut arguments: Map<String, Value>) -> Map<String, Value> {
        for input in self.inputs.iter().filter(|input| input.secret) {
            if let Some(value) = arguments.get_mut(&input.name) {
                *value = Value::String("***".into());
            }
        }
        arguments
    }
}

impl Display {
    /// Whether a result is shown that ended `ok`, or did not.
    pub fn shows(self, is_ok: bool) -> bool {
        match self {
            Self::Ok => is_ok,
            Self::Failed => !is_ok,
            Self::Flatten | Self::Always => true,
        }
    }
}

impl ValueType {
    /// The name used in schema files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Array => "array",
            Self::Hash => "hash",
            Self::Any => "any",
        }
    }

    /// The type with its article, for sentences.
    pub fn described(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Float => "a float",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::List => "one of a list",
            Self::Array => "an array",
            Self::Hash => "a hash",
            Self::Any => "anything",
        }
    }

    /// All types.
    pub(crate) const ALL: [Self; 9] = [
        Self::String,
        Self::Integer,
        Self::Float,
        Self::Number,
        Self::Boolean,
        Self::List,
        Self::Array,
        Self::Hash,
        Self::Any,
    ];

    /// Whether a value is of the type, without any conversion. Membership of a list
    /// needs the list and is not looked at.
    pub fn accepts(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Float => value.is_f64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Hash => value.is_object(),
            Self::List | Self::Any => true,
        }
    }
}
