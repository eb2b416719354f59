//! Peers of the fleet that speak or listen in another's name.

use anyhow::Result;
use orch_tests::raw_peer::block_on;
use orch_wire::header::{Kind, ProbeHeader};

use super::kit::{
    Attack, CALL, CONTROL, LANES, REPLY, answer, card, fleet, forged, goes_on, ping, publishes, refused,
    reply_topic, subscribes,
};

#[test]
fn a_node_speaks_only_for_itself() -> Result<()> {
    const EVIL: &str = "orch://node/evil";
    let fleet = fleet()?;
    let alice = reply_topic(&fleet.issue("orch://operator/alice")?, fleet.ca_pem())?;
    let call = || Kind::Call(ping(&alice));
    let probe = |echo| Kind::Probe(ProbeHeader { nonce: 1, reply_to: None, echo });
    let mut large = forged("p/evil/", EVIL, card());
    large.body = vec![0; 20_000].into();
    let mut headless = forged("p/evil/", EVIL, card());
    headless.header = "x".into();
    let mut nested = forged("p/evil/", EVIL, card());
    nested.header = vec![0x91; 60_000].into();
    refused(
        &fleet,
        vec![
            publishes(EVIL, &forged("c/main/", EVIL, call()), "foreign_topic"),
            publishes(EVIL, &forged("n/n01/", EVIL, call()), "foreign_topic"),
            publishes(EVIL, &forged("c/main/", "orch://operator/alice", call()), "foreign_sender"),
            publishes(EVIL, &forged("p/n01/", EVIL, card()), "foreign_card"),
            publishes(EVIL, &forged("p/n01/", "orch://node/n01", card()), "foreign_sender"),
            publishes(EVIL, &forged(alice.as_str(), "orch://node/n01", answer()), "foreign_sender"),
            publishes(EVIL, &forged(alice.as_str(), EVIL, call()), "wrong_kind"),
            publishes(EVIL, &forged(alice.as_str(), EVIL, probe(true)), "wrong_kind"),
            publishes(EVIL, &forged("b/", EVIL, probe(true)), "wrong_kind"),
            publishes(EVIL, &forged("b/", "orch://broker/b1", probe(false)), "foreign_sender"),
            publishes(EVIL, &forged("x", EVIL, answer()), "bad_topic"),
            publishes(EVIL, &large, "card_too_large"),
            publishes(EVIL, &headless, "bad_header"),
            publishes(EVIL, &nested, "bad_header"),
            Attack { uri: EVIL, place: CONTROL, socket: "", bytes: vec![], reason: "wrong_role" },
        ],
    )
}

#[test]
fn a_node_hears_only_what_is_for_it() -> Result<()> {
    const EVIL: &str = "orch://node/evil";
    let fleet = fleet()?;
    let alice = reply_topic(&fleet.issue("orch://operator/alice")?, fleet.ca_pem())?;
    refused(
        &fleet,
        vec![
            subscribes(EVIL, "", "bad_topic"),
            subscribes(EVIL, "c", "bad_topic"),
            subscribes(EVIL, "n/evi", "bad_topic"),
            subscribes(EVIL, "n/n01/", "foreign_topic"),
            subscribes(EVIL, "p/n01/", "foreign_topic"),
            subscribes(EVIL, "b/", "foreign_topic"),
            subscribes(EVIL, alice.as_str(), "foreign_topic"),
            // Each lane carries one direction.
            Attack { place: REPLY, ..subscribes(EVIL, "n/evil/", "malformed") },
            Attack { place: CALL, ..publishes(EVIL, &forged("p/evil/", EVIL, card()), "malformed") },
        ],
    )
}

#[test]
fn an_operator_speaks_and_hears_only_as_itself() -> Result<()> {
    const EVIL: &str = "orch://operator/evil";
    let fleet = fleet()?;
    let alice = reply_topic(&fleet.issue("orch://operator/alice")?, fleet.ca_pem())?;
    let to_alice = || Kind::Call(ping(&alice));
    refused(
        &fleet,
        vec![
            subscribes(EVIL, alice.as_str(), "foreign_reply_topic"),
            subscribes(EVIL, "r/", "bad_topic"),
            subscribes(EVIL, "", "bad_topic"),
            subscribes(EVIL, "c/main/", "foreign_reply_topic"),
            subscribes(EVIL, "p/n01/", "foreign_reply_topic"),
            publishes(EVIL, &forged("c/main/", "orch://operator/alice", to_alice()), "foreign_sender"),
            publishes(EVIL, &forged("c/main/", EVIL, to_alice()), "foreign_reply_topic"),
            publishes(EVIL, &forged("n/n01/", EVIL, to_alice()), "foreign_reply_topic"),
            publishes(EVIL, &forged("n/n01/", EVIL, answer()), "wrong_kind"),
            publishes(EVIL, &forged(alice.as_str(), EVIL, to_alice()), "foreign_topic"),
            publishes(EVIL, &forged("p/n01/", "orch://node/n01", card()), "foreign_sender"),
        ],
    )
}

#[test]
fn a_name_in_use_is_claimed_by_a_second_machine() -> Result<()> {
    let fleet = fleet()?;
    let stolen = fleet.issue("orch://node/n01")?;
    for count in 1..=2 {
        block_on(async { LANES.dial(&fleet, &stolen).await?.closed().await })?;
        fleet.await_refused("node n01", "claimed", count);
    }
    let claims = fleet.status()?.claims;
    assert!(claims.iter().any(|claim| claim.node.as_str() == "n01" && claim.count == 2), "{claims:?}");
    let shown = fleet.run(&["broker", "status"]).expect_code(0);
    assert!(shown.stdout.contains("n01 is claimed by two machines"), "{shown:?}");
    goes_on(&fleet)
}
