//! What a file in a folder of agents describes: an agent, or a data function.

use serde_json::Value;

use crate::query::DataFunction;
use crate::schema::{AgentSchema, SchemaError};

/// What a schema file describes.
#[derive(Debug)]
pub enum Described {
    /// An agent.
    Agent(Box<AgentSchema>),
    /// A data function.
    Function(Box<DataFunction>),
}

impl Described {
    /// Reads the text of a file, which is TOML or else JSON.
    ///
    /// # Errors
    /// With everything that is missing or wrong.
    pub fn parse(is_toml: bool, text: &str) -> Result<Self, Vec<SchemaError>> {
        let document: Option<Value> =
            if is_toml { toml::from_str(text).ok() } else { serde_json::from_str(text).ok() };
        if let Some(document) = document.filter(DataFunction::is_described_by) {
            return DataFunction::from_value(&document).map(|function| Self::Function(Box::new(function)));
        }
        // It parses anew, and so tells the place where it cannot.
        let schema = if is_toml { AgentSchema::from_toml(text) } else { AgentSchema::from_json(text) };
        schema.map(|schema| Self::Agent(Box::new(schema)))
    }
}
