//! Which nodes: `nodes(…)`, and what a selection and its nodes tell of themselves.

use orch_wire::ids::NodeName;
use orch_wire::nodeset::fold;
use rhai::{Array, Dynamic, Engine, INT, ImmutableString, Map, NativeCallContext};

use super::filters;
use crate::client::Scope;
use crate::script::queries::query;
use crate::script::run::Run;
use crate::script::types::{Node, Outcome, Selection, folded, from_json};
use crate::script::vocabulary::{Example, Family, Function};

pub(super) fn count(number: usize) -> INT {
    INT::try_from(number).unwrap_or(INT::MAX)
}

fn nodes_all(context: NativeCallContext<'_>) -> Outcome<Selection> {
    Ok(Selection::described(Run::of(&context)?, Scope::All, "all nodes".to_owned()))
}

fn nodes_query(context: NativeCallContext<'_>, text: &str) -> Outcome<Selection> {
    let run = Run::of(&context)?;
    let query = query(&run.schemas, text)?;
    Ok(Selection::described(run, Scope::Query(query), text.to_owned()))
}

fn nodes_map(context: NativeCallContext<'_>, map: Map) -> Outcome<Selection> {
    let run = Run::of(&context)?;
    let (scope, what) = filters::scope(&run.schemas, &map)?;
    Ok(Selection::described(run, scope, what))
}

fn shown(selection: &mut Selection) -> Outcome<String> {
    let found = selection.resolve()?;
    Ok(match found.nodes.as_slice() {
        [] => "no nodes".to_owned(),
        [one] => format!("{one} (1 node)"),
        many => format!("{} ({} nodes)", folded(many), many.len()),
    })
}

fn types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Selection>("selection")
        .register_fn("to_string", shown)
        .register_fn("to_debug", shown)
        .register_iterator_result::<Selection, Node>()
        .register_type_with_name::<Node>("node")
        .register_fn("to_string", |node: &mut Node| node.name.to_string())
        .register_fn("to_debug", |node: &mut Node| node.name.to_string());
}

pub(super) const FAMILY: Family = Family {
    title: "Selecting nodes",
    text: "A selection is found out when it is first needed, and then stays the same set of nodes. `for node in \
           selection` walks through it in natural order.",
    types,
    functions: &[
        Function {
            forms: &[
                "nodes() -> selection",
                "nodes(query: query) -> selection",
                "nodes(filters: #{ query?: query or [query], facts?: map or [string], classes?: string or [string], \
                 agents?: string or [string], identities?: string or [string], collective?: string }) -> selection",
            ],
            text: "Nodes: all of them, those that match a query, or those that pass all filters of a map. Nothing is asked \
                   yet: a read action carries the query to the nodes, and its answers are the set.",
            example: Example {
                script: r##"
                    print(nodes("role::web and cpus > 2").names);
                    print(nodes(#{ classes: "role::web", facts: #{ rack: "a" } }).names);
                    print(nodes(#{ identities: "web[1-2]" }).names);"##,
                prints: r##"
                    ["web2", "web10"]
                    ["web1", "web10"]
                    ["web1", "web2"]"##,
            },
            register: |engine| {
                engine
                    .register_fn("nodes", nodes_all)
                    .register_fn("nodes", nodes_query)
                    .register_fn("nodes", nodes_map);
            },
        },
        Function {
            forms: &["selection.count -> int", "selection.is_empty -> bool"],
            text: "How many nodes a selection has, and whether it has none.",
            example: Example {
                script: r#"let web = nodes("role::web"); print(`${web.count} ${web.is_empty}`);"#,
                prints: "3 false",
            },
            register: |engine| {
                engine
                    .register_get("count", |selection: &mut Selection| -> Outcome<INT> {
                        Ok(count(selection.resolve()?.nodes.len()))
                    })
                    .register_get("is_empty", |selection: &mut Selection| -> Outcome<bool> {
                        Ok(selection.resolve()?.nodes.is_empty())
                    });
            },
        },
        Function {
            forms: &[
                "selection.names -> [string]",
                "selection.folded -> string",
                "selection.unanswered -> [string]",
            ],
            text: "Names of the nodes in natural order, the same folded into a node set, and names of the nodes that are \
                   here and did not say whether they belong to it.",
            example: Example {
                script: r#"let web = nodes("role::web"); print(web.names); print(web.folded); print(web.unanswered);"#,
                prints: r#"
                    ["web1", "web2", "web10"]
                    web[1-2,10]
                    []"#,
            },
            register: |engine| {
                engine
                    .register_get("names", |selection: &mut Selection| -> Outcome<Array> {
                        Ok(selection.resolve()?.nodes.iter().map(|name| name.as_str().into()).collect())
                    })
                    .register_get("unanswered", |selection: &mut Selection| -> Outcome<Array> {
                        Ok(selection.resolve()?.unanswered.iter().map(|name| name.as_str().into()).collect())
                    })
                    .register_get("folded", |selection: &mut Selection| -> Outcome<String> {
                        Ok(fold(selection.resolve()?.nodes.iter().map(NodeName::as_str)))
                    });
            },
        },
        Function {
            forms: &["selection.contains(name: string) -> bool"],
            text: "Whether the selection has a node of this name. `\"web1\" in web` asks the same.",
            example: Example {
                script: r#"print(nodes("role::web").contains("web2")); print("db1" in nodes("role::web"));"#,
                prints: "true\nfalse",
            },
            register: |engine| {
                engine.register_fn("contains", |selection: &mut Selection, name: &str| -> Outcome<bool> {
                    Ok(selection.resolve()?.nodes.iter().any(|node| node.as_str() == name))
                });
            },
        },
        Function {
            forms: &["node.name -> string"],
            text: "The name of a node.",
            example: Example {
                script: r#"for node in nodes("role::web") { print(node.name); }"#,
                prints: "web1\nweb2\nweb10",
            },
            register: |engine| {
                engine.register_get("name", |node: &mut Node| ImmutableString::from(node.name.as_str()));
            },
        },
        Function {
            forms: &[
                "node.facts -> map",
                "node.fact(path: fact) -> any",
                "node.classes -> [string]",
                "node.agents -> [string]",
            ],
            text: "What a node knows of itself: its facts, one of them by its path (`()` where it has none such), its classes, \
                   its agents. The first time, all nodes of the selection are asked at once.",
            example: Example {
                script: r#"
                    for node in nodes("role::db") {
                        print(`${node.facts.cpus} ${node.fact("os.family")} ${node.fact("os.color") == ()}`);
                        print(`${node.classes} ${node.agents}`);
                    }"#,
                prints: r#"
                    16 RedHat true
                    ["role::db"] ["node"]"#,
            },
            register: |engine| {
                engine
                    .register_get("facts", |node: &mut Node| node.inventory("facts"))
                    .register_get("classes", |node: &mut Node| node.inventory("classes"))
                    .register_get("agents", |node: &mut Node| node.inventory("agents"))
                    .register_fn("fact", |node: &mut Node, path: &str| -> Outcome<Dynamic> {
                        Ok(node.fact(path)?.map_or(Dynamic::UNIT, |value| from_json(&value)))
                    });
            },
        },
    ],
};
