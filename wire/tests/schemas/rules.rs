//! Schemas: what loads, what is refused and how it is said.

use orch_wire::schema::{AgentSchema, Aggregate, AggregateValue, Effect, FaultKind, Provider, Validator};
use serde_json::{Map, Value, json};

use super::{arguments, service};

#[test]
fn toml_and_json_load_alike() {
    let schema = service();
    let json = serde_json::to_string(&schema).unwrap();
    assert_eq!(AgentSchema::from_json(&json).unwrap(), schema);
    assert_eq!(serde_json::from_str::<AgentSchema>(&json).unwrap(), schema);
    assert_eq!(
        (schema.timeout.as_secs_f64(), schema.provider, schema.open_inputs),
        (60.5, Provider::Builtin, false)
    );
    let (status, login) = (&schema.actions["status"], &schema.actions["login"]);
    assert!(!status.is_write() && login.is_write());
    assert_eq!((login.effect, login.dry_run), (Effect::Write, true));
    assert_eq!(Value::Object(status.output_defaults()), json!({"status": "unknown", "since": null}));
    let secret = arguments(json!({"token": "s3cret"}));
    assert!(login.has_secret(&secret));
    assert_eq!(Value::Object(login.masked(secret)), json!({"token": "***"}));
}

#[test]
fn every_fault_of_a_file_is_named() {
    let text = super::SERVICE
        .replace("author = \"orch\"\n", "")
        .replace("timeout = 60.5", "timeout = \"soon\"")
        .replace("effect = \"read\"", "effect = \"maybe\"")
        .replace("'^[a-zA-Z0-9@._-]+$'", "'^(?!x)a'")
        .replace("maxlength = 90\n", "")
        .replace("display_as = \"Since\"", "")
        .replace("args = [\"status\"]", "args = [\"stat\"]")
        .replace("action = \"login\"", "action = \"log in\"");
    let errors = AgentSchema::from_toml(&text).unwrap_err();
    let mut lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "actions.status.aggregate[0]: `stat` is no output of the action",
            "actions.status.effect: must be one of read, idempotent, write",
            "actions.status.input.service.maxlength: is missing: the most characters, 0 for no limit",
            "actions.status.input.service.validation: the look-around `(?!` is not supported, since every expression \
             must run in linear time",
            "actions.status.output.since.display_as: is missing",
            "actions[1].action: must be 1 to 64 letters, digits, `_` or `-`",
            "metadata.author: is missing",
            "metadata.timeout: must be a number of seconds, above 0 and at most a week",
        ]
    );
    let twice = super::SERVICE.replace("\"login\"", "\"status\"");
    assert_eq!(
        AgentSchema::from_toml(&twice).unwrap_err()[0].to_string(),
        "actions.status: stands there twice"
    );
}

#[test]
fn faults_say_what_would_be_right() {
    let schema = service();
    let status = &schema.actions["status"];
    let said = |value| {
        let faults = status.validate(&arguments(value)).unwrap_err();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(said(json!({})), ["`service` is missing: Name of the service"]);
    assert_eq!(said(json!({"service": 3})), ["`service` must be a string, not an integer"]);
    assert_eq!(
        said(json!({"service": "a", "servcie": "b"})),
        ["`servcie` is no input of `status`; did you mean `service`?"]
    );
    assert_eq!(said(json!({"service": "a", "q": "b"})), ["`q` is no input of `status`; it has `service`"]);
    assert_eq!(said(json!({"service": "a b"})), ["`service` must match `^[a-zA-Z0-9@._-]+$`"]);
    assert_eq!(
        said(json!({"service": "é".repeat(91)}))[0],
        "`service` must have at most 90 characters, not 91"
    );
    assert!(status.validate(&arguments(json!({"service": "sshd@1.service"}))).is_ok());
}

#[test]
fn open_inputs_pass_what_is_not_described() {
    let open = super::SERVICE.replace("provider = \"builtin\"", "open_inputs = true");
    let schema = AgentSchema::from_toml(&open).unwrap();
    let status = &schema.actions["status"];
    assert!(status.validate(&arguments(json!({"service": "a", "more": [1]}))).is_ok());
    assert_eq!(status.coerce_text("more", "1").unwrap(), json!("1"));
}

#[test]
fn anchors_are_those_of_the_whole_value() {
    for source in ["^[a-z]+$", r"\A[a-z]+\Z", r"(?m)^[a-z]+$", r"\A[a-z]+\z"] {
        let validator = Validator::parse(source).unwrap();
        assert!(validator.accepts("abc"), "{source}");
        for bad in ["abc\n", "abc\nDEF;rm", "DEF\nabc", "\nabc", ""] {
            assert!(!validator.accepts(bad), "{source} {bad:?}");
        }
    }
    assert!(Validator::parse(r"[$^]\$").unwrap().accepts("a^$b"));
    assert!(Validator::parse("b+").unwrap().accepts("abc"));
}

#[test]
fn named_validators_check_what_they_say() {
    let accepts = |name: &str, text: &str| Validator::parse(name).unwrap().accepts(text);
    for safe in ["ls -l", "nginx", "1.2~rc1-1+b2", "/usr/bin/x,y", "a=b", "a#b", "50%", "tab\there"] {
        assert!(accepts("shellsafe", safe), "{safe}");
    }
    for unsafe_text in [
        "a;b", "a&b", "a|b", "a`b", "$x", "a>b", "a<b", "a\nb", "a\rb", "(a)", "a*", "a?", "[a]", "{a}",
        "'a'", "\"a\"", "a\\b", "!a", "~root", "x ~root", "#a", "a #b", "a\0b", "PATH=~/x",
    ] {
        assert!(!accepts("shellsafe", unsafe_text), "{unsafe_text:?}");
    }
    for (name, good, bad) in [
        ("ipv4address", "10.0.0.1", "10.0.0.1/8"),
        ("ipv6address", "fe80::1", "fe80::1/64"),
        ("ipaddress", "::1", "localhost"),
        ("ipv4address", "0.0.0.0", "010.0.0.1"),
        ("integer", "-5", "5.0"),
        ("float", "5.0", "5"),
        ("number", "5", "x"),
        ("boolean", "true", "yes"),
        ("array", "[1]", "{}"),
        ("hash", "{}", "[]"),
    ] {
        assert!(accepts(name, good) && !accepts(name, bad), "{name}");
    }
}

#[test]
fn text_becomes_typed_values() {
    let field = |kind: &str| json!({"prompt": "p", "description": "d", "type": kind, "optional": true});
    let mut all = service().source;
    all["actions"][0]["input"] = json!({
        "i": field("integer"), "f": field("float"), "n": field("number"), "b": field("boolean"), "a": field("array"),
        "h": field("hash"), "any": field("any"),
        "l": {"prompt": "p", "description": "d", "type": "list", "optional": true, "list": ["on", 5]},
    });
    let schema = AgentSchema::from_value(all).unwrap();
    let status = &schema.actions["status"];
    for (input, text, value) in [
        ("i", "-5", json!(-5)),
        ("i", "18446744073709551615", json!(18446744073709551615_u64)),
        ("f", "1", json!(1.0)),
        ("f", "-1e3", json!(-1000.0)),
        ("n", "-1", json!(-1)),
        ("n", "-.5", json!(-0.5)),
        ("b", "NO", json!(false)),
        ("b", "T", json!(true)),
        ("a", "[1]", json!([1])),
        ("h", "{\"a\":1}", json!({"a": 1})),
        ("any", "1", json!("1")),
        ("l", "5", json!(5)),
        ("l", "on", json!("on")),
        ("l", "off", json!("off")),
    ] {
        assert_eq!(status.coerce_text(input, text).unwrap(), value, "{input}={text}");
    }
    for (input, text) in [
        ("i", "1.5"),
        ("i", ""),
        ("f", "nan"),
        ("f", "1e999"),
        ("n", "0x1"),
        ("b", "on"),
        ("a", "{}"),
        ("h", "x"),
        ("nosuch", "1"),
    ] {
        assert!(status.coerce_text(input, text).is_err(), "{input}={text}");
    }
    let faults = status.coerce_texts([("i", "x"), ("b", "y"), ("zz", "1")]).unwrap_err();
    assert_eq!(
        faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(),
        [FaultKind::Type, FaultKind::Unknown]
    );
    assert_eq!(
        Value::Object(status.coerce_texts([("i", "1"), ("b", "y")]).unwrap()),
        json!({"i": 1, "b": true})
    );
}

#[test]
fn defaults_fill_required_inputs_only() {
    let mut all = service().source;
    all["actions"][0]["input"]["service"]["default"] = json!("cron");
    all["actions"][1]["input"]["token"]["default"] = json!("t");
    let schema = AgentSchema::from_value(all).unwrap();
    assert_eq!(Value::Object(schema.actions["status"].with_defaults(Map::new())), json!({"service": "cron"}));
    assert_eq!(Value::Object(schema.actions["login"].with_defaults(Map::new())), json!({}));
    let given = arguments(json!({"service": "x"}));
    assert_eq!(schema.actions["status"].with_defaults(given.clone()), given);
}

fn aggregate(function: &str, options: Value) -> Aggregate {
    let mut all = service().source;
    all["actions"][0]["aggregate"] = json!([{"function": function, "args": ["status", options]}]);
    AgentSchema::from_value(all).unwrap().actions["status"].aggregates[0].clone()
}

#[test]
fn aggregates_compute() {
    let text = |function: &str, values: Value| {
        let result = aggregate(function, json!({})).compute(values.as_array().unwrap());
        result.map_or_else(|error| error.to_string(), |result| result.text)
    };
    assert_eq!(
        text("summary", json!(["b", "long", "b", null, 1, "1"])),
        "   b = 2\n   1 = 1\n   1 = 1\nlong = 1"
    );
    assert_eq!(text("boolean_summary", json!([false, true, false])), "false = 2\n true = 1");
    assert_eq!(text("sum", json!([1, 2, null])), "Sum of status: 3.000000");
    assert_eq!(text("min", json!([2, -1.5, 3])), "Min of status: -1.500000");
    assert_eq!(
        text("max", json!([2, 9007199254740993_u64, 9007199254740992_u64])),
        "Max of status: 9007199254740992.000000"
    );
    assert_eq!(text("average", json!([])), "");
    assert_eq!(
        text("nagios_states", json!([1])),
        "nagios_states of `status` could not be computed: no such function is known"
    );
    let sum = aggregate("sum", json!({"format": "%d of %d"}));
    assert!(sum.compute(&[json!(1)]).is_err());
    let most = aggregate("max", json!({}))
        .compute(&[json!(9007199254740993_u64), json!(9007199254740992_u64)])
        .unwrap();
    assert_eq!(most.value, AggregateValue::Number(9007199254740993_u64.into()));
    let huge =
        aggregate("sum", json!({})).compute(&[json!(i64::MAX), json!(i64::MAX), json!(i64::MAX)]).unwrap();
    assert!(matches!(huge.value, AggregateValue::Number(number) if number.is_f64()));
}
