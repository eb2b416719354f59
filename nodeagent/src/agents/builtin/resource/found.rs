//! What `puppet resource --to_yaml` prints.

use orch_wire::body::{Answer, code};
use serde_json::{Map, Value};

use crate::agents::builtin::puppet::yaml;
use crate::agents::ending::Done;

/// A resource as it stands on the node.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) title: String,
    /// Such as `present`, `absent`, `running`, a version; none for a type without it.
    pub(super) ensure: Option<Value>,
    /// By what puppet knows it, which may differ from node to node.
    pub(super) provider: Option<Value>,
    /// Its properties, `ensure` among them, so that they can be given to `create` as they are.
    pub(super) properties: Map<String, Value>,
}

/// `TYPE: {TITLE: {PROPERTY: VALUE}}`; before it puppet may print notices.
pub(super) fn parse(printed: &str, kind: &str) -> Done<Vec<Found>> {
    let start = if printed.starts_with("---") { Some(0) } else { printed.find("\n---").map(|at| at + 1) };
    let document = start.and_then(|start| printed.get(start..)).unwrap_or_default();
    let value = yaml(document, "what puppet printed")?;
    let resources = match value.get(kind) {
        Some(Value::Object(resources)) => resources.clone(),
        // There is none.
        Some(Value::Null) => Map::new(),
        _ => {
            return Err(Box::new(Answer::failed(
                code::REPLY,
                format!("puppet printed no resources of type `{kind}`"),
            )));
        }
    };
    let found = resources.into_iter().map(|(title, properties)| {
        let mut properties = match properties {
            Value::Object(properties) => properties,
            _ => Map::new(),
        };
        let provider = properties.remove("provider");
        Found { title, ensure: properties.get("ensure").cloned(), provider, properties }
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    // What puppet 7.23 prints.

    #[test]
    fn one_resource_with_typed_values() {
        let printed = "Notice: something\n---\nuser:\n  root:\n    ensure: present\n    comment: root\n    gid: 0\n\
            \x20   groups:\n    - audio\n    - video\n    home: \"/root\"\n    password: \"*\"\n    provider: useradd\n\
            \x20   uid: 0\n";
        let found = parse(printed, "user").unwrap().pop().unwrap();
        assert_eq!((found.title.as_str(), found.ensure), ("root", Some(json!("present"))));
        assert_eq!(found.provider, Some(json!("useradd")));
        assert_eq!(
            Value::Object(found.properties),
            json!({"ensure": "present", "comment": "root", "gid": 0, "groups": ["audio", "video"], "home": "/root",
                "password": "*", "uid": 0})
        );
    }

    #[test]
    fn many_or_none() {
        let printed = "---\nhost:\n  ip6-allnodes:\n    ensure: present\n    ip: ff02::1\n    provider: parsed\n\
            \x20   target: \"/etc/hosts\"\n  localhost:\n    ensure: present\n    ip: 127.0.0.1\n    provider: parsed\n";
        let titles: Vec<String> =
            parse(printed, "host").unwrap().into_iter().map(|found| found.title).collect();
        assert_eq!(titles, ["ip6-allnodes", "localhost"]);
        assert_eq!(parse("---\nhost: \n", "host").unwrap(), []);
        assert_eq!(parse("---\nhost: {}\n", "host").unwrap(), []);
        for printed in ["", "Notice: x\n", "---\nuser: {}\n", "---\n- host\n"] {
            assert!(parse(printed, "host").is_err(), "{printed}");
        }
    }
}
