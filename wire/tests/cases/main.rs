//! The cases of behaviour in `tests/cases/cases.jsonl`: what MCollective and its plugins
//! do, with their defects put right. Every line of a group named here must hold.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy only knows by their attribute")]

mod agent;
mod nodes;
mod policy;
mod query;
mod schema;
mod setting;

use serde::Deserialize;

/// Cases of the groups below that other crates answer.
const ELSEWHERE: [(&str, &str); 1] = [("DS-11", "a flag without its file is the command line's to refuse")];

#[derive(Deserialize)]
struct Case {
    id: String,
    group: String,
    input: String,
    expected: String,
}

#[test]
fn every_case_holds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases/cases.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let cases: Vec<Case> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut wrong = Vec::new();
    let mut held = 0;
    for case in &cases {
        if ELSEWHERE.iter().any(|(id, _)| *id == case.id) {
            continue;
        }
        let verdict = match case.group.as_str() {
            "FP" => query::fact_parsing(case),
            "FC" => query::fact_comparison(case),
            "CI" | "CF" => query::flags(case),
            "CT" => query::truth(case),
            "CP" => query::parsing(case),
            "DV" => schema::validation(case),
            "TC" => schema::conversion(case),
            "AG" => schema::aggregation(case),
            "DS" => nodes::lists(case),
            "LB" => nodes::portions(case),
            "ID" => nodes::names(case),
            "AP" => policy::decisions(case),
            group => Err(format!("no such group: {group}")),
        };
        match verdict {
            Ok(()) => held += 1,
            Err(message) => {
                wrong.push(format!("{}: {} -> {}: {message}", case.id, case.input, case.expected))
            }
        }
    }
    assert!(wrong.is_empty(), "{} held, these did not:\n{}", held, wrong.join("\n"));
    assert!(held > 160, "only {held} cases were looked at");
}

/// Compares what came with what was expected.
fn same(found: impl AsRef<str>, expected: &str) -> Result<(), String> {
    let found = found.as_ref();
    if found == expected { Ok(()) } else { Err(format!("found {found}")) }
}

/// The quoted texts in a line, read as JSON strings.
fn quoted(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find('"') {
        let mut stream = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<String>();
        found.push(stream.next().unwrap().unwrap());
        rest = &rest[start + stream.byte_offset()..];
    }
    found
}
