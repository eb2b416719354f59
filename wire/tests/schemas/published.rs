//! Files as Choria's agents are published with: every key and habit that occurs in them, under names of our own.

use orch_wire::schema::{AgentSchema, Display, FaultKind, Provider, Validator, ValueType};
use serde_json::{Map, json};

use super::arguments;

/// The habits of several published agents in one file: `$schema`, null defaults, empty inputs and outputs, validators of
/// plugins, further providers and metadata, capital types, braces that count nothing, aggregates with labels and formats.
const PUBLISHED: &str = include_str!("published.json");

#[test]
fn a_published_file_loads_as_it_is() {
    let schema = AgentSchema::from_json(PUBLISHED).unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!((schema.name.as_str(), schema.provider), ("lamps", Provider::External));
    assert_eq!(schema.extra.get("service"), Some(&json!(true)));
    let displays: Vec<_> =
        schema.actions.iter().map(|(name, action)| (name.as_str(), action.display)).collect();
    assert_eq!(
        displays,
        [
            ("count", Display::Ok),
            ("dim", Display::Failed),
            ("list", Display::Always),
            ("run_once", Display::Flatten),
        ]
    );
    let list = &schema.actions["list"];
    assert!(list.inputs.is_empty() && list.is_write());
    assert!(list.validate(&Map::new()).is_ok());

    let dim = &schema.actions["dim"];
    assert_eq!(dim.input("options").unwrap().kind, ValueType::Hash);
    assert_eq!(dim.input("rooms").unwrap().kind, ValueType::Array);
    let good =
        json!({"lamp": "hall.lamp@2", "by": 0.5, "options": {}, "rooms": ["hall"], "config": "{\"a\":1}"});
    assert_eq!(dim.validate(&arguments(good)), Ok(()));
    for (name, value, kind) in [
        ("lamp", json!("a b"), FaultKind::Pattern),
        ("by", json!(1), FaultKind::Type),
        ("config", json!("a{b}"), FaultKind::Pattern),
        ("label", json!("x;y"), FaultKind::Unsafe),
        ("digits", json!("٣"), FaultKind::Pattern),
    ] {
        let mut given = arguments(json!({"lamp": "hall"}));
        given.insert(name.into(), value);
        let faults = dim.validate(&given).unwrap_err();
        assert_eq!(
            faults.iter().map(|fault| (fault.input.as_str(), fault.kind)).collect::<Vec<_>>(),
            [(name, kind)]
        );
    }
    assert_eq!(
        json!(dim.output_defaults()),
        json!({"level": "unknown", "on": false, "seen": [], "why": null})
    );

    let texts = |action: &str, output: &str, values: serde_json::Value| -> Vec<String> {
        let of_output =
            schema.actions[action].aggregates.iter().filter(|aggregate| aggregate.output == output);
        of_output.map(|aggregate| aggregate.compute(values.as_array().unwrap()).unwrap().text).collect()
    };
    assert_eq!(texts("count", "lit", json!([true, true, false])), ["  lit = 2\n dark = 1"]);
    assert_eq!(texts("count", "watts", json!([1, 2, null])), ["Average: 1.50", "Total: 3"]);
    assert_eq!(
        texts("count", "rooms", json!([["hall", "attic"], ["hall"]])),
        ["hall lit by 2 node(s)\nattic lit by 1 node(s)"]
    );
}

#[test]
fn validators_of_published_agents_are_known() {
    for (name, good, bad) in [
        ("service_name", ["sshd", "getty@tty1.service", "a:b"], ["", "a b", "a;b"]),
        ("package_name", ["nginx", "lib-x_1.0", "7zip"], ["", "a b", "a\n"]),
        ("puppet_variable", ["environment", "a", "x_1"], ["", "1", "a-b"]),
        ("puppet_tags", ["web", "web,db", "role::web,x1"], ["", "web,", "a b"]),
        ("puppet_resource", ["File[/etc/motd]", "Service[x y]", "a_1[b]"], ["File", "File[]", "a::b[x]"]),
        ("puppet_server_address", ["puppet", "p.example.com:8140", "[2001:db8::1]:8140"], ["", "a b", "p:x"]),
    ] {
        let validator = Validator::parse(name).unwrap();
        assert!(good.iter().all(|text| validator.accepts(text)), "{name}");
        assert!(!bad.iter().any(|text| validator.accepts(text)), "{name}");
    }
    for address in ["10.0.0.1", "2001:db8::1", "::1"] {
        assert!(Validator::parse("puppet_server_address").unwrap().accepts(address), "{address}");
    }
    let unknown = Validator::parse("no_such_check").unwrap_err();
    assert!(
        unknown.contains("`no_such_check` is no known validator") && unknown.contains("shellsafe"),
        "{unknown}"
    );
}

#[test]
fn look_around_is_named() {
    for (source, construct) in [
        ("a(?=b)", "(?="),
        ("^(?!root)", "(?!"),
        ("(?<=a)b", "(?<="),
        ("(?<!a)b", "(?<!"),
        (r"\\(?!a)", "(?!"),
    ] {
        let said = Validator::parse(source).unwrap_err();
        assert!(said.contains("look-around") && said.contains(&format!("`{construct}`")), "{source}: {said}");
    }
    for source in [r"\(?=x", "[(?=]", "(?<name>a)", "(?:a)"] {
        assert!(Validator::parse(source).is_ok(), "{source}");
    }
}

#[test]
fn a_file_that_does_not_parse_has_a_place() {
    let place = |text: &str| AgentSchema::from_json(text).unwrap_err()[0].clone();
    let fault = place("{\n  \"metadata\": {,}\n}");
    assert_eq!(
        (fault.place, fault.to_string().as_str()),
        (Some((2, 16)), "line 2, column 16: the file is not valid JSON: key must be a string")
    );
    assert_eq!(place("").place, Some((1, 1)));
    let errors = AgentSchema::from_toml("[metadata]\nname = \"é\" x\n").unwrap_err();
    assert_eq!((errors.len(), errors[0].place), (1, Some((2, 12))), "{errors:?}");
    assert!(errors[0].message.starts_with("the file is not valid TOML: "), "{errors:?}");
}
