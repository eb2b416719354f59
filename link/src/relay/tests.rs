use super::*;
use crate::task::{self, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// Refuses one topic and drops another.
struct Rules;

impl Inspect for Rules {
    fn inward(&mut self, item: Item<'_>) -> Verdict {
        match item {
            Item::Message { topic: b"bad", .. } => Verdict::Close("bad_topic"),
            Item::Message { topic: b"drop", .. } => Verdict::Drop,
            _ => Verdict::Pass,
        }
    }
    fn outward(&mut self, _: Item<'_>) -> Verdict {
        Verdict::Pass
    }
}

fn start(socket_type: &str) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    (bytes[0], bytes[9], bytes[10]) = (0xff, 0x7f, 3);
    bytes[12..16].copy_from_slice(b"NULL");
    let mut body = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
    body.push(socket_type.len() as u8);
    body.extend_from_slice(socket_type.as_bytes());
    bytes.extend_from_slice(&[0x04, body.len() as u8]);
    bytes.extend_from_slice(&body);
    bytes
}

fn message(topic: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x01, topic.len() as u8];
    bytes.extend_from_slice(topic);
    bytes.extend_from_slice(&[0x01, 1, b'h', 0x03]);
    bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&[0x00, 1, b's']);
    bytes
}

/// A gate's relay to a publishing peer, or with `Traffic::Subscriptions` to a subscribing one, past the handshake.
async fn gate(from_peer: Traffic, pipe: usize) -> (DuplexStream, UnixStream, Task<RelayEnd>) {
    let (mut peer, near) = duplex(pipe);
    let (mut local, far) = UnixStream::pair().unwrap();
    let settings = RelaySettings { from_peer, overflow: Overflow::Close };
    let relay = task::spawn(relay(near, far, settings, Rules));
    let (ours, theirs) = (start("PUB"), start("SUB"));
    peer.write_all(&ours).await.unwrap();
    local.write_all(&theirs).await.unwrap();
    let mut seen = vec![0; ours.len()];
    local.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, ours);
    peer.read_exact(&mut seen).await.unwrap();
    (peer, local, relay)
}

#[tokio::test]
async fn what_passes_arrives_as_it_was_and_an_end_loses_nothing() {
    let (mut peer, mut local, relay) = gate(Traffic::Messages, 1000).await;
    let big = message(b"a", &[7; 100_000]);
    peer.write_all(&big).await.unwrap();
    peer.write_all(&message(b"drop", b"x")).await.unwrap();
    peer.write_all(&message(b"last", b"y")).await.unwrap();
    drop(peer);
    let mut seen = Vec::new();
    local.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, [big, message(b"last", b"y")].concat());
    assert_eq!(relay.await.unwrap().reason, "closed");
}

#[tokio::test]
async fn a_rule_and_a_check_end_the_connection_by_name() {
    let (mut peer, _local, relay) = gate(Traffic::Messages, 1000).await;
    peer.write_all(&message(b"bad", b"")).await.unwrap();
    assert_eq!(relay.await.unwrap().reason, "bad_topic");

    let (mut peer, _local, relay) = gate(Traffic::Messages, 1000).await;
    peer.write_all(&[0x03, 0, 0, 0, 16, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(relay.await.unwrap().reason, "malformed");

    // The other direction is checked too.
    let (_peer, mut local, relay) = gate(Traffic::Messages, 1000).await;
    local.write_all(&message(b"a", b"")).await.unwrap();
    assert_eq!(relay.await.unwrap().reason, "malformed");
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed_when_its_queue_is_full() {
    let (_peer, mut local, relay) = gate(Traffic::Subscriptions, 1000).await;
    let chunk = message(b"c/main/", &[0; 60_000]);
    let mut sent = 0;
    while local.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 8 * 1024 * 1024, "bounded");
    }
    assert_eq!(relay.await.unwrap().reason, "queue_full");
}

#[tokio::test(start_paused = true)]
async fn a_write_without_progress_is_ended_in_time() {
    let (_peer, mut local, relay) = gate(Traffic::Subscriptions, 100).await;
    local.write_all(&message(b"c/main/", &[0; 5000])).await.unwrap();
    let begun = Instant::now();
    assert_eq!(relay.await.unwrap().reason, "stalled");
    assert!(begun.elapsed() >= STALL && begun.elapsed() < STALL * 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stranger_is_ended_in_time() {
    let (_peer, near) = duplex(100);
    let (_local, far) = UnixStream::pair().unwrap();
    let settings = RelaySettings { from_peer: Traffic::Messages, overflow: Overflow::Close };
    let end = relay(near, far, settings, PassAll).await;
    assert_eq!(end.reason, "handshake");
}
