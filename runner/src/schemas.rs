//! The schemas of agents and data functions that scripts and queries are checked against, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orch_wire::described::Described;
use orch_wire::query::{DataFunction, DataFunctions};
use orch_wire::schema::{AgentSchema, MAX_SCHEMA, Provider, SchemaError};

use crate::fleet_cache::FleetAgents;

/// Schemas that ship with the program: those of the agents that every node has.
const BUILTIN: [(&str, &str); 8] = [
    ("file", include_str!("../../stdlib/agents/file.json")),
    ("node", include_str!("../../stdlib/agents/node.json")),
    ("package", include_str!("../../stdlib/agents/package.json")),
    ("process", include_str!("../../stdlib/agents/process.json")),
    ("puppet", include_str!("../../stdlib/agents/puppet.json")),
    ("resource", include_str!("../../stdlib/agents/resource.json")),
    ("service", include_str!("../../stdlib/agents/service.json")),
    ("shell", include_str!("../../stdlib/agents/shell.json")),
];

/// Schemas of the data functions that every node has.
const BUILTIN_FUNCTIONS: [(&str, &str); 8] = [
    ("agent", include_str!("../../stdlib/data/agent.json")),
    ("collective", include_str!("../../stdlib/data/collective.json")),
    ("fact", include_str!("../../stdlib/data/fact.json")),
    ("file", include_str!("../../stdlib/data/file.json")),
    ("package", include_str!("../../stdlib/data/package.json")),
    ("process", include_str!("../../stdlib/data/process.json")),
    ("puppet", include_str!("../../stdlib/data/puppet.json")),
    ("service", include_str!("../../stdlib/data/service.json")),
];

/// A schema that cannot be used, with the file it stands in.
#[derive(Debug, thiserror::Error)]
pub enum SchemasError {
    /// A folder or file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A file is no schema.
    #[error("{file} is no schema of an agent: {}", listed(faults))]
    Malformed {
        /// Which.
        file: String,
        /// Everything that is wrong with it.
        faults: Vec<SchemaError>,
    },
    /// Two files describe one agent differently.
    #[error("{} and another file describe the agent `{agent}` differently", path.display())]
    Twice {
        /// The second file.
        path: PathBuf,
        /// The agent.
        agent: String,
    },
}

fn listed(faults: &[SchemaError]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Known agents and data functions.
#[derive(Debug, Clone, Default)]
pub struct Schemas {
    agents: BTreeMap<String, Arc<AgentSchema>>,
    functions: DataFunctions,
    /// What the nodes say of their agents.
    fleet: FleetAgents,
    /// Agents that only the fleet describes.
    learnt: BTreeSet<String>,
}

/// Who describes an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The program itself.
    BuiltIn,
    /// A folder that the configuration names.
    Folder,
    /// Nodes of the fleet.
    Fleet,
}

impl Schemas {
    /// The agents and data functions that every node has.
    ///
    /// # Errors
    /// Never, as long as the files of the program are schemas, which a test holds.
    pub fn builtin() -> Result<Self, SchemasError> {
        let mut schemas = Self::default();
        for (name, text) in BUILTIN {
            let schema = AgentSchema::from_json(text).map_err(|faults| SchemasError::Malformed {
                file: format!("built-in {name}.json"),
                faults,
            })?;
            schemas.add(schema);
        }
        for (name, text) in BUILTIN_FUNCTIONS {
            let function = DataFunction::from_json(text).map_err(|faults| SchemasError::Malformed {
                file: format!("built-in data/{name}.json"),
                faults,
            })?;
            schemas.functions.add(function);
        }
        Ok(schemas)
    }

    /// Adds the schemas of a folder, of agents and of data functions: all its files `*.json` and `*.toml`. A file that
    /// says the same as one before is no fault: folders overlap.
    ///
    /// # Errors
    /// On the first file, in name order, that cannot be read or is no schema.
    pub fn add_folder(&mut self, folder: &Path) -> Result<(), SchemasError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |error| SchemasError::Unreadable { path, error }
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            if path.extension().is_some_and(|extension| extension == "json" || extension == "toml") {
                files.push(path);
            }
        }
        files.sort();
        for path in files {
            let schema = match read(&path)? {
                Described::Agent(schema) => *schema,
                Described::Function(function) => {
                    self.functions.add(*function);
                    continue;
                }
            };
            match self.get(&schema.name) {
                // A node may have another agent in the place of a built-in one.
                Some(known) if **known != schema && known.provider != Provider::Builtin => {
                    return Err(SchemasError::Twice { path, agent: schema.name });
                }
                _ => self.add(schema),
            }
        }
        Ok(())
    }

    /// Adds what the nodes of a fleet say of their agents, in the place of what they said before. Built-in agents and those of
    /// folders stay as they are: the one is the author's word, and neither is a node's to change.
    pub fn set_fleet(&mut self, fleet: FleetAgents) {
        for name in std::mem::take(&mut self.learnt) {
            self.agents.remove(&name);
        }
        for name in fleet.names() {
            if let (None, Some(schema)) = (self.agents.get(name), fleet.definition(name)) {
                self.agents.insert(name.to_owned(), Arc::new(schema));
                self.learnt.insert(name.to_owned());
            }
        }
        self.fleet = fleet;
    }

    /// What the nodes say of their agents, as far as it is known.
    pub fn fleet(&self) -> &FleetAgents {
        &self.fleet
    }

    /// Whether the program itself describes the agent, so that nobody else need.
    pub fn is_built_in(agent: &str) -> bool {
        BUILTIN.iter().any(|(name, _)| *name == agent)
    }

    /// Who describes an agent that is known.
    pub fn origin(&self, agent: &str) -> Option<Origin> {
        let schema = self.agents.get(agent)?;
        Some(match schema.provider {
            _ if self.learnt.contains(agent) => Origin::Fleet,
            Provider::Builtin if Self::is_built_in(agent) => Origin::BuiltIn,
            _ => Origin::Folder,
        })
    }

    /// Adds a schema, in the place of one for the same agent.
    pub fn add(&mut self, schema: AgentSchema) {
        self.learnt.remove(&schema.name);
        self.agents.insert(schema.name.clone(), Arc::new(schema));
    }

    /// The schema of an agent.
    pub fn get(&self, agent: &str) -> Option<&Arc<AgentSchema>> {
        self.agents.get(agent)
    }

    /// The data functions.
    pub fn functions(&self) -> &DataFunctions {
        &self.functions
    }

    /// All schemas of agents, by the names of their agents.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<AgentSchema>> {
        self.agents.values()
    }
}

fn read(path: &Path) -> Result<Described, SchemasError> {
    use std::io::Read as _;

    let unreadable = |error| SchemasError::Unreadable { path: path.to_owned(), error };
    let mut text = String::new();
    // One byte more than allowed is enough for the loader to say that it is too much.
    let most = u64::try_from(MAX_SCHEMA).unwrap_or(u64::MAX).saturating_add(1);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(most).read_to_string(&mut text).map_err(unreadable)?;
    Described::parse(path.extension().is_some_and(|extension| extension == "toml"), &text)
        .map_err(|faults| SchemasError::Malformed { file: path.display().to_string(), faults })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = r#"{"metadata": {"name": "shop", "description": "d", "author": "a", "license": "l",
        "version": "1.0", "url": "u", "timeout": 5}, "actions": [{"action": "open", "description": "d"}]}"#;

    #[test]
    fn the_schemas_of_the_program_load() {
        let schemas = Schemas::builtin().unwrap();
        let node = schemas.get("node").unwrap();
        assert!(node.action("ping").is_some_and(|ping| !ping.is_write()));
        let names: Vec<&str> = schemas.functions().names().collect();
        assert_eq!(
            names,
            ["agent", "collective", "fact", "file", "fstat", "package", "process", "puppet", "service"]
        );
    }

    #[test]
    fn a_folder_adds_its_agents_and_faults_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shop.json"), SHOP).unwrap();
        std::fs::write(folder.path().join("README"), "not a schema").unwrap();
        let mut schemas = Schemas::builtin().unwrap();
        schemas.add_folder(folder.path()).unwrap();
        schemas.add_folder(folder.path()).unwrap();
        assert!(schemas.iter().any(|schema| schema.name == "shop"));
        let function = SHOP.replace("shop", "stock").replace(r#""actions": ["#, r#""data": {"output": "#);
        let function = function.replace(
            r#"{"action": "open", "description": "d"}]"#,
            r#"{"left": {"description": "d",
            "display_as": "Left", "type": "integer"}}}"#,
        );
        std::fs::write(folder.path().join("stock.json"), function).unwrap();
        schemas.add_folder(folder.path()).unwrap();
        assert!(
            schemas.functions().get("stock").is_some_and(|stock| stock.schema().output("left").is_some())
        );

        std::fs::write(folder.path().join("shop2.json"), SHOP.replace("open", "close")).unwrap();
        assert!(
            matches!(schemas.add_folder(folder.path()), Err(SchemasError::Twice { agent, .. }) if agent == "shop")
        );
        std::fs::write(folder.path().join("shop2.json"), "{").unwrap();
        let error = schemas.add_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("shop2.json is no schema of an agent"), "{error}");
        let error = schemas.add_folder(&folder.path().join("absent")).unwrap_err();
        assert!(error.to_string().ends_with("absent cannot be read"), "{error}");
    }
}
