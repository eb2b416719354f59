//! The output of actions, on the operator's side while they run.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::Ended;
use serde_json::Value;

use super::kit::{led_agent, let_go, told};

fn fleet(script: &str, nodes: &[&str]) -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    led_agent(&fleet, script)?;
    for name in nodes {
        fleet.add(&Node::named(name))?;
    }
    fleet.await_here(&nodes.iter().map(ToString::to_string).collect::<Vec<_>>());
    Ok(fleet)
}

/// A command whose lines are read one by one.
struct Reader {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Reader {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
        Ok(Self { child, lines })
    }

    fn line(&mut self) -> Result<String> {
        self.lines.next().context("no more lines")?.context("reading a line")
    }

    /// The rest of its lines, and how it ended.
    fn rest(self) -> Result<(Vec<String>, Ended)> {
        let lines = self.lines.collect::<Result<_, _>>()?;
        Ok((lines, self.child.wait_with_output()?.into()))
    }
}

fn call(fleet: &Fleet, arguments: &[&str]) -> Command {
    let mut command = fleet.orch();
    command.args(["call", "led.look"]).args(arguments);
    command
}

#[test]
fn lines_come_while_the_action_runs_with_the_node_in_front() -> Result<()> {
    let fleet = fleet("echo first; await go; printf 'sec'; echo ond >&2; printf 'no end'", &["n01", "n02"])?;
    let mut reader = Reader::start(call(&fleet, &["--stream"]))?;
    let mut first = [reader.line()?, reader.line()?];
    first.sort();
    assert_eq!(first, ["n01: first", "n02: first"]);
    let_go(&fleet, "n02", "go")?;
    let mut second = [reader.line()?, reader.line()?];
    second.sort();
    // The streams of a program do not run into each other; what has no end of line ends with the action.
    assert_eq!(second, ["n02: ond", "n02: secno end"]);
    let_go(&fleet, "n01", "go")?;
    let (rest, ended) = reader.rest()?;
    ended.expect_code(0);
    assert!(rest.iter().any(|line| line == "n01: secno end"), "{rest:?}");
    Ok(())
}

#[test]
fn programs_get_events_or_a_document() -> Result<()> {
    let fleet = fleet("echo one; echo two", &["n01"])?;
    let events = Ended::from(call(&fleet, &["--stream", "--format", "jsonl"]).output()?).expect_code(0);
    let lines: Vec<Value> = events.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (end, output) = lines.split_last().context("no lines")?;
    let text: String = output
        .iter()
        .inspect(|line| assert_eq!((&line["event"], &line["node"]), (&"output".into(), &"n01".into())))
        .filter_map(|line| line["text"].as_str())
        .collect();
    assert_eq!((text.as_str(), &end["counts"]["ok"]), ("one\ntwo\n", &1.into()));

    let document = Ended::from(call(&fleet, &["--stream", "--format", "json"]).output()?).expect_code(0);
    assert_eq!(document.json()?["counts"]["ok"], 1);
    assert!(document.stderr.contains("n01: one\nn01: two\n"), "{document:#?}");

    let without = Ended::from(call(&fleet, &[]).output()?).expect_code(0);
    assert!(!without.stdout.contains("one") && !without.stderr.contains("one"), "{without:#?}");
    Ok(())
}

#[test]
fn a_script_shows_it_too() -> Result<()> {
    let fleet = fleet("echo one", &["n01"])?;
    let script = fleet.script("look.orch", "nodes().led.look();\nprint(\"after\");\n")?;
    let ended = fleet.run(&["script", &script.display().to_string(), "--stream"]).expect_code(0);
    assert_eq!(ended.stdout, "n01: one\nafter\n", "{ended:#?}");
    Ok(())
}

#[test]
fn nothing_in_it_steers_a_terminal() -> Result<()> {
    let fleet = fleet(r"printf '\033[2J\033]0;title\007red\r\n'; printf '10 %%\r20 %%\r\n'", &["n01"])?;
    let ended = Ended::from(call(&fleet, &["--stream"]).output()?).expect_code(0);
    assert!(!ended.stdout.contains(['\x1b', '\x07', '\r']), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.first(), Some(&r"n01: \u{1b}[2J\u{1b}]0;title\u{7}red"), "{ended:?}");
    assert_eq!(lines.get(1..3), Some(&["n01: 10 %", "n01: 20 %"][..]), "{ended:?}");
    Ok(())
}

/// Several megabytes from two nodes at once: in order, whole, and with the node's other calls served meanwhile.
#[test]
fn much_output_comes_whole_and_in_order() -> Result<()> {
    let fleet = fleet("seq 1 300000; tell done yes; await go", &["n01", "n02"])?;
    let mut reader = Reader::start(call(&fleet, &["--stream"]))?;
    let mut next = [1, 1];
    while next != [300_001, 300_001] {
        let line = reader.line()?;
        let (node, number) = line.split_once(": ").context("no node in front")?;
        let at = usize::from(node == "n02");
        assert_eq!(number.parse::<u32>()?, next[at], "{line}");
        next[at] += 1;
        if next[at] == 1000 {
            fleet.run(&["ping", "-I", node]).expect_code(0);
        }
    }
    for node in ["n01", "n02"] {
        told(&fleet, node, "done");
        let_go(&fleet, node, "go")?;
    }
    let (_, ended) = reader.rest()?;
    let ended = ended.expect_code(0);
    assert!(!ended.stderr.contains("lost") && !ended.stderr.contains("not shown"), "{ended:#?}");
    Ok(())
}

/// More than an action may write is a failure that says so, however little of it was shown.
#[test]
fn output_has_an_end() -> Result<()> {
    let fleet = fleet("yes", &["n01"])?;
    let ended = Ended::from(call(&fleet, &["--stream", "--format", "json"]).output()?).expect_code(2);
    let result = &ended.json()?["results"][0];
    assert_eq!((&result["outcome"], &result["code"]), (&"failed".into(), &"reply".into()));
    Ok(())
}

/// What is lost on the road says nothing about how the action ended.
#[test]
fn a_broker_that_goes_and_comes_back_changes_no_outcome() -> Result<()> {
    let mut fleet =
        fleet("echo before; await between; seq 1 100000; tell said yes; await go; echo after", &["n01"])?;
    let mut reader = Reader::start(call(&fleet, &["--stream"]))?;
    assert_eq!(reader.line()?, "n01: before");
    fleet.broker()?.kill()?;
    let_go(&fleet, "n01", "between")?;
    fleet.start_broker()?;
    fleet.await_here(&["n01".to_owned()]);
    // The program has waited for the lanes, if it had to.
    told(&fleet, "n01", "said");
    let_go(&fleet, "n01", "go")?;
    let (lines, ended) = reader.rest()?;
    let ended = ended.expect_code(0);
    let numbers: Vec<u32> =
        lines.iter().filter_map(|line| line.strip_prefix("n01: ")?.parse().ok()).collect();
    assert!(numbers.is_sorted(), "out of order");
    // All of it, or a word about what is missing.
    assert!(numbers.len() == 100_000 || ended.stderr.contains("lost on its way"), "{}", ended.stderr);
    Ok(())
}
