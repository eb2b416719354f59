//! Data functions as their schemas describe them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::schema::{ActionSchema, AgentSchema, InputSchema, SchemaError};

/// The one input of a data function (`agents.md`, Data functions).
const INPUT: &str = "query";

/// What a data function takes and gives.
///
/// Its file has the field names of MCollective's DDL for data: `metadata` as in the schema of an agent, and
/// `data` with `input` (none, or one named `query`) and `output`. `metadata.aliases` may list further names.
#[derive(Debug, Clone)]
pub struct DataFunction {
    /// The name that queries use.
    pub name: String,
    /// Other names for the same.
    pub aliases: Vec<String>,
    /// One sentence on what it is for.
    pub description: String,
    /// An agent of one action, which is how a program that answers sees it.
    agent: AgentSchema,
    schema: ActionSchema,
}

impl DataFunction {
    /// Whether a document describes a data function and not an agent.
    pub fn is_described_by(document: &Value) -> bool {
        document.get("data").is_some() && document.get("actions").is_none()
    }

    /// Loads a function from its parsed file.
    ///
    /// # Errors
    /// With everything that is missing or wrong, each by the path of its field.
    pub fn from_value(document: &Value) -> Result<Self, Vec<SchemaError>> {
        let fault = |field: &str, message: &str| vec![SchemaError::new(field, message)];
        let Some(data) = document.get("data").and_then(Value::as_object) else {
            return Err(fault("data", "is missing: an object with `input` and `output`"));
        };
        let metadata = document.get("metadata").cloned().unwrap_or_default();
        let aliases = match metadata.get("aliases") {
            None => Vec::new(),
            Some(list) => serde_json::from_value(list.clone())
                .map_err(|_| fault("metadata.aliases", "must be a list of names"))?,
        };
        // To the loader of agents a function is one action that reads.
        let mut action = Map::new();
        action.insert("action".to_owned(), json!(INPUT));
        action.insert("description".to_owned(), metadata.get("description").cloned().unwrap_or_default());
        for part in ["input", "output"] {
            action.extend(data.get(part).map(|fields| (part.to_owned(), fields.clone())));
        }
        let agent = AgentSchema::from_value(json!({ "metadata": metadata, "actions": [action] }))
            .map_err(|errors| errors.into_iter().map(of_data).collect::<Vec<_>>())?;
        let schema = agent.actions.get(INPUT).cloned().ok_or_else(|| fault("data", "is missing"))?;
        if let Some(other) = schema.inputs.iter().find(|input| input.name != INPUT) {
            let field = format!("data.input.{}", other.name);
            return Err(fault(&field, "is no input: a data function takes one, named `query`"));
        }
        if schema.outputs.is_empty() {
            return Err(fault("data.output", "is missing: a function has an output at least"));
        }
        let (name, description) = (agent.name.clone(), agent.description.clone());
        Ok(Self { name, aliases, description, agent, schema })
    }

    /// Loads a function from the JSON of its file.
    ///
    /// # Errors
    /// As [`Self::from_value`].
    pub fn from_json(text: &str) -> Result<Self, Vec<SchemaError>> {
        let document = serde_json::from_str(text).map_err(|error| vec![SchemaError::of_json(&error)])?;
        Self::from_value(&document)
    }

    /// Its argument, where it takes one.
    pub fn argument(&self) -> Option<&InputSchema> {
        self.schema.inputs.first()
    }

    /// Its input and outputs.
    pub fn schema(&self) -> &ActionSchema {
        &self.schema
    }

    /// The function as an agent whose one action, [`Self::ACTION`], answers a question.
    pub fn as_agent(&self) -> &AgentSchema {
        &self.agent
    }

    /// The one action of [`Self::as_agent`], and the name of its argument.
    pub const ACTION: &str = INPUT;

    /// Whether it may be asked with this argument.
    pub fn takes(&self, argument: Option<&str>) -> bool {
        match (self.argument(), argument) {
            (None, argument) => argument.is_none(),
            (Some(input), None) => input.optional,
            (Some(input), Some(text)) => input.fault(&Value::from(text)).is_none(),
        }
    }

    /// Of what was answered, the outputs of the function.
    ///
    /// # Errors
    /// With the name of an output that has another type than the schema says. Null has every type.
    pub fn outputs(&self, mut answered: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut outputs = Map::new();
        for output in &self.schema.outputs {
            let value = answered.remove(&output.name).unwrap_or_default();
            if !value.is_null() && !output.kind.accepts(&value) {
                return Err(output.name.clone());
            }
            outputs.insert(output.name.clone(), value);
        }
        Ok(outputs)
    }
}

/// Names the field by its path in the file of a function, and not in the agent that it was loaded as.
fn of_data(error: SchemaError) -> SchemaError {
    let field = ["actions.query", "actions[0]"].iter().find_map(|prefix| error.field.strip_prefix(prefix));
    match field {
        Some(rest) => SchemaError { field: format!("data{rest}"), ..error },
        None => error,
    }
}

/// The data functions that are known.
#[derive(Debug, Clone, Default)]
pub struct DataFunctions {
    by_name: BTreeMap<String, Arc<DataFunction>>,
}

impl DataFunctions {
    /// Adds a function under all its names, in the place of those that had them.
    pub fn add(&mut self, function: DataFunction) {
        let function = Arc::new(function);
        for name in std::iter::once(&function.name).chain(&function.aliases) {
            self.by_name.insert(name.clone(), Arc::clone(&function));
        }
    }

    /// The function of a name or alias.
    pub fn get(&self, name: &str) -> Option<&DataFunction> {
        self.by_name.get(name).map(Arc::as_ref)
    }

    /// All names, aliases too, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}
