//! `nodes(#{…})`: the map of filters, as the flags of the command line have them.

use orch_wire::ids::{CollectiveName, NodeName};
use orch_wire::query::filter::{Filter, FilterError};
use rhai::{Dynamic, Map};

use crate::client::Scope;
use crate::schemas::Schemas;
use crate::script::queries::{malformed, refused};
use crate::script::types::{Failure, Kind, Outcome, Secrets, shown, to_json, usage};

const KEYS: &str = "`query`, `facts`, `classes`, `agents`, `identities`, `collective`";

/// The scope that a map describes, with words for it.
pub(crate) fn scope(schemas: &Schemas, map: &Map) -> Outcome<(Scope, String)> {
    let mut filter = Filter::default();
    for (name, value) in map {
        match name.as_str() {
            "query" => filter.queries.extend(texts(name, value)?),
            "collective" => {
                for name in texts(name, value)? {
                    filter.queries.push(collective(&name)?);
                }
            }
            "facts" => filter.facts = facts(value)?,
            "classes" => filter.classes = texts(name, value)?,
            "agents" => filter.agents = texts(name, value)?,
            "identities" => filter.identities = texts(name, value)?,
            _ => return Err(usage(format!("`nodes` has no filter `{name}`; it has {KEYS}"))),
        }
    }
    if let Some(names) = filter.identities_only().map_err(wrong)? {
        let what = format!("nodes {}", names.join(","));
        let names: Result<Vec<NodeName>, _> = names.iter().map(|name| NodeName::new(name)).collect();
        return Ok((Scope::Nodes(names.map_err(|error| usage(error.to_string()))?), what));
    }
    let asked = filter.query().map_err(wrong)?;
    if let Some((text, fault)) =
        filter.check(schemas.functions()).into_iter().find(|(_, fault)| fault.stops())
    {
        return Err(refused(text, fault).into());
    }
    Ok(match asked {
        Some(query) => {
            let what = query.to_string();
            (Scope::Query(query), what)
        }
        None => (Scope::All, "all nodes".to_owned()),
    })
}

fn wrong(error: FilterError) -> Failure {
    if error.value.is_empty() {
        return Failure::new(Kind::Query, error.to_string());
    }
    malformed(&error.value, &error.error)
}

/// One text, or a list of them.
fn texts(name: &str, value: &Dynamic) -> Outcome<Vec<String>> {
    let not_text = || usage(format!("`{name}` is a string or an array of strings"));
    if let Ok(list) = value.as_array_ref() {
        return list.iter().map(|item| item.clone().into_string().map_err(|_| not_text())).collect();
    }
    Ok(vec![value.clone().into_string().map_err(|_| not_text())?])
}

/// The nodes of a collective, of those that the session's own calls reach.
fn collective(name: &str) -> Outcome<String> {
    let name = CollectiveName::new(name).map_err(|error| usage(error.to_string()))?;
    Ok(format!("collective = {name}"))
}

/// `#{ "os.family": "Debian", cpus: ">= 4" }`, or comparisons as texts.
fn facts(value: &Dynamic) -> Outcome<Vec<String>> {
    let Ok(map) = value.as_map_ref() else { return texts("facts", value) };
    let comparison = |(name, value): (&rhai::Identifier, &Dynamic)| {
        let value = to_json(value, Secrets::Mask).map_err(usage)?;
        let text = shown(&value);
        let operator = if text.starts_with(['=', '!', '<', '>']) { " " } else { " = " };
        Ok(format!("{name}{operator}{text}"))
    };
    map.iter().map(comparison).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(map: &str) -> Result<String, String> {
        let map: Map = rhai::Engine::new().eval(map).unwrap();
        let told = |error: Box<rhai::EvalAltResult>| Failure::within(&error).unwrap().message;
        scope(&Schemas::builtin().unwrap(), &map)
            .map(|(scope, what)| {
                format!("{}: {what}", if matches!(scope, Scope::Nodes(_)) { "names" } else { "asked" })
            })
            .map_err(told)
    }

    #[test]
    fn filters_combine_into_one_query() {
        assert_eq!(described("#{}").unwrap(), "asked: all nodes");
        assert_eq!(
            described(r#"#{ facts: #{ cpus: ">= 4", "os.family": "Debian" }, classes: "role::web" }"#)
                .unwrap(),
            "asked: cpus >= 4 and os.family = Debian and role::web"
        );
        assert_eq!(
            described(r#"#{ query: "a=1 or b=2", collective: "eu" }"#).unwrap(),
            "asked: collective = eu and (a = 1 or b = 2)"
        );
        assert!(described(r#"#{ collective: "a b" }"#).is_err());
        assert_eq!(
            described(r#"#{ query: "a=1 or b=2", agents: ["shop"] }"#).unwrap(),
            "asked: agent = shop and (a = 1 or b = 2)"
        );
    }

    #[test]
    fn plain_names_are_the_set() {
        assert_eq!(
            described(r#"#{ identities: ["web[1-2]", "db1"] }"#).unwrap(),
            "names: nodes db1,web1,web2"
        );
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        assert_eq!(
            described(r#"#{ clases: "a" }"#).unwrap_err(),
            "`nodes` has no filter `clases`; it has `query`, `facts`, `classes`, `agents`, `identities`, `collective`"
        );
        assert_eq!(described("#{ classes: 1 }").unwrap_err(), "`classes` is a string or an array of strings");
        assert!(
            described(r#"#{ query: "a=1 and" }"#)
                .unwrap_err()
                .starts_with("the query `a=1 and` does not parse")
        );
        assert!(described(r#"#{ identities: "web[1-" }"#).is_err());
    }
}
