//! Reading a schema file, with every fault of it at once.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde_json::{Map, Value};

use super::{
    ActionSchema, AgentSchema, Aggregate, Display, Effect, InputSchema, MAX_ACTIONS, MAX_FIELDS, MAX_SCHEMA,
    OutputSchema, Provider, Validator, ValueType, pattern::Budget,
};

/// Longest time limit an agent may ask for: a week, which keeps deadlines far from overflow.
const MAX_TIMEOUT: f64 = 7.0 * 24.0 * 3600.0;

/// Something missing or wrong in a schema; the caller knows the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    /// Path of the field, such as `actions.restart.input.service.maxlength`; `the file` for the whole of it.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    /// Line and column, counted from one, where the text is no JSON or TOML.
    pub place: Option<(usize, usize)>,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.message),
            None => write!(f, "{}: {}", self.field, self.message),
        }
    }
}

impl std::error::Error for SchemaError {}

impl SchemaError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), place: None }
    }

    /// The error of a text that is no JSON.
    pub(crate) fn of_json(error: &serde_json::Error) -> Self {
        let said = error.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
        let message = format!("the file is not valid JSON: {said}");
        Self { place: Some((error.line(), error.column().max(1))), ..Self::new("the file", message) }
    }

    /// The error of a text that is no TOML.
    fn of_toml(text: &str, error: &toml::de::Error) -> Self {
        let said = error.message().lines().collect::<Vec<_>>().join("; ");
        let place = error.span().map(|span| {
            let before = text.get(..span.start).unwrap_or(text);
            let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count());
            (before.matches('\n').count() + 1, column + 1)
        });
        Self { place, ..Self::new("the file", format!("the file is not valid TOML: {said}")) }
    }
}

type Loaded = Result<AgentSchema, Vec<SchemaError>>;

fn bounded(text: &str) -> Result<&str, Vec<SchemaError>> {
    let fits = text.len() <= MAX_SCHEMA;
    let too_long = || vec![SchemaError::new("the file", format!("is longer than {MAX_SCHEMA} bytes"))];
    if fits { Ok(text) } else { Err(too_long()) }
}

pub(crate) fn from_json(text: &str) -> Loaded {
    from_value(serde_json::from_str(bounded(text)?).map_err(|error| vec![SchemaError::of_json(&error)])?)
}

pub(crate) fn from_toml(text: &str) -> Loaded {
    from_value(toml::from_str(bounded(text)?).map_err(|error| vec![SchemaError::of_toml(text, &error)])?)
}

pub(crate) fn from_value(source: Value) -> Loaded {
    let mut loader = Loader { errors: Vec::new(), budget: Budget::default() };
    let schema = loader.agent(source);
    match schema {
        Some(schema) if loader.errors.is_empty() => Ok(schema),
        _ => Err(loader.errors),
    }
}

struct Loader {
    errors: Vec<SchemaError>,
    budget: Budget,
}

/// Reading goes on after a fault, with something harmless in its place; nothing of it is
/// handed out then.
impl Loader {
    fn fault(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.errors.push(SchemaError::new(field, message));
    }

    fn agent(&mut self, source: Value) -> Option<AgentSchema> {
        let Some(root) = source.as_object() else {
            self.fault("the file", "must be an object with `metadata` and `actions`");
            return None;
        };
        let empty = Map::new();
        let metadata = root.get("metadata").and_then(Value::as_object).unwrap_or_else(|| {
            self.fault("metadata", "is missing");
            &empty
        });
        let mut schema = AgentSchema {
            name: self.name("metadata", metadata, "name"),
            description: self.text("metadata", metadata, "description"),
            author: self.text("metadata", metadata, "author"),
            license: self.text("metadata", metadata, "license"),
            version: self.text("metadata", metadata, "version"),
            url: self.text("metadata", metadata, "url"),
            timeout: self.timeout(metadata),
            provider: self.provider(metadata),
            open_inputs: self.flag("metadata", metadata, "open_inputs", Some(false)),
            extra: metadata
                .iter()
                .filter(|(key, _)| !KNOWN_METADATA.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            actions: BTreeMap::new(),
            source: Value::Null,
        };
        match root.get("actions").and_then(Value::as_array) {
            Some(actions) if actions.len() <= MAX_ACTIONS => {
                for (index, action) in actions.iter().enumerate() {
                    let Some(action) = self.action(index, action, schema.open_inputs) else { continue };
                    if let Some(twice) = schema.actions.insert(action.name.clone(), action) {
                        self.fault(format!("actions.{}", twice.name), "stands there twice");
                    }
                }
            }
            Some(_) => self.fault("actions", format!("are more than {MAX_ACTIONS}")),
            None => self.fault("actions", "is missing: a list of actions"),
        }
        schema.source = source;
        Some(schema)
    }

    fn action(&mut self, index: usize, value: &Value, open_inputs: bool) -> Option<ActionSchema> {
        let place = format!("actions[{index}]");
        let Some(fields) = value.as_object() else {
            self.fault(place, "must be an object");
            return None;
        };
        let name = self.name(&place, fields, "action");
        let place = if name.is_empty() { place } else { format!("actions.{name}") };
        let display = self.choice(&place, fields, "display", &DISPLAYS);
        let effect = self.choice(&place, fields, "effect", &EFFECTS);
        let inputs = self.fields(&place, fields, "input");
        let inputs =
            inputs.into_iter().map(|(place, name, fields)| self.input(&place, name, fields)).collect();
        let outputs = self.fields(&place, fields, "output");
        let outputs: Vec<OutputSchema> =
            outputs.into_iter().map(|(place, name, fields)| self.output(&place, name, fields)).collect();
        let aggregates = self.aggregates(&place, fields, &outputs);
        Some(ActionSchema {
            description: self.text(&place, fields, "description"),
            dry_run: self.flag(&place, fields, "dry_run", Some(false)),
            name,
            display,
            effect,
            open_inputs,
            inputs,
            outputs,
            aggregates,
        })
    }

    fn input(&mut self, place: &str, name: &str, fields: &Map<String, Value>) -> InputSchema {
        let kind = self.kind(place, fields, None);
        let mut input = InputSchema {
            name: name.to_owned(),
            prompt: self.text(place, fields, "prompt"),
            description: self.text(place, fields, "description"),
            kind,
            optional: self.flag(place, fields, "optional", None),
            default: fields.get("default").filter(|value| !value.is_null()).cloned(),
            list: Vec::new(),
            validation: None,
            max_length: None,
            secret: self.flag(place, fields, "secret", Some(false)),
        };
        match kind {
            ValueType::String => {
                input.validation = self.validation(place, fields);
                input.max_length = self.max_length(place, fields);
            }
            ValueType::List => match fields.get("list").and_then(Value::as_array) {
                Some(list) if !list.is_empty() => input.list.clone_from(list),
                _ => self.fault(format!("{place}.list"), "is missing: the values that are allowed"),
            },
            _ => {}
        }
        input
    }

    fn output(&mut self, place: &str, name: &str, fields: &Map<String, Value>) -> OutputSchema {
        OutputSchema {
            name: name.to_owned(),
            description: self.text(place, fields, "description"),
            display_as: self.text(place, fields, "display_as"),
            kind: self.kind(place, fields, Some(ValueType::Any)),
            default: fields.get("default").filter(|value| !value.is_null()).cloned(),
        }
    }

    fn aggregates(
        &mut self,
        place: &str,
        fields: &Map<String, Value>,
        outputs: &[OutputSchema],
    ) -> Vec<Aggregate> {
        let place = format!("{place}.aggregate");
        let list = match fields.get("aggregate") {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(list)) if list.len() <= MAX_FIELDS => list,
            Some(_) => {
                self.fault(place, format!("must be a list of at most {MAX_FIELDS}"));
                return Vec::new();
            }
        };
        let mut aggregates = Vec::new();
        for (index, item) in list.iter().enumerate() {
            let place = format!("{place}[{index}]");
            match Aggregate::from_value(item) {
                Ok(aggregate) if outputs.iter().any(|output| output.name == aggregate.output) => {
                    aggregates.push(aggregate);
                }
                Ok(aggregate) => {
                    self.fault(place, format!("`{}` is no output of the action", aggregate.output))
                }
                Err(message) => self.fault(place, message),
            }
        }
        aggregates
    }

    /// The named objects of `input` or `output`, each with its path.
    fn fields<'v>(
        &mut self,
        place: &str,
        fields: &'v Map<String, Value>,
        key: &str,
    ) -> Vec<(String, &'v str, &'v Map<String, Value>)> {
        let place = format!("{place}.{key}");
        let map = match fields.get(key) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Object(map)) if map.len() <= MAX_FIELDS => map,
            Some(_) => {
                self.fault(place, format!("must be an object of at most {MAX_FIELDS} fields"));
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        for (name, value) in map {
            let place = format!("{place}.{name}");
            match value.as_object() {
                Some(fields) => found.push((place, name.as_str(), fields)),
                None => self.fault(place, "must be an object"),
            }
        }
        found
    }

    fn text(&mut self, place: &str, fields: &Map<String, Value>, key: &str) -> String {
        match fields.get(key) {
            Some(Value::String(text)) => return text.clone(),
            Some(_) => self.fault(format!("{place}.{key}"), "must be a string"),
            None => self.fault(format!("{place}.{key}"), "is missing"),
        }
        String::new()
    }

    /// The name of an agent or action: part of topics, file names and calls in scripts.
    fn name(&mut self, place: &str, fields: &Map<String, Value>, key: &str) -> String {
        let name = self.text(place, fields, key);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if fields.get(key).is_some_and(Value::is_string)
            && (name.is_empty() || name.len() > 64 || !name.chars().all(plain))
        {
            self.fault(format!("{place}.{key}"), "must be 1 to 64 letters, digits, `_` or `-`");
            return String::new();
        }
        name
    }

    /// A boolean; required without a default.
    fn flag(&mut self, place: &str, fields: &Map<String, Value>, key: &str, default: Option<bool>) -> bool {
        match (fields.get(key), default) {
            (Some(Value::Bool(flag)), _) => return *flag,
            (None, Some(default)) => return default,
            (Some(_), _) => self.fault(format!("{place}.{key}"), "must be true or false"),
            (None, None) => self.fault(format!("{place}.{key}"), "is missing: true or false"),
        }
        false
    }

    fn choice<T: Copy + Default>(
        &mut self,
        place: &str,
        fields: &Map<String, Value>,
        key: &str,
        choices: &[(&str, T)],
    ) -> T {
        let Some(value) = fields.get(key) else { return T::default() };
        let found = choices.iter().find(|(name, _)| value.as_str() == Some(name));
        found.map(|(_, choice)| *choice).unwrap_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.fault(format!("{place}.{key}"), format!("must be one of {}", names.join(", ")));
            T::default()
        })
    }

    fn kind(&mut self, place: &str, fields: &Map<String, Value>, default: Option<ValueType>) -> ValueType {
        let text = match (fields.get("type"), default) {
            (None, Some(default)) => return default,
            _ => self.text(place, fields, "type"),
        };
        // Older published files write `Hash` and `Array`.
        let lower = if matches!(text.as_str(), "Hash" | "Array") { text.to_ascii_lowercase() } else { text };
        let known = ValueType::ALL.into_iter().find(|kind| kind.as_str() == lower);
        if known.is_none() && fields.get("type").is_some_and(Value::is_string) {
            let names = ValueType::ALL.map(ValueType::as_str).join(", ");
            self.fault(format!("{place}.type"), format!("must be one of {names}"));
        }
        known.unwrap_or_default()
    }

    /// Published schemas name further providers, such as `golang`: all of them run beside the node.
    fn provider(&mut self, metadata: &Map<String, Value>) -> Provider {
        match metadata.get("provider") {
            Some(Value::String(name)) if name == "builtin" => Provider::Builtin,
            None | Some(Value::Null | Value::String(_)) => Provider::External,
            Some(_) => {
                self.fault("metadata.provider", "must be a string: builtin or external");
                Provider::External
            }
        }
    }

    fn timeout(&mut self, metadata: &Map<String, Value>) -> Duration {
        match metadata.get("timeout").map(Value::as_f64) {
            Some(Some(seconds)) if seconds > 0.0 && seconds <= MAX_TIMEOUT => {
                return Duration::from_secs_f64(seconds);
            }
            Some(_) => {
                self.fault("metadata.timeout", "must be a number of seconds, above 0 and at most a week")
            }
            None => self.fault("metadata.timeout", "is missing: a number of seconds"),
        }
        Duration::ZERO
    }

    fn validation(&mut self, place: &str, fields: &Map<String, Value>) -> Option<Validator> {
        let text = self.text(place, fields, "validation");
        if !fields.get("validation").is_some_and(Value::is_string) {
            return None;
        }
        Validator::parse_within(&text, &mut self.budget)
            .map_err(|message| self.fault(format!("{place}.validation"), message))
            .ok()
    }

    fn max_length(&mut self, place: &str, fields: &Map<String, Value>) -> Option<usize> {
        let length = fields.get("maxlength").map(Value::as_u64);
        match length {
            Some(Some(length)) => usize::try_from(length).ok().filter(|length| *length > 0),
            Some(None) => {
                self.fault(format!("{place}.maxlength"), "must be a whole number, 0 for no limit");
                None
            }
            None => {
                self.fault(format!("{place}.maxlength"), "is missing: the most characters, 0 for no limit");
                None
            }
        }
    }
}

pub(super) const KNOWN_METADATA: [&str; 9] =
    ["name", "description", "author", "license", "version", "url", "timeout", "provider", "open_inputs"];

const DISPLAYS: [(&str, Display); 4] = [
    ("ok", Display::Ok),
    ("failed", Display::Failed),
    ("flatten", Display::Flatten),
    ("always", Display::Always),
];

const EFFECTS: [(&str, Effect); 3] =
    [("read", Effect::Read), ("idempotent", Effect::Idempotent), ("write", Effect::Write)];
