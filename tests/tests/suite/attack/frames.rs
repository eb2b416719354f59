//! Peers of the fleet that do not keep to ZMTP, or not to its measure.

use anyhow::{Context, Result};
use orch_tests::raw_peer::{block_on, hello, long_head, message, subscription};

use super::kit::{Attack, CALL, CONTROL, LANES, REPLY, broker_memory, fleet, goes_on, refused};

#[test]
fn garbage_of_every_length_after_the_handshake() -> Result<()> {
    let fleet = fleet()?;
    let mut attacks = Vec::new();
    for length in (1..=64).chain([65, 200, 5000, 70_000]) {
        let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
        attacks.push(Attack { uri: "orch://node/evil", place: CALL, socket: "", bytes, reason: "malformed" });
    }
    for length in [1, 2, 200, 70_000] {
        let bytes: Vec<u8> = (0x80..=0xff).cycle().take(length).collect();
        for (place, socket) in [(CALL, "SUB"), (REPLY, "XPUB")] {
            attacks.push(Attack {
                uri: "orch://node/evil",
                place,
                socket,
                bytes: bytes.clone(),
                reason: "malformed",
            });
        }
    }
    for bytes in [vec![0xff; 4], vec![0, 0, 0, 1, 0xc1], vec![0, 0, 0, 3, 0x91, 0x91, 0x91]] {
        attacks.push(Attack {
            uri: "orch://operator/evil",
            place: CONTROL,
            socket: "",
            bytes,
            reason: "malformed",
        });
    }
    refused(&fleet, attacks)
}

/// Below the lanes: chunks of no lane, of no length, and longer than any.
#[test]
fn chunks_that_cannot_be_end_the_connection() -> Result<()> {
    let fleet = fleet()?;
    let mut attacks = Vec::new();
    for uri in ["orch://node/evil", "orch://operator/evil"] {
        for bytes in [&[2, 0, 1, 0xff][..], &[0xff; 3], &[0, 0, 0], &[1, 0xff, 0xff], &[0, 0x40, 0]] {
            attacks.push(Attack { uri, place: LANES, socket: "", bytes: bytes.into(), reason: "malformed" });
        }
        // A sound chunk on a lane, and nonsense in it.
        let bytes = [&[0, 0, 70][..], &[7; 70]].concat();
        attacks.push(Attack { uri, place: LANES, socket: "", bytes, reason: "malformed" });
    }
    refused(&fleet, attacks)
}

#[test]
fn frames_without_measure_cost_nothing() -> Result<()> {
    const EVIL: &str = "orch://node/evil";
    let mut fleet = fleet()?;
    let before = broker_memory(&mut fleet)?;
    let node = |place, socket, bytes| Attack { uri: EVIL, place, socket, bytes, reason: "malformed" };
    let mut attacks = Vec::new();
    for length in [1 << 62, 1 << 36, u64::MAX, 129] {
        attacks.push(node(REPLY, "XPUB", long_head(length, true)));
        attacks.push(node(CALL, "SUB", long_head(length, false)));
    }
    let mut third = message(&[b"p/evil/", b"h"]);
    third[0] |= 1;
    third[1 + 8 + 7] |= 1;
    third.extend(long_head(1 << 36, true));
    attacks.push(node(REPLY, "XPUB", third));
    // Thirteen megabytes of empty parts of one message.
    attacks.push(node(REPLY, "XPUB", [1, 0].repeat(6_500_000)));
    attacks.push(node(REPLY, "XPUB", message(&[b"a", b"b", b"c", b"d", b"e"])));
    attacks.push(node(REPLY, "XPUB", message(&[b"a", b"b", b"c"])));
    attacks.push(node(CALL, "SUB", subscription(&"x".repeat(200))));
    let mine = [("Socket-Type", &b"SUB"[..]), ("Identity", b"n01")];
    attacks.push(node(CALL, "", hello(&mine)));
    attacks.push(node(CALL, "", hello(&[("Socket-Type", &b"SUB"[..]), ("X", &[0; 300])])));
    let mut curve = hello(&[("Socket-Type", &b"SUB"[..])]);
    curve[12..17].copy_from_slice(b"CURVE");
    attacks.push(node(CALL, "", curve));
    refused(&fleet, attacks)?;
    let after = broker_memory(&mut fleet)?;
    assert!(after < before + 16 * 1024 * 1024, "{before} {after}");
    Ok(())
}

#[test]
fn subscriptions_are_counted_and_cannot_be_laundered() -> Result<()> {
    const EVIL: &str = "orch://node/evil";
    let mut fleet = fleet()?;
    let before = broker_memory(&mut fleet)?;
    let many = (0..200_000).flat_map(|n| subscription(&format!("c/c{n}/"))).collect();
    // The end of a subscription that never was must not make room for another.
    let mut end = subscription("c/none/");
    end[2] = 0;
    let laundered =
        (0..200_000).flat_map(|n| [subscription(&format!("c/c{n}/")), end.clone()].concat()).collect();
    let node = |bytes, reason| Attack { uri: EVIL, place: CALL, socket: "SUB", bytes, reason };
    refused(
        &fleet,
        vec![
            node(many, "too_many_subscriptions"),
            node(laundered, "bad_unsubscribe"),
            node(subscription("n/evil/").repeat(200_000), "too_many_subscriptions"),
        ],
    )?;
    let after = broker_memory(&mut fleet)?;
    assert!(after < before + 16 * 1024 * 1024, "{before} {after}");
    Ok(())
}

#[test]
fn sockets_of_another_type_harm_only_themselves() -> Result<()> {
    let fleet = fleet()?;
    let pem = fleet.issue("orch://node/evil")?;
    for (place, socket) in
        [(CALL, "PUB"), (CALL, "DEALER"), (CALL, "NONSENSE"), (REPLY, "SUB"), (REPLY, "REP")]
    {
        block_on(async {
            let mut peer = place.dial(&fleet, &pem).await?;
            peer.greet(socket).await?;
            peer.closed().await.with_context(|| format!("{place:?} {socket}"))
        })?;
    }
    goes_on(&fleet)
}
