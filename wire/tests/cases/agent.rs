//! The agent of the DV cases; the runner's tests write it to a file for the command.

use serde_json::{Value, json};

/// The schema that the DV cases speak of.
pub(crate) fn source() -> Value {
    let input = |fields: Value| {
        let mut input = json!({"prompt": "p", "description": "d", "optional": true});
        input.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        input
    };
    let string = |validation: &str, maxlength: u32| {
        input(json!({"type": "string", "validation": validation, "maxlength": maxlength}))
    };
    let typed = |kind: &str| input(json!({"type": kind}));
    let mut need = string("^[a-z]+$", 5);
    need["optional"] = json!(false);
    need["default"] = json!("dflt");
    let mut opt = string("^[a-z]+$", 5);
    opt["default"] = json!("odef");
    json!({
        "metadata": {"name": "a", "description": "d", "author": "x", "license": "MIT", "version": "1.0.0",
                     "url": "https://example.com", "timeout": 10},
        "actions": [
            {"action": "act", "description": "d", "input": {
                "s": string("^[a-z]+$", 5), "free": string(".", 0), "safe": string("shellsafe", 50),
                "ip4": string("ipv4address", 50), "ip6": string("ipv6address", 50), "long": string("^[a-z]+$", 0),
                "l": input(json!({"type": "list", "list": ["start", "stop"]})), "b": typed("boolean"),
                "i": typed("integer"), "f": typed("float"), "n": typed("number"),
            }, "output": {"v": {"description": "d", "display_as": "V"}}},
            {"action": "req", "description": "d", "input": {"need": need, "opt": opt}},
        ],
    })
}
