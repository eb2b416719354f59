//! Data functions: what their schemas let pass, and what an explanation says of them and of facts.

use orch_wire::query::{
    DataFunction, DataFunctions, Explanation, FaultKind, Finding, NodeView, Query, filter::Filter,
};
use serde_json::{Value, json};

fn document() -> Value {
    let output = |kind: &str| json!({"description": "d", "display_as": "D", "type": kind});
    json!({
        "metadata": {"name": "probe", "description": "d", "author": "x", "license": "MIT", "version": "1.0.0",
                     "url": "https://example.com", "timeout": 5, "aliases": ["sonde"]},
        "data": {
            "input": {"query": {"prompt": "p", "description": "what to look at", "type": "string", "optional": false,
                                "validation": "^[a-z]+$", "maxlength": 5}},
            "output": {"text": output("string"), "count": output("integer"), "load": output("float"),
                       "on": output("boolean"), "any": output("any")},
        },
    })
}

fn functions() -> DataFunctions {
    let mut functions = DataFunctions::default();
    functions.add(DataFunction::from_value(&document()).unwrap());
    let mut clock = document();
    clock["metadata"]["name"] = json!("clock");
    clock["metadata"]["aliases"] = json!([]);
    clock["data"] = json!({"output": {"hour": {"description": "d", "display_as": "D", "type": "integer"}}});
    functions.add(DataFunction::from_value(&clock).unwrap());
    functions
}

/// The place of each fault is marked in the text by `‹` and `›`.
#[test]
fn name_argument_output_and_value_are_checked() {
    use FaultKind::{NeverTrue, Refused, Unknown};
    for (marked, kind, message, help) in [
        ("‹prob›('a').count = 1", Unknown, "there is no data function `prob`", "did you mean `probe`?"),
        (
            "a = 1 or ‹foo›() = 1",
            Unknown,
            "there is no data function `foo`",
            "known are `clock`, `probe`, `sonde`",
        ),
        ("probe(‹'`id`'›).count = 1", Refused, "an argument must not hold a backtick", ""),
        ("probe(‹'A'›).count = 1", Refused, "the argument of `probe` must match `^[a-z]+$`", ""),
        (
            "probe(‹'toolong'›).count = 1",
            Refused,
            "the argument of `probe` must have at most 5 characters, not 7",
            "",
        ),
        ("‹probe›().count = 1", Refused, "`probe` needs an argument: what to look at", "write `probe('…')`"),
        ("clock(‹'a'›).hour = 1", Refused, "`clock` takes no argument", "write `clock()`"),
        (
            "‹sonde›('a') = 1",
            Refused,
            "`sonde` has several outputs",
            "say which is meant: `text`, `count`, `load`, `on`, `any`",
        ),
        ("probe('a').‹cuont› = 1", Refused, "`probe` has no output `cuont`", "did you mean `count`?"),
        ("clock().‹x› = 1", Refused, "`clock` has no output `x`", "it has `hour`"),
        ("probe('a').count = ‹many›", Refused, "`count` is an integer, and `many` is none", "write a number"),
        (
            "probe('a').count != ‹1.5›",
            Refused,
            "`count` is an integer, and `1.5` is none",
            "write a whole number",
        ),
        ("probe('a').load < ‹'high'›", Refused, "`load` is a float, and `high` is none", "write a number"),
        (
            "probe('a').on=‹maybe›",
            Refused,
            "`on` is a boolean, and `maybe` is none",
            "write `true` or `false`",
        ),
        ("probe('a').text > ‹1›", NeverTrue, "`text` is a string, and only numbers have an order", ""),
        ("probe('a').on < ‹true›", NeverTrue, "`on` is a boolean, and only numbers have an order", ""),
        (
            "probe('a').count = ‹/1/›",
            NeverTrue,
            "`count` is an integer, and a regular expression matches only strings",
            "",
        ),
        (
            "é = ü and not ‹clokc›().hour = 1",
            Unknown,
            "there is no data function `clokc`",
            "did you mean `clock`?",
        ),
    ] {
        let text = marked.replace(['‹', '›'], "");
        let faults = Query::parse(&text).unwrap().check(&functions());
        let [fault] = faults.as_slice() else { panic!("{text}: {faults:?}") };
        assert_eq!(
            (fault.kind, fault.message.as_str(), fault.help.as_deref().unwrap_or("")),
            (kind, message, help),
            "{text}"
        );
        let start = marked.find('‹').unwrap();
        assert_eq!(fault.span, start..marked.find('›').unwrap() - '‹'.len_utf8(), "{text}");
        let filter = Filter { queries: vec!["a".into(), text.clone()], ..Filter::default() };
        assert_eq!(filter.check(&functions()), [(text.as_str(), fault.clone())]);
    }
    for well in [
        "probe('a').count = 0xa",
        "probe('a').count = 1e2",
        "probe('a').count < 1.5",
        "probe('a').load = 1",
        "probe('a').text = /x/",
        "probe(\"a\").any > x",
        "sonde('a').on != false",
        "clock() >= 12",
        "clock().hour = 1",
        "fact = probe",
    ] {
        assert_eq!(Query::parse(well).unwrap().check(&functions()), [], "{well}");
    }
    let all = Query::parse("prob('a').x = 1 and clock('a') = 1 and clock() = x").unwrap().check(&functions());
    assert_eq!(all.iter().map(|fault| fault.stops()).collect::<Vec<_>>(), [true; 3]);
}

#[test]
fn a_file_of_a_function_is_told_its_faults_by_field() {
    let faults = |change: fn(&mut Value)| {
        let mut document = document();
        change(&mut document);
        let faults = DataFunction::from_value(&document).unwrap_err();
        faults.iter().map(|fault| fault.field.clone()).collect::<Vec<_>>()
    };
    assert_eq!(faults(|d| d["data"] = json!(1)), ["data"]);
    assert_eq!(faults(|d| d["data"]["output"] = json!({})), ["data.output"]);
    assert_eq!(faults(|d| d["data"]["output"]["count"]["type"] = json!("int")), ["data.output.count.type"]);
    assert_eq!(
        faults(|d| d["data"]["input"]["query"]["maxlength"] = json!("a")),
        ["data.input.query.maxlength"]
    );
    assert_eq!(
        faults(|d| d["data"]["input"]["more"] = d["data"]["input"]["query"].clone()),
        ["data.input.more"]
    );
    assert_eq!(faults(|d| d["metadata"]["aliases"] = json!("a")), ["metadata.aliases"]);
    assert!(faults(|d| d["metadata"] = json!({})).contains(&"metadata.name".to_owned()));
    assert_eq!(DataFunction::from_json("{").unwrap_err()[0].field, "the file");
    assert!(
        DataFunction::is_described_by(&document()) && !DataFunction::is_described_by(&json!({"actions": []}))
    );
}

fn explained(text: &str) -> Explanation {
    let facts =
        json!({"os": {"family": "RedHat"}, "cpus": 8, "tags": ["a"], "none": [], "null": null, "name": "x"});
    let classes: Vec<String> =
        (0..30).map(|number| format!("role::{number}")).chain(["Apache".into()]).collect();
    let data = |function: &str, _: Option<&str>| {
        let outputs = json!({"text": "a", "count": 1, "on": true, "unset": null});
        (function == "probe").then(|| outputs.as_object().cloned()).flatten()
    };
    Query::parse(text).unwrap().explain(&NodeView {
        identity: "n1",
        facts: facts.as_object().unwrap(),
        classes: &classes,
        agents: &["node".to_owned()],
        collectives: &["main".to_owned()],
        data: Some(&data),
    })
}

#[test]
fn each_term_is_explained_by_what_the_node_has() {
    for (text, holds, value, note) in [
        ("cpus > 4", Some(true), "8", ""),
        ("os.family = redhat", Some(false), "\"RedHat\"", "they differ in case, which matters"),
        ("os = family", Some(true), "{\"family\":\"RedHat\"}", "a map is compared by its keys"),
        ("tags = a", Some(true), "[\"a\"]", "any element of the list may hold"),
        ("none != a", Some(false), "[]", "the list is empty"),
        ("name > 1", Some(true), "\"x\"", "compared as text, since not both are numbers"),
        ("null != a", Some(false), "null", "null is as if the fact were not there"),
        ("nofact != a", Some(false), "", "the node has no such fact"),
        ("identity = n1", Some(true), "\"n1\"", ""),
        ("agent = node", Some(true), "[\"node\"]", "any element of the list may hold"),
        ("Apache", Some(true), "\"Apache\"", ""),
        ("apache", Some(false), "", "the node has the class `Apache`, and case matters"),
        ("nginx", Some(false), "", "the node has no such class"),
        ("/^A/", Some(true), "[\"Apache\"]", ""),
        ("/^a/", Some(false), "", "no class of the node matches"),
        ("probe('x').count = 1", Some(true), "1", ""),
        ("probe('x').count = x", Some(false), "1", "`x` is no number"),
        ("probe('x').on = x", Some(false), "true", "`x` is neither `true` nor `false`"),
        ("probe('x').on > 1", Some(false), "true", "only numbers have an order"),
        ("probe('x').count = /1/", Some(false), "1", "a regular expression matches only strings"),
        ("probe('x').unset = 1", Some(false), "null", "the output is not set"),
        ("probe('x').nosuch = 1", Some(false), "", "the function gave no output `nosuch`"),
        ("probe('x') = 1", Some(false), "", "the function gave 4 outputs, and the term says none"),
        (
            "nosuch() = 1",
            None,
            "",
            "the node has no data function `nosuch`, so that the whole query is false",
        ),
        (
            "probe('`id`') = 1",
            None,
            "",
            "no data function is asked with a backtick, so that the whole query is false",
        ),
    ] {
        let explanation = explained(text);
        let Finding::Term { value: found, note: said, .. } = &explanation.finding else { panic!("{text}") };
        assert_eq!(explanation.holds, holds, "{text}");
        assert_eq!(found.as_ref().map_or(String::new(), |shown| shown.value.to_string()), value, "{text}");
        assert_eq!(said.as_deref().unwrap_or_default(), note, "{text}");
    }
    let Finding::Term { value: Some(shown), .. } = explained("/^role::/").finding else {
        panic!("classes match")
    };
    assert_eq!((shown.value.as_array().unwrap().len(), shown.cut), (20, true));
}

#[test]
fn what_cannot_be_told_leaves_the_whole_untold() {
    let whole = explained("Apache or not nosuch() = 1");
    assert_eq!((whole.holds, whole.is_match()), (None, false));
    let Finding::Any(parts) = &whole.finding else { panic!("{whole:?}") };
    assert_eq!(parts.iter().map(|part| part.holds).collect::<Vec<_>>(), [Some(true), None]);
    let Finding::Not(inner) = &parts[1].finding else { panic!("{whole:?}") };
    assert_eq!(inner.holds, None);
}
