use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use orch_wire::body::Ending;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;

fn errand(args: Value, dry_run: bool) -> Errand {
    Errand {
        args: args.as_object().cloned().unwrap(),
        dry_run,
        caller: "alice".to_owned(),
        state_dir: Arc::default(),
        limit: Duration::from_secs(60),
        began: Instant::now(),
        stop: CancellationToken::new(),
    }
}

fn answer(act: fn(&Errand) -> Done<Answer>, args: Value) -> Answer {
    act(&errand(args, false)).unwrap_or_else(|answer| *answer)
}

fn ok(act: fn(&Errand) -> Done<Answer>, args: Value) -> Value {
    let answer = answer(act, args);
    assert_eq!(answer.ending, Some(Ending::Ok), "{answer:?}");
    Value::Object(answer.data)
}

/// A process of this test's own, told from others by how long it sleeps.
struct Sleeper {
    child: Child,
    span: String,
}

impl Sleeper {
    fn new(number: u32) -> Self {
        let span = format!("{}.{number}", 100_000 + std::process::id());
        let child = Command::new("sleep").arg(&span).spawn().unwrap();
        // A process that has just been made shows its maker's command line for a moment.
        let begun = std::time::Instant::now();
        let me = i32::try_from(child.id()).unwrap();
        while Table::of_this_node().process(me).unwrap().command != format!("sleep {span}") {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not show");
            std::thread::yield_now();
        }
        Self { child, span }
    }

    fn pattern(&self) -> String {
        format!("^sleep {}$", self.span)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn processes_are_listed_and_counted() {
    let sleeper = Sleeper::new(1);
    let found = ok(list, json!({"pattern": sleeper.pattern()}));
    let process = &found["processes"][0];
    assert_eq!((&found["count"], &process["pid"]), (&json!(1), &json!(sleeper.child.id())));
    assert_eq!((&process["ppid"], &process["state"]), (&json!(std::process::id()), &json!("S")));
    let user = process["user"].clone();
    assert_eq!(ok(count, json!({"pattern": sleeper.pattern(), "user": user}))["count"], 1);
    assert_eq!(ok(count, json!({"pattern": sleeper.pattern(), "user": "3999999999"}))["count"], 0);
    let few = ok(list, json!({"limit": 1}));
    assert!(few["processes"].as_array().unwrap().len() == 1 && few["count"].as_u64().unwrap() > 1);
    for args in [json!({"pattern": "("}), json!({"limit": 5000}), json!({"user": "no such user"})] {
        assert_eq!(answer(list, args).ending, Some(Ending::Rejected));
    }
}

#[test]
fn a_signal_goes_to_who_is_meant_and_is_told() {
    let (mut one, two) = (Sleeper::new(2), Sleeper::new(3));
    let dry = signal::signal(&errand(json!({"pattern": one.pattern()}), true)).unwrap();
    assert_eq!(dry.data["signalled"], json!([one.child.id()]));
    assert!(one.child.try_wait().unwrap().is_none(), "nothing was sent");
    let sent = ok(signal::signal, json!({"pattern": one.pattern()}));
    assert_eq!((&sent["signal"], &sent["signalled"]), (&json!("TERM"), &json!([one.child.id()])));
    assert!(!one.child.wait().unwrap().success());
    // By number, and only if it is still what the caller thinks.
    let other = answer(signal::signal, json!({"pid": two.child.id(), "pattern": "^no such command$"}));
    assert_eq!(other.ending, Some(Ending::Failed));
    assert_eq!(ok(signal::signal, json!({"pid": two.child.id(), "signal": "CONT"}))["count"], 1);
    assert_eq!(ok(signal::signal, json!({"pattern": one.pattern()}))["count"], 0, "it is gone");
}

#[test]
fn what_must_not_be_signalled_is_not() {
    let (one, two) = (Sleeper::new(4), Sleeper::new(4));
    let many: Vec<Sleeper> = (0..17).map(|_| Sleeper::new(5)).collect();
    let me = std::process::id();
    for args in [
        json!({"pid": 0}),
        json!({"pid": 1}),
        json!({"pid": -1}),
        json!({"pid": -9}),
        json!({"pid": me}),
        json!({"pid": 1_i64 << 32}),
        json!({}),
        json!({"signal": "TERM"}),
        json!({"pattern": one.pattern(), "at_most": 1}),
        // More than may be signalled where nothing is said of it.
        json!({"pattern": many[0].pattern()}),
    ] {
        let answer = answer(signal::signal, args.clone());
        assert_eq!(answer.ending, Some(Ending::Rejected), "{args}");
    }
    assert_eq!(answer(signal::signal, json!({"pid": i32::MAX})).ending, Some(Ending::Failed));
    // The agent itself is passed over where a pattern finds it.
    let found = signal::signal(&errand(json!({"pattern": "orch_nodeagent", "at_most": 5000}), true)).unwrap();
    assert!(!found.data["signalled"].as_array().unwrap().contains(&json!(me)));
    let both = ok(signal::signal, json!({"pattern": two.pattern(), "signal": "CONT"}));
    assert_eq!(both["count"], 2);
}
