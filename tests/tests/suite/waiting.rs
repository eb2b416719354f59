//! Scripts that wait for nodes to go and to come back, with real node processes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use anyhow::{Context, Result};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::Ended;

/// A script that runs, and its output as far as it was read.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    fn start(fleet: &Fleet, text: &str) -> Result<Self> {
        let path = fleet.script("wait.orch", text)?;
        let mut child =
            fleet.orch().arg("script").arg(path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let out = BufReader::new(child.stdout.take().context("output")?);
        Ok(Self { child, out })
    }

    /// Reads a line.
    fn says(&mut self, words: &str) -> Result<()> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        anyhow::ensure!(line.trim_end() == words, "{line:?} in the place of {words:?}");
        Ok(())
    }

    fn ends(self, code: i32) -> Result<String> {
        let ended = Ended::from(self.child.wait_with_output()?).expect_code(code);
        Ok(ended.stderr)
    }
}

#[test]
fn a_new_start_of_an_agent_is_seen_and_is_no_boot() -> Result<()> {
    let mut fleet = Fleet::with([Node::named("n1"), Node::named("n2")])?;
    let mut script = Running::start(
        &fleet,
        "let n1 = nodes(\"identity = n1\").expect(1);\n\
         let all = nodes(\"identity =~ n\").expect(2);\n\
         print(\"resolved\");\n\
         n1.wait_gone(\"60s\");\n\
         print(\"gone\");\n\
         print(n1.wait_online(\"60s\", #{ same_boot: true }).node.ping().ok.count);\n\
         // By when the selection was resolved, also for parts of it and for results.\n\
         n1.node.ping().nodes.wait_online(\"60s\", #{ same_boot: true });\n\
         (all & n1).wait_online(\"60s\", #{ same_boot: true });\n\
         n1.wait_gone(\"60s\");\n\
         try { n1.refresh().wait_gone(\"100ms\"); } catch (e) { print(`${e.kind}: ${e.message}`); }\n\
         try { n1.wait_online(\"100ms\"); } catch (e) { print(e.message); }\n\
         all.wait_online(\"100ms\", #{ same_boot: true });\n",
    )?;
    script.says("resolved")?;
    fleet.kill_node("n1")?;
    script.says("gone")?;
    fleet.start_node("n1")?;
    script.says("1")?;
    script.says("wait: 1 node did not go within 100 ms")?;
    script.says("1 node did not come back from a reboot within 100 ms")?;
    let told = script.ends(1)?;
    assert!(
        told.contains("E0304") && told.contains("did not start anew") && told.contains("= note: n2"),
        "{told}"
    );
    Ok(())
}

/// A broker that starts anew, with or without what it knew, while a script waits for a node's agent: only a new process of that
/// agent has not connected again.
fn a_broker_that_starts_anew_is_no_start_of_a_node(forgets: bool) -> Result<()> {
    let mut fleet = Fleet::with([Node::named("n1")])?;
    let mut script = Running::start(
        &fleet,
        "let n1 = nodes(\"identity = n1\").expect(1);\n\
         print(\"resolved\");\n\
         n1.wait_online(\"60s\", #{ same_boot: true });\n\
         for result in n1.node.stats() { print(`connected again ${result.data.reconnects} times`); }\n",
    )?;
    script.says("resolved")?;
    fleet.broker()?.kill()?;
    if forgets {
        std::fs::remove_dir_all(fleet.path("broker/state"))?;
    }
    fleet.start_broker()?;
    fleet.await_here(&["n1".to_owned()]);
    fleet.kill_node("n1")?;
    fleet.start_node("n1")?;
    script.says("connected again 0 times")?;
    let told = script.ends(0)?;
    assert!(told.contains("the connection to the broker is down") || told.contains("waiting for"), "{told}");
    Ok(())
}

#[test]
fn a_broker_that_starts_anew() -> Result<()> {
    a_broker_that_starts_anew_is_no_start_of_a_node(false)
}

#[test]
fn a_broker_that_forgot_everything() -> Result<()> {
    a_broker_that_starts_anew_is_no_start_of_a_node(true)
}

#[test]
fn nodes_are_not_gone_because_the_broker_is() -> Result<()> {
    let mut fleet = Fleet::with([Node::named("n1")])?;
    let mut script = Running::start(
        &fleet,
        "let n1 = nodes(\"identity = n1\").expect(1);\n\
         print(\"resolved\");\n\
         try { n1.wait_gone(\"5s\"); } catch (e) { print(`${e.kind}: ${e.message}`); }\n\
         n1.wait_online(\"100ms\");\n",
    )?;
    script.says("resolved")?;
    fleet.broker()?.kill()?;
    script.says("wait: not known whether 1 node did go within 5.0 s")?;
    let told = script.ends(1)?;
    assert!(
        told.contains("not known whether 1 node did come back from a reboot within 100 ms")
            && told.contains("the connection to the broker is down"),
        "{told}"
    );
    Ok(())
}

#[test]
fn an_interrupt_ends_the_wait() -> Result<()> {
    let fleet = Fleet::with([Node::named("n1")])?;
    let mut script = Running::start(
        &fleet,
        "defer(|| print(\"deferred\"));\nlet n1 = nodes(\"identity = n1\").expect(1);\nprint(\"resolved\");\nn1.wait_online(\"1h\");\n",
    )?;
    script.says("resolved")?;
    orch_tests::process::signal(script.child.id(), rustix::process::Signal::INT)?;
    script.says("deferred")?;
    script.ends(130)?;
    Ok(())
}
