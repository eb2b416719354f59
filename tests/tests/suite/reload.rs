//! A broker that is told to read its configuration again: who is revoked is put out and stays out, and nobody else
//! notices; a file with something wrong in it changes nothing.

use anyhow::Result;
use orch_link::tls::Channel;
use orch_runner::pki::Authority;
use orch_tests::fleet::{Fleet, Node};
use orch_tests::raw_peer::{RawPeer, block_on};
use orch_tests::wait;
use orch_wire::codec;
use orch_wire::control::{Presence, Request};
use rustix::process::Signal;

fn fleet() -> Result<Fleet> {
    Fleet::with([Node::named("n01"), Node::named("n02")])
}

/// Makes the broker read its configuration, and waits until it has said this about it.
fn reload(fleet: &mut Fleet, said: &str) -> Result<()> {
    let before = fleet.broker()?.log().len();
    fleet.broker()?.signal(Signal::HUP)?;
    let broker = fleet.broker()?;
    wait::until(said, || {
        let log = broker.log().get(before..).unwrap_or_default().to_owned();
        if log.contains(said) { Ok(()) } else { Err(log) }
    });
    Ok(())
}

fn answers(fleet: &Fleet, nodes: &str, count: u64) -> Result<()> {
    let call = fleet.run(&["ping", "-I", nodes, "--format", "json"]).expect_code(0).json()?;
    assert_eq!(call["counts"]["ok"], count, "{call:#}");
    Ok(())
}

#[test]
fn a_revoked_node_is_put_out_and_stays_out() -> Result<()> {
    let mut fleet = fleet()?;
    answers(&fleet, "n[01-02]", 2)?;
    let since = |fleet: &Fleet| -> Result<_> {
        let roster = fleet.roster()?;
        Ok(roster.nodes.iter().find(|entry| entry.node.as_str() == "n02").map(|entry| entry.since))
    };
    let n02_since = since(&fleet)?;

    fleet.revoke(&[&fleet.node_certificate("n01")?])?;
    reload(&mut fleet, "changed: tls.crl")?;
    // Both lanes, by name.
    fleet.await_refused("node n01", "revoked", 1);
    fleet.await_presence("n01", Presence::Away);
    // It comes again with the same certificate, and a new process of it too: nobody is let in.
    fleet.await_refused("", "revoked", 1);
    fleet.kill_node("n01")?;
    let before =
        fleet.status()?.refused.iter().find(|r| r.party.is_empty() && r.reason == "revoked").map(|r| r.count);
    fleet.start_node("n01")?;
    fleet.await_refused("", "revoked", before.unwrap_or_default() + 1);
    assert_eq!(fleet.presence("n01")?, Some(Presence::Away));

    answers(&fleet, "n02", 1)?;
    assert_eq!(since(&fleet)?, n02_since, "n02 was put out too");
    let refused = fleet.status()?.refused;
    assert!(refused.iter().all(|r| r.party != "node n02"), "{refused:?}");
    assert!(refused.iter().any(|r| r.party == "node n01" && r.count == 1), "{refused:?}");
    let shown = fleet.run(&["broker", "status"]).expect_code(0);
    assert!(shown.stdout.contains("node n01") && shown.stdout.contains("revoked"), "{shown:?}");

    // Off the list, it is let in again.
    fleet.revoke(&[])?;
    reload(&mut fleet, "changed: tls.crl")?;
    fleet.await_presence("n01", Presence::Here);
    answers(&fleet, "n[01-02]", 2)
}

#[test]
fn a_revoked_operator_loses_every_channel() -> Result<()> {
    let mut fleet = fleet()?;
    let mallory = fleet.issue("orch://operator/mallory")?;
    block_on(async {
        let mut open = Vec::new();
        for channel in Channel::ALL {
            let alpn = Some(channel.alpn());
            let mut peer = RawPeer::dial(fleet.port(), fleet.ca_pem(), Some(&mallory), alpn).await?;
            // Who is answered is in.
            if channel == Channel::Control {
                let request = codec::encode(&Request::Status)?;
                let length = u32::try_from(request.len())?.to_be_bytes();
                peer.write(&[&length[..], &request].concat()).await?;
                peer.read_exact(4).await?;
            } else {
                let (mut calls, mut replies) = peer.lanes();
                calls.greet("XPUB").await?;
                calls.greeted().await?;
                replies.greet("SUB").await?;
                replies.greeted().await?;
                peer = replies;
            }
            open.push(peer);
        }
        fleet.revoke(&[&mallory.cert])?;
        reload(&mut fleet, "closed=2")?;
        for peer in open {
            peer.closed().await?;
        }
        Ok(())
    })?;
    fleet.await_refused("operator mallory", "revoked", 2);
    answers(&fleet, "n[01-02]", 2)
}

#[test]
fn a_list_or_file_with_something_wrong_changes_nothing() -> Result<()> {
    let mut fleet = fleet()?;
    fleet.revoke(&[&fleet.node_certificate("n01")?])?;
    reload(&mut fleet, "changed: tls.crl")?;
    fleet.await_presence("n01", Presence::Away);
    let list = fleet.path("broker/crl.pem");
    let good = std::fs::read_to_string(&list)?;
    let foreign = Authority::new()?.revocation_list([])?;
    for (text, said) in [
        ("", "crl.pem: revocation list: no list in it"),
        (&good[..good.len() / 2], "crl.pem: revocation list: "),
        (&foreign, "and no CA of the fleet"),
    ] {
        std::fs::write(&list, text)?;
        reload(&mut fleet, "nothing has changed")?;
        let log = fleet.broker()?.log();
        assert!(log.lines().any(|line| line.contains("broker.toml:9:7: ") && line.contains(said)), "{log}");
    }
    std::fs::remove_file(&list)?;
    reload(&mut fleet, "crl.pem: No such file")?;

    let config = fleet.broker_config()?;
    fleet.revoke(&[])?;
    for (text, said) in [
        (config.replace("state =", "stat ="), "broker.toml:2:1: unknown field `stat`"),
        (config.replace("\"debug\"", "\"orch=loud\""), "broker.toml:4:7: log filter: "),
        (config.replace("\"key.pem\"", "\"none.pem\""), "none.pem: No such file"),
        (config.clone() + "[roles]\nx = \"y\"\n", "broker.toml:11:5: `y` is not a valid party"),
    ] {
        fleet.write_broker_config(&text)?;
        reload(&mut fleet, said)?;
    }
    // The list that was good is still in force, and the fleet was not disturbed.
    let before = fleet.status()?.refused.iter().find(|r| r.party.is_empty()).map(|r| r.count);
    fleet.await_refused("", "revoked", before.unwrap_or_default() + 1);
    assert_eq!(fleet.presence("n01")?, Some(Presence::Away));
    answers(&fleet, "n02", 1)
}

#[test]
fn what_needs_a_restart_is_named_and_logging_changes_at_once() -> Result<()> {
    let mut fleet = fleet()?;
    let config = fleet.broker_config()?.replace("\"debug\"", "\"warn\"").replace("127.0.0.1:", "127.0.0.2:");
    fleet.write_broker_config(&(config + "[limits]\nconnections = 7\n"))?;
    reload(&mut fleet, "not in force before a restart: listen, limits.connections")?;
    let before = fleet.broker()?.log().len();
    answers(&fleet, "n[01-02]", 2)?;
    let since = fleet.broker()?.log().get(before..).unwrap_or_default().to_owned();
    assert!(!since.contains("DEBUG"), "{since}");
    // Said again for as long as it is true.
    reload(&mut fleet, "not in force before a restart: listen, limits.connections")
}
