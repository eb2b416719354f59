//! Decisions equal those of a decider that is written out plainly, and no text does harm.

use std::collections::BTreeMap;

use orch_wire::{
    caller::Caller,
    policy::{Effect, MAX_FINDINGS, Policies, Request, Settings},
    query::NodeView,
};
use proptest::prelude::*;
use serde_json::{Map, Value};

const NAMES: [&str; 5] = ["a", "ab", "b", "ops", "x.y"];
const ACTIONS: [&str; 3] = ["start", "star", "stop"];
const CLASSES: [&str; 3] = ["web", "web::x", "db"];

#[derive(Debug, Clone)]
enum Who {
    Any,
    Caller(&'static str),
    StartsWith(&'static str),
    Group(&'static str),
}

#[derive(Debug, Clone)]
enum About {
    Is(&'static str, i32),
    Above(&'static str, i32),
}

#[derive(Debug, Clone)]
enum Asked {
    Columns(Vec<About>, Vec<&'static str>),
    /// `not (FACT or CLASS)`
    Neither(About, &'static str),
    /// A function that no node has.
    Missing,
}

#[derive(Debug, Clone)]
struct Rule {
    allow: bool,
    who: Vec<Who>,
    /// Empty for any.
    actions: Vec<&'static str>,
    asked: Asked,
    noise: usize,
}

#[derive(Debug, Clone)]
struct Node {
    facts: BTreeMap<&'static str, i32>,
    classes: Vec<&'static str>,
}

fn one_of(from: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(from)
}

fn about() -> impl Strategy<Value = About> {
    prop_oneof![
        (one_of(&["cpus", "mem"]), -2..12).prop_map(|(fact, value)| About::Is(fact, value)),
        (one_of(&["cpus", "mem"]), -2..12).prop_map(|(fact, value)| About::Above(fact, value)),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let who = prop_oneof![
        1 => Just(Who::Any),
        4 => one_of(&NAMES).prop_map(Who::Caller),
        2 => one_of(&NAMES).prop_map(Who::StartsWith),
        2 => one_of(&["g1", "g2", "nobody"]).prop_map(Who::Group),
    ];
    let asked = prop_oneof![
        6 => (prop::collection::vec(about(), 0..3), prop::collection::vec(one_of(&CLASSES), 0..3))
            .prop_map(|(facts, classes)| Asked::Columns(facts, classes)),
        2 => (about(), one_of(&CLASSES)).prop_map(|(fact, class)| Asked::Neither(fact, class)),
        1 => Just(Asked::Missing),
    ];
    let actions = prop::collection::vec(one_of(&ACTIONS), 0..3);
    (any::<bool>(), prop::collection::vec(who, 1..4), actions, asked, 0..8usize)
        .prop_map(|(allow, who, actions, asked, noise)| Rule { allow, who, actions, asked, noise })
}

fn node() -> impl Strategy<Value = Node> {
    let facts = prop::collection::btree_map(one_of(&["cpus", "mem"]), -2..12, 0..3);
    (facts, prop::collection::vec(one_of(&CLASSES), 0..3))
        .prop_map(|(facts, classes)| Node { facts, classes })
}

/// As an administrator writes it, with more tabs and blanks than needed.
fn written(rule: &Rule) -> String {
    let term = |about: &About| match about {
        About::Is(fact, value) => format!("{fact}={value}"),
        About::Above(fact, value) => format!("{fact}>{value}"),
    };
    let joined = |words: Vec<String>| if words.is_empty() { "*".to_owned() } else { words.join(" ") };
    let who = rule.who.iter().map(|who| match who {
        Who::Any => "*".to_owned(),
        Who::Caller(name) => format!("cert={name}"),
        Who::StartsWith(name) => format!("/^cert={name}/"),
        Who::Group(name) => (*name).to_owned(),
    });
    let mut columns = vec![
        (if rule.allow { "allow" } else { "deny" }).to_owned(),
        joined(who.collect()),
        joined(rule.actions.iter().map(ToString::to_string).collect()),
    ];
    match &rule.asked {
        Asked::Columns(facts, classes) => {
            columns.push(joined(facts.iter().map(term).collect()));
            columns.push(joined(classes.iter().map(ToString::to_string).collect()));
        }
        Asked::Neither(fact, class) => columns.push(format!("not ({} or {class})", term(fact))),
        Asked::Missing => columns.push("not missing('x').y = 1".to_owned()),
    }
    let tabs = "\t".repeat(1 + rule.noise % 3);
    let comment = if rule.noise > 5 { "# said before\n\n" } else { "" };
    format!("{comment}{}{}", columns.join(&tabs), if rule.noise.is_multiple_of(2) { "" } else { "  \t" })
}

/// The same, decided in the plainest way.
fn plainly(
    rules: &[Rule],
    default: Option<bool>,
    groups: &BTreeMap<&str, Vec<&str>>,
    who: &str,
    action: &str,
    node: &Node,
) -> bool {
    let fact = |about: &About| match about {
        About::Is(fact, value) => node.facts.get(fact) == Some(value),
        About::Above(fact, value) => node.facts.get(fact).is_some_and(|have| have > value),
    };
    for rule in rules {
        let mut meant = false;
        for entry in &rule.who {
            meant |= match entry {
                Who::Any => true,
                Who::Caller(name) => *name == who,
                Who::StartsWith(name) => who.starts_with(name),
                Who::Group(name) => groups.get(name).is_some_and(|members| members.contains(&who)),
            };
        }
        let called = rule.actions.is_empty() || rule.actions.contains(&action);
        let holds = match &rule.asked {
            Asked::Columns(facts, classes) => {
                facts.iter().all(fact) && classes.iter().all(|class| node.classes.contains(class))
            }
            Asked::Neither(about, class) => !fact(about) && !node.classes.contains(class),
            Asked::Missing => !rule.allow,
        };
        if meant && called && holds {
            return rule.allow;
        }
    }
    default.unwrap_or(false)
}

fn decided(policies: &Policies, who: &str, action: &str, node: &Node) -> bool {
    let facts: Map<String, Value> =
        node.facts.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let classes: Vec<String> = node.classes.iter().map(ToString::to_string).collect();
    let view = NodeView {
        identity: "n",
        facts: &facts,
        classes: &classes,
        agents: &[],
        collectives: &[],
        data: None,
    };
    let caller = Caller::parse(&format!("cert={who}")).unwrap();
    let request = Request { caller: &caller, agent: "svc", action };
    let explained = policies.explain(&request, &view);
    assert_eq!(explained.decision, policies.decide(&request, &view));
    explained.decision.effect == Effect::Allow
}

proptest! {
    #[test]
    fn decisions_equal_those_made_plainly(
        rules in prop::collection::vec(rule(), 0..8),
        default in prop::option::of(any::<bool>()),
        at in 0..8usize,
        g1 in prop::collection::vec(one_of(&NAMES), 1..4),
        who in one_of(&NAMES),
        action in one_of(&ACTIONS),
        node in node(),
    ) {
        let mut lines: Vec<String> = rules.iter().map(written).collect();
        if let Some(allow) = default {
            let word = if allow { "allow" } else { "deny" };
            lines.insert(at.min(lines.len()), format!("policy default {word}"));
        }
        let groups = BTreeMap::from([("g1", g1), ("g2", vec!["b"])]);
        let listed: String = groups
            .iter()
            .map(|(name, members)| format!("{name} cert={}\n", members.join(" cert=")))
            .collect();
        let mut policies = Policies::new(Settings::default());
        policies.add("svc.policy", &lines.join("\n"));
        policies.add("groups", &listed);
        prop_assert!(policies.faults().is_empty(), "{:?}", policies.faults());
        let expected = plainly(&rules, default, &groups, who, action, &node);
        prop_assert_eq!(decided(&policies, who, action, &node), expected, "{}", lines.join("\n"));
    }

    /// A line that does not parse is never passed over.
    #[test]
    fn a_line_at_fault_denies_wherever_it_stands(rules in prop::collection::vec(rule(), 0..4), at in 0..4usize) {
        let mut lines: Vec<String> = rules.iter().map(written).collect();
        lines.insert(0, "allow\t*\t*\t*\t*".into());
        lines.insert((at + 1).min(lines.len()), "deny cert=a\t*\t*\t*".into());
        let mut policies = Policies::new(Settings { default_file: true, unconfigured: Effect::Allow });
        policies.add("svc.policy", &lines.join("\n"));
        let node = Node { facts: BTreeMap::new(), classes: Vec::new() };
        prop_assert!(!decided(&policies, "b", "start", &node));
    }

    #[test]
    fn no_text_panics(text in "(\\PC|[\t\n =()/'\"#!*]|allow\t|deny\t|policy default |and |\\*\t){0,60}") {
        let mut policies = Policies::new(Settings::default());
        policies.add("svc.policy", &text);
        policies.add("groups", &text);
        let node = Node { facts: BTreeMap::new(), classes: Vec::new() };
        let allowed = decided(&policies, "a", "start", &node);
        prop_assert!(!allowed || policies.faults_for("svc").is_empty());
        let lines: Vec<&str> = text.split('\n').collect();
        for finding in policies.faults().into_iter().chain(policies.warnings()) {
            let line = finding.line.checked_sub(1).map_or("", |at| lines[at]);
            prop_assert!(finding.line == 0 || finding.column + finding.length <= line.chars().count() + 1);
            prop_assert!(!finding.message.is_empty());
        }
        prop_assert!(policies.faults().len() <= 2 * (MAX_FINDINGS + 1));
    }
}
