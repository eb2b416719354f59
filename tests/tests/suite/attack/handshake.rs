//! Strangers, and those who come too often: what the gate does before it knows or lets in anybody.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;
use orch_link::tls::Channel;
use orch_runner::pki::{Authority, CertPem};
use orch_tests::raw_peer::{RawPeer, block_on, client_hello, plain};
use orch_tests::wait;

use super::kit::{broker_memory, fleet, goes_on};

const LANES: &str = "orch-lanes/1";

#[test]
fn strangers_do_not_pass_the_handshake() -> Result<()> {
    let fleet = fleet()?;
    let ours = fleet.issue("orch://node/evil")?;
    let other = Authority::new()?.issue(&"orch://node/n01".parse()?, &[])?;
    let broker = fleet.issue("orch://broker/evil")?;
    let cases: [(Option<&CertPem>, Option<&str>, &str, u64); 6] = [
        (None, Some(LANES), "no_certificate", 1),
        (Some(&other), Some(LANES), "tls", 1),
        // A broker's certificate is for servers only.
        (Some(&broker), Some(LANES), "tls", 2),
        (Some(&ours), None, "no_alpn", 1),
        (Some(&ours), Some("h2"), "unknown_alpn", 1),
        (Some(&ours), Some("orch-lanes/2"), "unknown_alpn", 2),
    ];
    for (own, alpn, reason, count) in cases {
        block_on(async {
            // A client may learn of its refusal in the handshake or at its first read.
            match RawPeer::dial(fleet.port(), fleet.ca_pem(), own, alpn).await {
                Ok(peer) => assert_eq!(peer.closed().await?, b"", "{alpn:?}"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            Ok(())
        })?;
        fleet.await_refused("", reason, count);
    }
    goes_on(&fleet)
}

#[test]
fn garbage_of_every_length_before_the_handshake() -> Result<()> {
    let fleet = fleet()?;
    let lengths = (0..=64).chain([65, 255, 256, 1000, 4096, 16_384, 16_385, 70_000, 1_000_000]);
    let mut sent = 0;
    for length in lengths {
        // A record of a handshake with nonsense in it, and plain nonsense.
        for first in [0x16, 0x00, 0xff] {
            let bytes: Vec<u8> = std::iter::once(first).chain((1..=255).cycle()).take(length).collect();
            block_on(plain(fleet.port(), &bytes))?;
            sent += 1;
        }
    }
    wait::until("all are counted, without a name", || {
        let status = fleet.status().map_err(|e| format!("{e:#}"))?;
        let strangers = status.refused.iter().filter(|r| r.party.is_empty()).map(|r| r.count).sum::<u64>();
        if strangers >= sent { Ok(()) } else { Err(format!("{strangers} of {sent}: {:?}", status.refused)) }
    });
    goes_on(&fleet)
}

/// A record of a handshake that begins so and is filled up to its longest.
fn record(begin: &[u8]) -> Vec<u8> {
    let mut bytes = [&[0x16, 3, 1, 0x3f, 0xfc], begin].concat();
    bytes.resize(5 + 0x3ffc, 7);
    bytes
}

/// Begins a hello of 65,000 bytes.
const LONG_HELLO: [u8; 4] = [1, 0, 0xfd, 0xe8];

/// A thousand strangers of each kind: silent, with a part of a hello that claims to be long, with a whole one. None of
/// them goes on, and there is room for a third of them.
#[test]
fn a_crowd_of_slow_handshakes_starves_nobody() -> Result<()> {
    let mut fleet = fleet()?;
    let address = SocketAddr::from(([127, 0, 0, 1], fleet.port()));
    let before = broker_memory(&mut fleet)?;
    let part = record(&LONG_HELLO);
    let whole = client_hello(fleet.ca_pem(), LANES)?;
    let mut held = Vec::new();
    for n in 0..3000 {
        let mut tcp = TcpStream::connect(address)?;
        tcp.set_nonblocking(true)?;
        // One that was closed already is none of those that are in the way.
        let _ = match n % 3 {
            0 => Ok(0),
            1 => tcp.write(&part),
            _ => tcp.write(&whole),
        };
        held.push(tcp);
    }
    let asked = Instant::now();
    goes_on(&fleet)?;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let after = broker_memory(&mut fleet)?;
    // At most 32 kB of what a stranger sends are kept, and a little for its being there.
    assert!(after < before + 64 * 1024 * 1024, "{before} {after}");
    fleet.await_refused("", "handshake_evicted", 1);
    drop(held);
    goes_on(&fleet)
}

#[test]
fn a_handshake_has_a_longest_length() -> Result<()> {
    let fleet = fleet()?;
    let bytes = [record(&LONG_HELLO), record(&[]), record(&[])].concat();
    let begun = Instant::now();
    block_on(plain(fleet.port(), &bytes))?;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    fleet.await_refused("", "handshake_too_long", 1);
    goes_on(&fleet)
}

/// Who opens connections without end takes what one party may have, and the others do not notice.
#[test]
fn one_key_does_not_take_all_the_room() -> Result<()> {
    let mut fleet = fleet()?;
    let (operator, n01) = (fleet.issue("orch://operator/mallory")?, fleet.issue("orch://node/n01")?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let dial =
        |own, channel: Channel| RawPeer::dial(fleet.port(), fleet.ca_pem(), Some(own), Some(channel.alpn()));
    let held = runtime.block_on(async {
        let mut held = Vec::new();
        for _ in 0..1010 {
            held.push(dial(&operator, Channel::Control).await?);
        }
        let mut claims = Vec::new();
        for _ in 0..40 {
            claims.push(dial(&n01, Channel::Lanes).await?);
        }
        for claim in claims {
            claim.closed().await?;
        }
        anyhow::Ok(held)
    })?;
    fleet.await_refused("operator mallory", "too_many_connections", 10);
    fleet.await_refused("node n01", "too_many_connections", 1);
    goes_on(&fleet)?;
    drop((held, runtime));
    let refused = fleet.status()?.refused;
    let count =
        |party, reason| refused.iter().find(|r| r.party == party && r.reason == reason).map(|r| r.count);
    assert_eq!(count("operator mallory", "too_many_connections"), Some(10), "{refused:?}");
    assert_eq!(
        count("node n01", "too_many_connections").unwrap_or_default()
            + count("node n01", "claimed").unwrap_or_default(),
        40,
        "{refused:?}"
    );
    let log = fleet.broker()?.log();
    let told = log.lines().filter(|line| line.contains("too_many_connections party=")).count();
    assert!(told <= 40, "{told} lines");
    Ok(())
}
