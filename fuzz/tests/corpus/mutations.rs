//! The corpus, truncated, flipped and joined: what a second of a fuzzer would try first.

use std::panic::catch_unwind;

use orch_fuzz::{Body, TARGETS};

use super::entries;

/// Places at which an input is changed, spread over its length.
const PLACES: usize = 48;

#[test]
fn body() {
    run("body");
}

#[test]
fn card() {
    run("card");
}

#[test]
fn chunks() {
    run("chunks");
}

#[test]
fn config() {
    run("config");
}

#[test]
fn control() {
    run("control");
}

#[test]
fn frames() {
    run("frames");
}

#[test]
fn header() {
    run("header");
}

#[test]
fn nodeset() {
    run("nodeset");
}

#[test]
fn policy() {
    run("policy");
}

#[test]
fn query() {
    run("query");
}

#[test]
fn schema() {
    run("schema");
}

fn run(target: &str) {
    let (_, body) = TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let entries = entries(target);
    assert!(!entries.is_empty(), "no corpus of {target}");
    hold(body, target, b"");
    for (at, (name, bytes)) in entries.iter().enumerate() {
        hold(body, &format!("{target}/{name}"), bytes);
        for (change, mutated) in mutations(bytes) {
            hold(body, &format!("{target}/{name}, {change}"), &mutated);
        }
        let (other, more) = &entries[(at + 1) % entries.len()];
        hold(body, &format!("{target}/{name} and {other}"), &[bytes.as_slice(), more].concat());
    }
}

/// A panic of a body does not say which input it had: this does, so that it can be kept.
fn hold(body: Body, what: &str, bytes: &[u8]) {
    let held = catch_unwind(|| body(bytes)).is_ok();
    assert!(held, "{what}: {}", bytes.escape_ascii());
}

fn mutations(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut mutations = Vec::new();
    for place in 0..PLACES.min(bytes.len()) {
        let at = place * bytes.len() / PLACES.min(bytes.len());
        mutations.push((format!("cut at {at}"), bytes[..at].to_vec()));
        let mut changed = |how: &str, new: u8| {
            let mut mutated = bytes.to_vec();
            mutated[at] = new;
            mutations.push((format!("{how} at {at}"), mutated));
        };
        changed("a bit flipped", bytes[at] ^ (1 << (place % 8)));
        changed("ones", 0xff);
        let mut twice = bytes.to_vec();
        twice.insert(at, bytes[at]);
        mutations.push((format!("twice at {at}"), twice));
    }
    mutations
}
