//! What peers and files may say of a fleet, and what is believed.

use std::os::unix::fs::PermissionsExt;

use orch_wire::card::agents_digest;
use orch_wire::ids::{AgentName, CollectiveName, Digest, NodeName};
use orch_wire::schema::{AgentSchema, Effect, ValueType};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::agents::FleetAgents;
use super::index::{Changed, Index};
use super::store::{FleetKey, Store};
use crate::client::NodeCard;
use crate::schemas::{Origin, Schemas};

fn schema(version: &str, effect: &str, inputs: &Value) -> AgentSchema {
    AgentSchema::from_value(json!({
        "metadata": {
            "name": "ours", "description": "d", "author": "a", "license": "l", "version": version, "url": "u",
            "timeout": if version == "1" { 5 } else { 50 },
        },
        "actions": [{ "action": "go", "description": "d", "effect": effect, "dry_run": version == "1", "input": inputs }],
    }))
    .unwrap()
}

fn text_input(extra: &Value) -> Value {
    let mut input = json!({
        "prompt": "p", "description": "d", "type": "string", "optional": false, "validation": "^a$", "maxlength": 5,
    });
    input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    input
}

fn listed(schemas: &[(&str, &AgentSchema)]) -> (Value, Digest) {
    let digests: Vec<(AgentName, Digest)> = schemas
        .iter()
        .map(|(name, schema)| (AgentName::new(name).unwrap(), Digest::of(schema.canonical().as_bytes())))
        .collect();
    let list: Vec<Value> = digests
        .iter()
        .zip(schemas)
        .map(|((name, digest), (_, schema))| json!({ "name": name, "version": schema.version, "digest": digest }))
        .collect();
    (Value::from(list), agents_digest(digests.iter().map(|(name, digest)| (name, digest))))
}

fn card(node: &str, agents: Digest) -> NodeCard {
    NodeCard { node: NodeName::new(node).unwrap(), here: true, agents, facts: Digest::of(node.as_bytes()) }
}

/// A fleet whose nodes each have an agent in a version of its own; `None` has told nothing.
fn learnt(versions: &[Option<&AgentSchema>]) -> FleetAgents {
    let store = Store::new(None);
    let mut index = Index::default();
    let told: Vec<Option<(Value, Digest)>> =
        versions.iter().map(|schema| schema.map(|schema| listed(&[("ours", schema)]))).collect();
    let cards: Vec<NodeCard> = told
        .iter()
        .enumerate()
        .map(|(n, told)| {
            card(&format!("n{n}"), told.as_ref().map_or(Digest::of(b"unknown"), |(_, digest)| *digest))
        })
        .collect();
    assert_eq!(index.follow(&cards), Changed::Agents);
    for (list, digest) in told.iter().flatten() {
        let group = index.groups.iter_mut().find(|group| group.digest == *digest).unwrap();
        assert!(group.take(list));
    }
    for schema in versions.iter().flatten() {
        store.keep_schema(&schema.canonical());
    }
    FleetAgents::of(&index, &store, |_| true)
}

#[test]
fn a_list_that_is_not_what_the_card_stands_for_is_not_believed() {
    let (read, write) = (schema("1", "read", &json!({})), schema("1", "write", &json!({})));
    let (true_list, digest) = listed(&[("ours", &write)]);
    let mut index = Index::default();
    index.follow(&[card("n1", digest)]);
    let group = index.groups.first_mut().unwrap();
    for lie in [
        listed(&[("ours", &read)]).0,
        listed(&[("ours", &write), ("package", &write)]).0,
        listed(&[("service", &write)]).0,
        json!([{ "name": "../x", "version": "1", "digest": digest }]),
        json!([{ "name": "ours", "version": "1", "digest": "x" }]),
        json!([]),
        json!({}),
        Value::from(vec![true_list[0].clone(); 300]),
    ] {
        assert!(!group.take(&lie), "{lie}");
    }
    assert!(group.take(&true_list));
    assert!(index.is_complete());
}

#[test]
fn an_action_is_a_read_only_where_all_say_so() {
    let (read, write) = (schema("1", "read", &json!({})), schema("2", "write", &json!({})));
    let effect = |versions: &[Option<&AgentSchema>]| {
        learnt(versions).definition("ours").map(|schema| schema.action("go").unwrap().effect)
    };
    assert_eq!(effect(&[Some(&read), Some(&read)]), Some(Effect::Read));
    assert_eq!(effect(&[Some(&read), Some(&read), Some(&write)]), Some(Effect::Write));
    // A node that was never heard may have it as a write.
    assert_eq!(effect(&[Some(&read), None]), Some(Effect::Write));
    assert!(!learnt(&[Some(&read), None]).definition("ours").unwrap().action("go").unwrap().dry_run);
    assert_eq!(effect(&[None]), None);
}

#[test]
fn versions_are_joined_by_what_cannot_do_harm() {
    let one = schema(
        "1",
        "read",
        &json!({ "a": text_input(&json!({})), "b": text_input(&json!({ "default": "x" })) }),
    );
    let other = schema(
        "2",
        "idempotent",
        &json!({
            "a": text_input(&json!({ "validation": ".", "maxlength": 9, "secret": true })),
            "b": text_input(&json!({ "default": "/etc/shadow" })),
            "c": { "prompt": "p", "description": "d", "type": "integer", "optional": false },
        }),
    );
    let fleet = learnt(&[Some(&one), Some(&one), Some(&other)]);
    let joined = fleet.definition("ours").unwrap();
    let action = joined.action("go").unwrap();
    assert_eq!((action.effect, action.dry_run, joined.timeout.as_secs()), (Effect::Idempotent, false, 50));
    let a = action.input("a").unwrap();
    assert!(a.secret && a.validation.is_none() && !a.optional && a.max_length == Some(9));
    let b = action.input("b").unwrap();
    assert_eq!((b.default.as_ref(), b.kind), (None, ValueType::String));
    assert!(action.input("c").unwrap().optional);
    let versions = fleet.versions("ours");
    let told: Vec<String> =
        versions.iter().map(|v| format!("{} on {}", v.told(versions), v.nodes())).collect();
    assert_eq!(told, ["1 on n[0-1]", "2 on n2"]);
}

#[test]
fn what_is_true_to_its_digest_may_still_be_no_schema_of_the_agent() {
    let mine = schema("1", "read", &json!({}));
    for text in ["{}".to_owned(), mine.canonical().replace("ours", "theirs"), "[".repeat(10_000)] {
        let (store, mut index) = (Store::new(None), Index::default());
        let (name, digest) = (AgentName::new("ours").unwrap(), Digest::of(text.as_bytes()));
        index.follow(&[card("n1", agents_digest([(&name, &digest)]))]);
        assert!(index.groups[0].take(&json!([{ "name": "ours", "version": "1", "digest": digest }])));
        store.keep_schema(&text);
        let fleet = FleetAgents::of(&index, &store, |_| true);
        assert!(fleet.definition("ours").is_none() && fleet.versions("ours").len() == 1);
    }
}

proptest! {
    /// Whatever versions there are, none makes an action more harmless than another says, and none shows a secret.
    #[test]
    fn no_version_widens_what_another_allows(all in prop::collection::vec((0usize..3, any::<bool>(), any::<bool>()), 1..5)) {
        let effects = ["read", "idempotent", "write"];
        let schemas: Vec<AgentSchema> = all
            .iter()
            .map(|(effect, secret, default)| {
                let extra = if *default { json!({ "default": "a" }) } else { json!({}) };
                let mut input = text_input(&extra);
                input["secret"] = json!(secret);
                schema(&format!("{effect}{secret}{default}"), effects[*effect], &json!({ "a": input }))
            })
            .collect();
        let joined = learnt(&schemas.iter().map(Some).collect::<Vec<_>>()).definition("ours").unwrap();
        let action = joined.action("go").unwrap();
        let strictest = all.iter().map(|(effect, ..)| *effect).max().unwrap();
        prop_assert_eq!(action.effect, [Effect::Read, Effect::Idempotent, Effect::Write][strictest]);
        let input = action.input("a").unwrap();
        prop_assert_eq!(input.secret, all.iter().any(|(_, secret, _)| *secret));
        prop_assert_eq!(input.default.is_some(), all.iter().all(|(.., default)| *default));
    }
}

#[test]
fn nodes_do_not_change_what_the_program_and_the_project_describe() {
    let fleet = learnt(&[Some(&schema("1", "read", &json!({})))]);
    let mut schemas = Schemas::builtin().unwrap();
    schemas.set_fleet(fleet.clone());
    assert_eq!(schemas.origin("ours"), Some(Origin::Fleet));
    assert_eq!(schemas.origin("service"), Some(Origin::BuiltIn));
    let mut schemas = Schemas::builtin().unwrap();
    schemas.add(schema("9", "write", &json!({})));
    schemas.set_fleet(fleet);
    assert_eq!(schemas.origin("ours"), Some(Origin::Folder));
    assert_eq!(schemas.get("ours").unwrap().version, "9");
    schemas.set_fleet(FleetAgents::default());
    assert_eq!(schemas.get("ours").unwrap().version, "9");
}

#[test]
fn a_roster_that_is_as_it_was_changes_nothing_and_what_is_gone_is_forgotten() {
    let (_, one) = listed(&[("ours", &schema("1", "read", &json!({})))]);
    let (_, other) = listed(&[("ours", &schema("2", "read", &json!({})))]);
    let mut index = Index::default();
    assert_eq!(index.follow(&[card("n1", one), card("n2", other)]), Changed::Agents);
    assert_eq!(index.follow(&[card("n1", one), card("n2", other)]), Changed::Nothing);
    let mut index = Index::parse(&index.to_text()).unwrap();
    assert_eq!(index.follow(&[card("n1", one), card("n2", other)]), Changed::Nothing);
    assert_eq!(index.follow(&[card("n1", one), card("n2", other), card("n3", one)]), Changed::Nodes);
    assert_eq!(index.follow(&[card("n1", one), card("n3", one)]), Changed::Agents);
    assert_eq!(index.groups.len(), 1);
    assert_eq!(index.groups[0].nodes, "n[1,3]");
    // Asked once, a node is left alone for a while, whatever becomes of the clock.
    let group = &mut index.groups[0];
    assert!(group.may_be_asked(10_000) && !group.may_be_asked(10_100) && group.may_be_asked(10_700));
    assert!(group.may_be_asked(5));
}

#[test]
fn names_of_facts_are_forgotten_when_nobody_tells_them() {
    let (mut index, day) = (Index::default(), 24 * 3600);
    let facts = Digest::of(b"a");
    index.add_facts(facts, ["os".to_owned(), "role".to_owned()], 100 * day);
    assert!(index.knows_facts(facts, 101 * day) && !index.knows_facts(facts, 140 * day));
    index.add_facts(facts, ["os".to_owned()], 140 * day);
    index.add_facts(facts, ["os".to_owned()], 150 * day);
    assert_eq!(index.fact_names().collect::<Vec<_>>(), ["os"]);
}

#[test]
fn what_two_have_learnt_is_put_together() {
    let schema = schema("1", "read", &json!({}));
    let (list, digest) = listed(&[("ours", &schema)]);
    let (mut one, mut other) = (Index::default(), Index::default());
    for index in [&mut one, &mut other] {
        index.follow(&[card("n1", digest)]);
    }
    assert!(other.groups[0].take(&list));
    other.add_facts(Digest::of(b"f"), ["rack".to_owned()], 0);
    one.merge(other);
    assert!(one.is_complete());
    assert_eq!(one.fact_names().collect::<Vec<_>>(), ["rack"]);
}

#[test]
fn files_are_looked_at_when_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("orch");
    let (schema, store) = (schema("1", "read", &json!({})), || Store::new(Some(home.clone())));
    let (text, digest) = (schema.canonical(), Digest::of(schema.canonical().as_bytes()));
    store().keep_schema(&text);
    assert_eq!(store().text(digest).as_deref(), Some(text.as_str()));
    let file = home.join(format!("schemas/{digest}.json"));
    for broken in ["", "{", &text.replace("ours", "sour"), &" ".repeat(600 * 1024)] {
        std::fs::write(&file, broken).unwrap();
        assert!(!store().has(digest));
    }
    // Where others may write, nothing is read; nothing is written there either.
    store().keep_schema(&text);
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(!store().has(digest));
    let key = FleetKey::new(b"ca", "b:1", &CollectiveName::main());
    store().keep_index(key, "{}");
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(store().index(key).is_none() && store().has(digest));
    assert_ne!(key, FleetKey::new(b"cab", ":1", &CollectiveName::main()));
}

proptest! {
    #[test]
    fn no_text_is_too_broken_to_be_no_index(text in ".{0,200}", cut in 0usize..400) {
        let mut index = Index::default();
        index.follow(&[card("n1", Digest::of(text.as_bytes()))]);
        let whole = index.to_text();
        prop_assert!(Index::parse(&whole).is_some());
        let _ = Index::parse(&text);
        let half: String = whole.chars().take(cut).collect();
        prop_assert!(half == whole || Index::parse(&half).is_none());
    }
}
