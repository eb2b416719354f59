//! The end of an action on request, or over its time: of all its processes.

use std::process::{Child, Stdio};

use anyhow::Result;
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::{Ended, signal};
use rustix::process::Signal;

use super::kit::{await_gone, fleet_with_shell, is_alive, led_agent, let_go, read_when_there, told};

/// An action with a child, both of which a request to end does not impress.
const STUBBORN: &str = "trap '' TERM INT; sleep 600 & tell child $!; tell self $$; await go";

fn start(fleet: &Fleet, words: &[&str]) -> Result<Child> {
    let mut command = fleet.orch();
    command.arg("call").args(words).args(["-I", "n01", "--format", "json"]);
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

fn interrupted(child: Child) -> Result<Ended> {
    signal(child.id(), Signal::INT)?;
    Ok(Ended::from(child.wait_with_output()?).expect_code(130))
}

fn fleet() -> Result<Fleet> {
    let fleet = Fleet::start()?;
    led_agent(&fleet, STUBBORN)?;
    let mut fleet = fleet;
    fleet.add(&Node::named("n01"))?;
    fleet.await_here(&["n01".to_owned()]);
    Ok(fleet)
}

/// The child of the action and its own process, once both run.
fn processes(fleet: &Fleet) -> (String, String) {
    (told(fleet, "n01", "child"), told(fleet, "n01", "self"))
}

#[test]
fn an_interrupt_ends_what_reads_with_all_its_processes() -> Result<()> {
    let fleet = fleet()?;
    let call = start(&fleet, &["led.look"])?;
    let (child, own) = processes(&fleet);
    interrupted(call)?;
    [child, own].iter().for_each(|pid| await_gone(pid));
    Ok(())
}

#[test]
fn an_interrupt_leaves_a_write_unless_it_is_told_otherwise() -> Result<()> {
    let fleet = fleet()?;
    let call = start(&fleet, &["led.change"])?;
    let (child, own) = processes(&fleet);
    interrupted(call)?;
    // A call that came after the interrupt has been answered: had there been a cancel, it would have come before.
    fleet.run(&["ping", "-I", "n01"]).expect_code(0);
    assert!(is_alive(&own) && is_alive(&child));
    let_go(&fleet, "n01", "go")?;
    await_gone(&own);
    assert!(is_alive(&child), "what a write leaves running goes on");
    signal(child.parse()?, Signal::KILL)?;
    await_gone(&child);

    for name in ["go", "self", "child"] {
        std::fs::remove_file(fleet.agent_state("n01", "led", name))?;
    }
    let call = start(&fleet, &["led.change", "--cancel-writes"])?;
    let (child, own) = processes(&fleet);
    interrupted(call)?;
    [child, own].iter().for_each(|pid| await_gone(pid));
    Ok(())
}

#[test]
fn a_time_limit_ends_all_processes_and_is_answered() -> Result<()> {
    let fleet = fleet()?;
    let call = start(&fleet, &["led.change", "--timeout", "1s"])?;
    let (child, own) = processes(&fleet);
    let ended = Ended::from(call.wait_with_output()?).expect_code(2);
    assert_eq!(ended.json()?["results"][0]["outcome"], "timed_out", "{ended:#?}");
    [child, own].iter().for_each(|pid| await_gone(pid));
    Ok(())
}

#[test]
fn an_interrupt_ends_a_command_of_the_shell() -> Result<()> {
    let fleet = fleet_with_shell()?;
    let file = fleet.path("pids");
    let command = format!("command=sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let call = start(&fleet, &["shell.run", &command])?;
    let child = read_when_there(&file);
    interrupted(call)?;
    await_gone(&child);
    Ok(())
}
