//! Peers that stop in the middle of a call and read nothing while much is sent to them: they cost the broker little, are
//! put out in time, and the outcome is true when they go on.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use orch_tests::fleet::{Fleet, Node};
use orch_tests::process::{Ended, memory, signal};
use orch_tests::wait;
use orch_wire::body::{Answer, Ending};
use orch_wire::header::{Kind, ReplyHeader, Stage};
use rustix::process::Signal;

use super::answers::{EVIL, EvilNode};
use super::kit::{forged, ping};
use super::operator::{MALLORY, Operator};
use crate::road::{await_began, began, gate_agent, open_gate};

/// Messages of a megabyte that are sent to who does not read: more than all queues on the way hold.
const FLOOD: usize = 64;
/// What it may cost the broker.
const COST: u64 = 10 * 1024 * 1024;
/// How long who does not read may stay.
const PUT_OUT: Duration = Duration::from_secs(15);

fn gated_fleet() -> Result<Fleet> {
    let mut fleet = Fleet::start()?;
    gate_agent(&fleet)?;
    for name in ["n01", "n02"] {
        fleet.add(&Node::named(name))?;
    }
    fleet.await_here(&["n01".into(), "n02".into()]);
    Ok(fleet)
}

/// Waits until a party was put out for not reading.
fn await_put_out(fleet: &Fleet, party: &str, begun: Instant) {
    wait::until(&format!("{party} is put out"), || {
        let refused = fleet.status().map_err(|e| format!("{e:#}"))?.refused;
        let reads_nothing = |reason: &str| ["queue_full", "stalled"].contains(&reason);
        if refused.iter().any(|r| r.party == party && reads_nothing(&r.reason)) {
            return Ok(());
        }
        Err(format!("{refused:?}"))
    });
    assert!(begun.elapsed() < PUT_OUT, "{:?}", begun.elapsed());
}

/// Each node did it once, and is ok.
fn all_ok_and_once(fleet: &Fleet, ended: Ended, count: u64) -> Result<()> {
    let call = ended.expect_code(0).json()?;
    assert_eq!(call["counts"]["ok"], count, "{call:#}");
    for node in ["n01", "n02"] {
        assert_eq!(began(fleet, node), 1, "{node}");
    }
    Ok(())
}

fn change(fleet: &Fleet, nodes: &[&str]) -> Result<std::process::Child> {
    let mut command = fleet.orch();
    command.args(["call", "gate.change", "--yes", "--format", "json"]);
    for nodes in nodes {
        command.args(["-I", nodes]);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("orch call")
}

#[test]
fn a_stopped_runner_is_put_out_and_learns_the_truth_when_it_goes_on() -> Result<()> {
    let mut fleet = gated_fleet()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut evil = runtime.block_on(EvilNode::open(&fleet))?;
    let runner = change(&fleet, &["evil", "n[01-02]"])?;
    let call = runtime.block_on(evil.asked())?;
    for node in ["n01", "n02"] {
        await_began(&fleet, node);
    }
    let before = memory(fleet.broker()?.id(), "VmRSS")?;
    signal(runner.id(), Signal::STOP)?;
    // Their answers go to who does not read, too.
    for node in ["n01", "n02"] {
        open_gate(&fleet, node)?;
    }
    let begun = Instant::now();
    let kind = Kind::Reply(ReplyHeader { call: call.call, stage: Stage::Output, seq: 0 });
    let mut large = forged(call.reply_to.as_str(), EVIL, kind);
    large.body = vec![7; 1_000_000].into();
    runtime.block_on(async {
        for _ in 0..FLOOD {
            evil.replies.publish(&large).await?;
        }
        anyhow::Ok(())
    })?;
    await_put_out(&fleet, "operator alice", begun);
    let peak = memory(fleet.broker()?.id(), "VmHWM")?;
    assert!(peak < before + COST, "{before} {peak}");

    signal(runner.id(), Signal::CONT)?;
    // What it answered while nobody listened is lost, so it answers whenever it is asked.
    let ended = runtime.block_on(async {
        let mut ended = tokio::task::spawn_blocking(|| runner.wait_with_output());
        loop {
            tokio::select! {
                ended = &mut ended => return anyhow::Ok(ended??),
                again = evil.asked() => {
                    let again = again?;
                    assert_eq!(again.call, call.call);
                    evil.answer(&again, again.call, &Answer::new(Ending::Ok)).await?;
                }
            }
        }
    })?;
    all_ok_and_once(&fleet, ended.into(), 3)
}

#[test]
fn a_stopped_node_is_put_out_and_acts_once_when_it_goes_on() -> Result<()> {
    let mut fleet = gated_fleet()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut mallory = runtime.block_on(Operator::open(&fleet))?;
    let before = memory(fleet.broker()?.id(), "VmRSS")?;
    fleet.node("n01")?.signal(Signal::STOP)?;
    let runner = change(&fleet, &["n[01-02]"])?;
    await_began(&fleet, "n02");
    open_gate(&fleet, "n02")?;
    let begun = Instant::now();
    let mut large = forged("n/n01/", MALLORY, Kind::Call(ping(&mallory.topic)));
    large.body = vec![7; 1_000_000].into();
    runtime.block_on(async {
        for _ in 0..FLOOD {
            mallory.calls.publish(&large).await?;
        }
        anyhow::Ok(())
    })?;
    await_put_out(&fleet, "node n01", begun);
    let peak = memory(fleet.broker()?.id(), "VmHWM")?;
    assert!(peak < before + COST, "{before} {peak}");

    fleet.node("n01")?.signal(Signal::CONT)?;
    await_began(&fleet, "n01");
    open_gate(&fleet, "n01")?;
    all_ok_and_once(&fleet, runner.wait_with_output()?.into(), 2)
}
