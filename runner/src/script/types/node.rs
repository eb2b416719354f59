//! One node of a selection.

use orch_wire::ids::NodeName;
use rhai::Dynamic;

use super::failure::{Outcome, usage};
use super::selection::Selection;
use super::values;

/// A node of a selection, as scripts see it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: NodeName,
    of: Selection,
}

impl Node {
    pub(crate) fn new(name: NodeName, of: Selection) -> Self {
        Self { name, of }
    }

    /// What it says of itself under this name: `facts`, `classes`, `agents`.
    pub(crate) fn inventory(&self, field: &str) -> Outcome<Dynamic> {
        match &*self.of.inventory(&self.name)? {
            Ok(inventory) => Ok(inventory.get(field).map_or(Dynamic::UNIT, values::from_json)),
            Err(why) => Err(usage(why)),
        }
    }

    /// One of its facts, by its path.
    pub(crate) fn fact(&self, path: &str) -> Outcome<Option<serde_json::Value>> {
        match &*self.of.inventory(&self.name)? {
            Ok(inventory) => {
                let facts = inventory.get("facts").and_then(serde_json::Value::as_object);
                Ok(facts.and_then(|facts| orch_wire::query::lookup_fact(facts, path)).cloned())
            }
            Err(why) => Err(usage(why)),
        }
    }
}

impl IntoIterator for Selection {
    type Item = Outcome<Node>;
    type IntoIter = std::vec::IntoIter<Outcome<Node>>;

    fn into_iter(self) -> Self::IntoIter {
        let nodes: Vec<Outcome<Node>> = match self.resolve() {
            Ok(found) => found.nodes.iter().map(|name| Ok(Node::new(name.clone(), self.clone()))).collect(),
            Err(error) => vec![Err(error)],
        };
        nodes.into_iter()
    }
}
