//! What a fleet has is learnt when it is first reached, and known from then on, without it too.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::Ended;
use orch_tests::wait;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::external::kit::{configure, write};

const PROGRAM: &str = r#"#!/bin/sh
echo '{"statuscode": 0, "data": {"said": "done"}}' > "$2"
"#;

fn input(kind: &str, optional: bool) -> Value {
    let text = json!({ "validation": ".", "maxlength": 40 });
    let mut input = json!({ "prompt": "?", "description": "it", "type": kind, "optional": optional });
    if let (Some(input), Some(text)) = (input.as_object_mut(), text.as_object().filter(|_| kind == "string"))
    {
        input.extend(text.clone());
    }
    input
}

fn schema(version: &str, effect: &str, inputs: &Value) -> Value {
    json!({
        "metadata": {
            "name": "ourthing", "description": "Is ours", "author": "orch", "license": "MIT", "version": version,
            "url": "https://example.com", "timeout": 20, "provider": "external",
        },
        "actions": [{
            "action": "turn", "description": "Goes", "effect": effect, "display": "always", "input": inputs,
            "output": { "said": { "description": "what it said", "display_as": "Said", "type": "string" } },
        }],
    })
}

/// A fleet of two nodes with an agent that the operator has no file of.
fn fleet() -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    let inputs = json!({ "what": input("string", false), "often": input("integer", true) });
    fleet.agent("ourthing", &schema("1.0.0", "read", &inputs), PROGRAM)?;
    for name in ["n01", "n02"] {
        fleet.add(&Node::named(name).fact("datacenter", "secret-place").fact("rack", name))?;
    }
    fleet.await_here(&["n01".to_owned(), "n02".to_owned()]);
    forget_folders(&fleet)?;
    Ok(fleet)
}

/// The operator's configuration names no folder of agents any more.
fn forget_folders(fleet: &Fleet) -> Result<()> {
    let path = fleet.path("operator/orch.toml");
    let text = std::fs::read_to_string(&path)?;
    let kept: String =
        text.lines().filter(|line| !line.starts_with("agents")).map(|l| format!("{l}\n")).collect();
    write(&path, &kept, 0o644)
}

fn cache(fleet: &Fleet) -> PathBuf {
    fleet.path("home/.cache/orch")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

/// How many calls both nodes have begun, the question for it among them.
fn begun(fleet: &Fleet) -> Result<u64> {
    let told = fleet.run(&["call", "node.stats", "--format", "json"]).expect_code(0).json()?;
    let results = told["results"].as_array().context("results")?;
    results.iter().map(|result| result["data"]["passed"].as_u64().context("passed")).sum()
}

const RIGHT: &str =
    "let all = nodes().expect(2);\nfor r in all.ourthing.turn(#{ what: \"x\" }) { print(r.said); }\n";
const WRONG: &str = "let all = nodes(\"datacentre = x\").expect(2);\nall.ourthing.turn(#{ waht: \"x\" });\n";

fn script(fleet: &Fleet, text: &str, more: &[&str]) -> Result<Ended> {
    let path = fleet.script("s.orch", text)?.display().to_string();
    Ok(fleet.run(&[&["script", path.as_str()], more].concat()))
}

fn check(fleet: &Fleet, text: &str) -> Result<Ended> {
    let path = fleet.script("c.orch", text)?.display().to_string();
    Ok(fleet.run(&["check", &path]))
}

#[test]
fn an_agent_that_only_nodes_describe_is_learnt_and_then_known_offline() -> Result<()> {
    let mut fleet = fleet()?;
    let told = check(&fleet, RIGHT)?.expect_code(65);
    assert!(told.stderr.contains("no agent `ourthing` is known"), "{told:#?}");

    let before = begun(&fleet)?;
    let told = script(&fleet, RIGHT, &[])?.expect_code(0);
    assert_eq!(told.stdout, "done\ndone\n", "{told:#?}");
    // Both have told their agents and facts, and one the schema, beside the call and the question. Then nobody is asked again.
    let learning = begun(&fleet)?;
    assert_eq!(learning - before, 2 + 2 + 2 + 1 + 2);
    script(&fleet, RIGHT, &[])?.expect_code(0);
    assert_eq!(begun(&fleet)? - learning, 2 + 2);

    // Without the fleet: a misspelt argument, and a misspelt fact.
    fleet.broker()?.kill()?;
    check(&fleet, RIGHT)?.expect_code(0);
    let told = check(&fleet, WRONG)?.expect_code(65);
    assert!(told.stderr.contains("`waht` is no input of `turn`"), "{told:#?}");
    assert!(told.stderr.contains("did you mean `what`?"), "{told:#?}");
    assert!(
        told.stderr.contains("warning[W0103]") && told.stderr.contains("did you mean `datacenter`?"),
        "{told:#?}"
    );
    let told = script(&fleet, WRONG, &[])?.expect_code(65);
    assert!(told.stderr.contains("`waht` is no input of `turn`"), "{told:#?}");
    let known = fleet.run(&["agents", "--known", "--format", "json"]).expect_code(0).json()?;
    let row =
        json!({ "agent": "ourthing", "version": "1.0.0", "described_by": "nodes", "nodes": "n[01-02]" });
    assert!(known["agents"].as_array().is_some_and(|agents| agents.contains(&row)), "{known:#}");

    // Only the user reads what is kept, and no value of a fact is.
    let folders = [cache(&fleet), cache(&fleet).join("schemas"), cache(&fleet).join("fleets")];
    for folder in &folders {
        assert_eq!(std::fs::metadata(folder)?.permissions().mode() & 0o777, 0o700);
    }
    for file in files(&folders[1])?.into_iter().chain(files(&folders[2])?) {
        assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
        assert!(!std::fs::read_to_string(&file)?.contains("secret-place"), "{}", file.display());
    }
    Ok(())
}

#[test]
fn a_one_liner_learns_the_agent_that_it_calls() -> Result<()> {
    let fleet = fleet()?;
    let told =
        fleet.run(&["call", "ourthing.turn", "what=x", "-I", "n01", "--format", "json"]).expect_code(0);
    assert_eq!(told.json()?["results"][0]["data"]["said"], "done");
    let told = fleet.run(&["call", "ourthing.turn", "waht=x", "-I", "n01"]).expect_code(64);
    assert!(told.stderr.contains("did you mean `what`?"), "{told:#?}");
    let told = fleet.run(&["call", "ourthign.go", "what=x"]).expect_code(64);
    assert!(told.stderr.contains("did you mean `ourthing`?"), "{told:#?}");
    Ok(())
}

#[test]
fn versions_that_differ_are_told_with_their_nodes_and_the_stricter_one_counts() -> Result<()> {
    let mut fleet = fleet()?;
    fleet.kill_node("n02")?;
    configure(&fleet, "n02", |text| text.replace(&fleet.path("agents").display().to_string(), "agents"))?;
    let own = fleet.path("nodes/n02/agents");
    let inputs = json!({ "what": input("string", false), "loud": input("boolean", true) });
    write(&own.join("ourthing.json"), &schema("1.1.0", "write", &inputs).to_string(), 0o644)?;
    write(&own.join("ourthing"), PROGRAM, 0o755)?;
    fleet.start_node("n02")?;
    fleet.await_here(&["n01".to_owned(), "n02".to_owned()]);

    let told = script(&fleet, RIGHT, &[])?.expect_code(0);
    assert!(told.stderr.contains("the nodes have 2 versions of the agent `ourthing`"), "{told:#?}");
    assert!(told.stderr.contains("1.0.0 on n01") && told.stderr.contains("1.1.0 on n02"), "{told:#?}");
    let told = check(&fleet, RIGHT)?.expect_code(0);
    assert!(told.stderr.contains("warning[W0110]") && told.stderr.contains("1.1.0 on n02"), "{told:#?}");

    // What one of them takes passes, and the other refuses it itself.
    let loud = "nodes(\"identity = n01\").ourthing.turn(#{ what: \"x\", loud: true });";
    let told = script(&fleet, loud, &[])?.expect_code(2);
    assert!(told.stderr.contains("n01: rejected"), "{told:#?}");
    check(&fleet, "nodes().expect(2).ourthing.turn(#{ what: \"x\", laud: true });")?.expect_code(65);
    // One says that it is a write: nobody sends it to the whole fleet by mistake.
    let told = script(&fleet, "nodes().ourthing.turn(#{ what: \"x\" });", &[])?.expect_code(64);
    assert!(told.stderr.contains("warning[W0104]"), "{told:#?}");
    Ok(())
}

#[test]
fn a_project_that_describes_an_agent_otherwise_is_told_so() -> Result<()> {
    let fleet = fleet()?;
    let inputs = json!({ "what": input("string", false), "fast": input("boolean", true) });
    write(&fleet.path("mine/ourthing.json"), &schema("0.9.0", "read", &inputs).to_string(), 0o644)?;
    let config = fleet.path("operator/orch.toml");
    let text = std::fs::read_to_string(&config)?;
    write(&config, &format!("{text}agents = [\"{}\"]\n", fleet.path("mine").display()), 0o644)?;
    let told = script(&fleet, "nodes().expect(2).ourthing.turn(#{ what: \"x\" });", &[])?.expect_code(0);
    assert!(told.stderr.contains("warning[W0111]"), "{told:#?}");
    assert!(told.stderr.contains("1.0.0 on n[01-02] takes `often` too, takes no `fast`"), "{told:#?}");
    // The project's word counts for what calls may hold.
    check(&fleet, "nodes().expect(2).ourthing.turn(#{ what: \"x\", often: 2 });")?.expect_code(65);
    Ok(())
}

#[test]
fn names_that_nodes_choose_do_not_break_scripts_that_know_nothing_of_them() -> Result<()> {
    let fleet = fleet()?;
    script(&fleet, RIGHT, &[])?.expect_code(0);
    let own = "fn turn(x) { x + 1 }\nprint(turn(1));\n";
    assert_eq!(script(&fleet, own, &[])?.expect_code(0).stdout, "2\n");
    let both = format!("{own}nodes().expect(2).ourthing.turn(#{{ what: \"x\" }});\n");
    let told = script(&fleet, &both, &[])?.expect_code(65);
    assert!(told.stderr.contains("error[E0104]"), "{told:#?}");
    Ok(())
}

#[test]
fn nodes_that_gave_nothing_are_asked_again_when_somebody_needs_it() -> Result<()> {
    let mut fleet = fleet()?;
    for name in ["n01", "n02"] {
        write(&fleet.path("nodes").join(name).join("policies/node.policy"), "policy default deny\n", 0o644)?;
        fleet.node(name)?.signal(Signal::HUP)?;
    }
    wait::until("the nodes refuse", || {
        let told = fleet.run(&["call", "node.agents"]);
        if told.stdout.contains("rejected") || told.code == Some(2) {
            Ok(())
        } else {
            Err(format!("{told:?}"))
        }
    });
    let told = script(&fleet, RIGHT, &[])?.expect_code(65);
    assert!(told.stderr.contains("no agent `ourthing` is known"), "{told:#?}");
    for name in ["n01", "n02"] {
        std::fs::remove_file(fleet.path("nodes").join(name).join("policies/node.policy"))?;
        fleet.node(name)?.signal(Signal::HUP)?;
    }
    wait::until("the nodes answer", || {
        let told = fleet.run(&["call", "node.agents"]);
        if told.code == Some(0) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    assert_eq!(script(&fleet, RIGHT, &[])?.expect_code(0).stdout, "done\ndone\n");
    Ok(())
}

#[test]
fn a_node_that_hangs_holds_up_nothing_for_long() -> Result<()> {
    let mut fleet = fleet()?;
    fleet.node("n02")?.signal(Signal::STOP)?;
    let only =
        "for r in nodes(#{ identities: [\"n01\"] }).ourthing.turn(#{ what: \"x\" }) { print(r.said); }\n";
    let told = script(&fleet, only, &[])?;
    fleet.node("n02")?.signal(Signal::CONT)?;
    assert_eq!(told.expect_code(0).stdout, "done\n");
    Ok(())
}

/// Makes a named pipe: whoever opens it to read waits for a writer.
fn pipe(path: &Path) -> Result<()> {
    anyhow::ensure!(Command::new("mkfifo").arg(path).status()?.success(), "mkfifo");
    Ok(())
}

#[test]
fn a_cache_that_is_broken_or_hostile_is_mended_and_fails_nothing() -> Result<()> {
    let fleet = fleet()?;
    script(&fleet, RIGHT, &[])?.expect_code(0);
    let [schemas, fleets] = ["schemas", "fleets"].map(|name| cache(&fleet).join(name));
    let (kept, index) = (files(&schemas)?, files(&fleets)?);
    let [kept, index] = [kept.as_slice(), &index].map(|files| files.first().cloned());
    let (kept, index) = (kept.context("a schema")?, index.context("an index")?);
    let (schema, known) = (std::fs::read_to_string(&kept)?, std::fs::read_to_string(&index)?);

    // A schema that is another than its name says.
    write(&kept, &schema.replace("\"read\"", "\"writ\""), 0o600)?;
    check(&fleet, RIGHT)?.expect_code(65);
    // An index that says that the nodes have no agents, or whatever: what it says of itself is not so, or it is none.
    for broken in
        [known.replace("ourthing", "otherthing"), "{".to_owned(), String::new(), "[".repeat(100_000)]
    {
        write(&index, &broken, 0o600)?;
        check(&fleet, RIGHT)?.expect_code(65);
        script(&fleet, RIGHT, &[])?.expect_code(0);
        check(&fleet, RIGHT)?.expect_code(0);
        assert_eq!(std::fs::read_to_string(&kept)?, schema);
    }
    // A pipe, and a link.
    std::fs::remove_file(&index)?;
    pipe(&index)?;
    script(&fleet, RIGHT, &[])?.expect_code(0);
    let elsewhere = fleet.path("elsewhere");
    std::fs::rename(&index, &elsewhere)?;
    std::os::unix::fs::symlink(&elsewhere, &index)?;
    check(&fleet, RIGHT)?.expect_code(65);
    script(&fleet, RIGHT, &[])?.expect_code(0);
    assert!(!std::fs::symlink_metadata(&index)?.is_symlink());
    // A folder where others may write is not believed, and one that cannot be made is done without.
    std::fs::set_permissions(cache(&fleet), PermissionsExt::from_mode(0o777))?;
    check(&fleet, RIGHT)?.expect_code(65);
    script(&fleet, RIGHT, &[])?.expect_code(0);
    check(&fleet, RIGHT)?.expect_code(65);
    std::fs::remove_dir_all(cache(&fleet))?;
    write(&cache(&fleet), "a file", 0o600)?;
    script(&fleet, RIGHT, &[])?.expect_code(0);
    Ok(())
}

#[test]
fn processes_that_learn_at_once_do_not_disturb_each_other() -> Result<()> {
    let fleet = fleet()?;
    let path = fleet.script("s.orch", RIGHT)?;
    let begun = (0..4).map(|_| {
        let mut command = fleet.orch();
        command.arg("script").arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    });
    let begun: Vec<_> = begun.collect::<std::io::Result<_>>()?;
    for child in begun {
        let ended = Ended::from(child.wait_with_output()?).expect_code(0);
        assert_eq!(ended.stdout, "done\ndone\n");
    }
    check(&fleet, RIGHT)?.expect_code(0);
    let left: Vec<PathBuf> = ["schemas", "fleets"]
        .map(|name| files(&cache(&fleet).join(name)))
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    Ok(())
}
