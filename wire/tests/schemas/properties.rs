//! Validation equals a plain reference, conversion goes there and back, and nothing a file or a peer says does harm.

use orch_wire::schema::{AgentSchema, Validator};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{one_action, service};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,4}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Replaces the value at the `at`-th place of a tree.
fn replace(value: &mut Value, at: &mut usize, with: &Value) {
    if *at == 0 {
        *value = with.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Array(list) => list.iter_mut().for_each(|inner| replace(inner, at, with)),
        Value::Object(map) => map.values_mut().for_each(|inner| replace(inner, at, with)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_schema_panics(mut at in 0usize..60, with in any_json(), given in any_json()) {
        let mut source = service().source;
        replace(&mut source, &mut at, &with);
        match AgentSchema::from_value(source) {
            Ok(schema) => for action in schema.actions.values() {
                let given = Map::from_iter([("service".to_owned(), given.clone()), ("token".to_owned(), given.clone())]);
                let _ = action.validate(&given);
                for aggregate in &action.aggregates {
                    let _ = aggregate.compute([&with, &Value::Null]);
                }
            },
            Err(errors) => prop_assert!(!errors.is_empty()),
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = (AgentSchema::from_json(&text), AgentSchema::from_toml(&text));
        if let Ok(validator) = Validator::parse(&text) {
            validator.accepts(&text);
        }
        for (_, action) in service().actions {
            for input in &action.inputs {
                let _ = input.coerce_text(&text);
            }
        }
    }

    /// What passes cannot break out of any quoting, nor add a word boundary but blanks.
    #[test]
    fn shellsafe_text_has_no_shell_characters(text in "[ -~\\n\\r\\t]{0,12}") {
        if Validator::parse("shellsafe").unwrap().accepts(&text) {
            prop_assert!(!text.contains(['`', '$', ';', '|', '&', '<', '>', '\n', '\r', '\'', '"', '\\', '(', '*']));
        }
    }
}

/// An input as a schema describes it, and as the reference checks it.
#[derive(Debug, Clone)]
struct Input {
    kind: &'static str,
    optional: bool,
    most: usize,
    /// Letters that may stand in a string.
    letters: &'static str,
    list: Vec<String>,
}

fn input() -> impl Strategy<Value = Input> {
    let kinds = ["string", "integer", "float", "number", "boolean", "list", "array", "hash", "any"];
    (
        prop::sample::select(kinds.to_vec()),
        any::<bool>(),
        0..4usize,
        prop::sample::select(vec!["ab", "a-c", "xyz"]),
        prop::collection::vec("[a-c]{1,2}", 1..4),
    )
        .prop_map(|(kind, optional, most, letters, list)| Input { kind, optional, most, letters, list })
}

fn described(input: &Input) -> Value {
    let mut fields =
        json!({"prompt": "p", "description": "d", "type": input.kind, "optional": input.optional});
    if input.kind == "string" {
        fields["validation"] = json!(format!("^[{}]*$", input.letters));
        fields["maxlength"] = json!(input.most);
    }
    if input.kind == "list" {
        fields["list"] = json!(input.list);
    }
    fields
}

/// Whether a value passes, in the plainest way.
fn passes(input: &Input, value: &Value) -> bool {
    match (input.kind, value) {
        ("string", Value::String(text)) => {
            let allowed = match input.letters {
                "ab" => "ab",
                "a-c" => "abc",
                other => other,
            };
            (input.most == 0 || text.chars().count() <= input.most)
                && text.chars().all(|c| allowed.contains(c))
        }
        ("list", Value::String(text)) => input.list.contains(text),
        ("integer", Value::Number(number)) => {
            number.as_f64().is_some() && !number.to_string().contains(['.', 'e'])
        }
        ("float", Value::Number(number)) => number.to_string().contains(['.', 'e']),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) | ("array", Value::Array(_)) => true,
        ("hash", Value::Object(_)) | ("any", _) => true,
        _ => false,
    }
}

fn argument() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => "[a-c]{0,4}".prop_map(Value::from),
        1 => "[a-z\n]{0,4}".prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => (-50..50i32).prop_map(|n| json!(f64::from(n) / 4.0)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => prop::collection::vec(any::<i8>(), 0..3).prop_map(Value::from),
        1 => Just(json!({"a": 1})),
    ]
}

proptest! {
    #[test]
    fn validation_equals_a_plain_reference(
        inputs in prop::collection::vec(input(), 1..4),
        given in prop::collection::vec(prop::option::of(argument()), 4),
        stranger in any::<bool>(),
        open in any::<bool>(),
    ) {
        let names = ["one", "two", "three", "four"];
        let fields: Map<String, Value> =
            names.iter().zip(&inputs).map(|(name, input)| ((*name).to_owned(), described(input))).collect();
        let schema = one_action(open, Value::Object(fields), json!({}), json!([]));
        let mut arguments = Map::new();
        for ((name, value), _) in names.iter().zip(&given).zip(&inputs) {
            arguments.extend(value.clone().map(|value| ((*name).to_owned(), value)));
        }
        if stranger {
            arguments.insert("stranger".into(), json!(1));
        }
        let mut wrong = usize::from(stranger && !open);
        for (name, input) in names.iter().zip(&inputs) {
            wrong += match arguments.get(*name) {
                Some(value) => usize::from(!passes(input, value)),
                None => usize::from(!input.optional),
            };
        }
        let found = schema.actions["act"].validate(&arguments).map_or_else(|faults| faults.len(), |()| 0);
        prop_assert_eq!(found, wrong, "{:?} {:?}", inputs, arguments);
    }

    /// What the text of a value is converted to is the value, for every type whose text names it.
    #[test]
    fn conversion_of_a_text_gives_the_value_back(whole in any::<i64>(), eighths in any::<i32>(), flag in any::<bool>(), text in "\\PC{0,8}") {
        // Such numbers are exact in both notations.
        let float = f64::from(eighths) / 8.0;
        let field = |kind: &str| json!({"prompt": "p", "description": "d", "type": kind, "optional": true});
        let fields = json!({
            "i": field("integer"), "f": field("float"), "n": field("number"), "b": field("boolean"),
            "a": field("array"), "h": field("hash"), "any": field("any"),
        });
        let schema = one_action(false, fields, json!({}), json!([]));
        let act = &schema.actions["act"];
        for (input, value) in [
            ("i", json!(whole)),
            ("n", json!(whole)),
            ("f", json!(float)),
            ("n", json!(float)),
            ("b", json!(flag)),
            ("a", json!([whole, text])),
            ("h", json!({"key": text, "other": [float]})),
        ] {
            let back = act.coerce_text(input, &value.to_string()).unwrap();
            prop_assert_eq!(&back, &value);
            prop_assert!(act.validate(&Map::from_iter([(input.to_owned(), back)])).is_ok());
        }
        prop_assert_eq!(act.coerce_text("any", &text).unwrap(), json!(text));
    }

    /// An average and a sum are those of plain arithmetic, whatever stands between the numbers.
    #[test]
    fn numbers_are_computed_as_by_hand(numbers in prop::collection::vec(prop::option::of(-1000..1000i64), 0..12)) {
        let output = json!({"v": {"description": "d", "display_as": "V"}});
        let functions = ["sum", "average", "min", "max"];
        let list: Vec<Value> = functions.iter().map(|name| json!({"function": name, "args": ["v", {"format": "%s"}]})).collect();
        let schema = one_action(false, json!({}), output, json!(list));
        let values: Vec<Value> = numbers.iter().map(|number| json!(number)).collect();
        let there: Vec<i64> = numbers.iter().flatten().copied().collect();
        let texts: Vec<String> = schema.actions["act"]
            .aggregates
            .iter()
            .map(|aggregate| aggregate.compute(&values).unwrap().text)
            .collect();
        let Some(least) = there.iter().min() else {
            prop_assert_eq!(texts, ["", "", "", ""]);
            return Ok(());
        };
        let sum: i64 = there.iter().sum();
        let mean = json!(sum as f64 / there.len() as f64).to_string();
        prop_assert_eq!(texts, [sum.to_string(), mean, least.to_string(), there.iter().max().unwrap().to_string()]);
    }
}
