use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use zeromq::{SocketRecv, XPubSocket};

use super::*;
use orch_wire::topic::ReplyTopic;

fn header(sender: &str, kind: Kind) -> Vec<u8> {
    codec::encode(&Header {
        version: PROTOCOL,
        id: entropy::message_id(),
        sender: sender.parse().unwrap(),
        issued_at: entropy::now(),
        ttl: ANSWER_TTL,
        lz4: false,
        kind,
    })
    .unwrap()
}

#[test]
fn messages_go_on_and_proofs_go_back() {
    let to = ReplyTopic::new(b"certificate", &[1; 16]);
    let probe = |reply_to, echo| Kind::Probe(ProbeHeader { nonce: 7, reply_to, echo });
    let operator = header("orch://operator/alice", probe(Some(to.clone()), false));
    let node_probe = header("orch://node/web1", probe(None, false));
    let card = header("orch://node/web1", Kind::Card(CardHeader { nonce: 8, goodbye: false }));
    let web1 = || Topic::Node("web1".parse().unwrap());
    for (lane, topic, header, expected) in [
        (Lane::Call, "c/main/", &b"anything"[..], Way::On),
        (Lane::Call, "n/web1/", b"anything", Way::On),
        (Lane::Call, "b/", &operator, Way::Answer(Topic::Reply(to.clone()), 7)),
        (Lane::Call, "b/", &node_probe, Way::Nowhere),
        (Lane::Call, "b/", b"garbage", Way::Nowhere),
        (Lane::Call, to.as_str(), b"anything", Way::Nowhere),
        (Lane::Reply, to.as_str(), b"anything", Way::On),
        (Lane::Reply, "b/", &node_probe, Way::Answer(web1(), 7)),
        (Lane::Reply, "p/web1/", &card, Way::Answer(web1(), 8)),
        (Lane::Reply, "p/web1/", b"garbage", Way::Nowhere),
        (Lane::Reply, "b/", &operator, Way::Nowhere),
        (Lane::Reply, "c/main/", b"anything", Way::Nowhere),
        (Lane::Reply, "", b"", Way::Nowhere),
    ] {
        assert_eq!(way(lane, topic.as_bytes(), header), expected, "{lane:?} {topic}");
    }
}

/// Reached only where the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn a_call() -> ZmqMessage {
    let frames: [bytes::Bytes; 4] =
        ["c/main/", "header", "body", "seal"].map(|frame| frame.as_bytes().to_vec().into());
    ZmqMessage::try_from(Vec::from(frames)).unwrap()
}

async fn subscriber(path: &Path) -> SubSocket {
    let mut socket = SubSocket::new();
    socket.subscribe("c/main/").await.unwrap();
    socket.connect(&format!("ipc://{}", path.display())).await.unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_that_go_while_a_message_is_handed_out_do_not_stop_the_lane() {
    let folder = tempfile::tempdir().unwrap();
    let folder = SocketDir::create(folder.path()).unwrap();
    let lanes = Lanes::start(&"b1".parse().unwrap(), &folder).await.unwrap();
    let mut publisher = XPubSocket::new();
    publisher.connect(&format!("ipc://{}", lanes.sockets.call_in.display())).await.unwrap();
    publisher.recv().await.unwrap();
    for round in 0..10 {
        let subscribers = join_all((0..300).map(|_| subscriber(&lanes.sockets.call_out))).await;
        let going = task::spawn(async move { drop(subscribers) });
        for _ in 0..50 {
            publisher.send(a_call()).await.unwrap();
        }
        going.await.unwrap();
        let mut newcomer = subscriber(&lanes.sockets.call_out).await;
        let arrives = async {
            // Its subscription takes a moment to arrive.
            while timeout(Duration::from_millis(50), newcomer.recv()).await.is_err() {
                publisher.send(a_call()).await.unwrap();
            }
        };
        assert!(timeout(PATIENCE, arrives).await.is_ok(), "the lane stands still in round {round}");
    }
}
