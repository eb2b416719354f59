//! Calls travel, replies come back, and each reaches only whom it is for.

use orch_wire::ids::{CollectiveName, NodeName};
use orch_wire::topic::Topic;

use crate::kit::{Fleet, call, reply};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_to_every_node_and_each_answer_comes_back() {
    let fleet = Fleet::start().await;
    let mut nodes = [fleet.node("web1").await, fleet.node("web2").await];
    let (mut alice, topic) = fleet.operator("alice").await;
    let (mut bob, bobs) = fleet.operator("bob").await;

    let asked = call("alice", &topic, &Topic::Collective(CollectiveName::main()));
    alice.link.send(asked.clone()).await.unwrap();
    for (node, name) in nodes.iter_mut().zip(["web1", "web2"]) {
        let received = node.message().await;
        assert_eq!(received, asked);
        node.link.send(reply(name, &received)).await.unwrap();
    }
    let mut senders =
        [alice.message().await, alice.message().await].map(|r| r.peek().unwrap().1.sender.uri());
    senders.sort();
    assert_eq!(senders, ["orch://node/web1", "orch://node/web2"]);

    // Directed, and by another operator: only web2 hears it, and only bob its answer.
    let directed = call("bob", &bobs, &Topic::Node(NodeName::new("web2").unwrap()));
    bob.link.send(directed.clone()).await.unwrap();
    let received = nodes[1].message().await;
    nodes[1].link.send(reply("web2", &received)).await.unwrap();
    assert_eq!(bob.message().await.topic, bobs.to_string());
    assert!(nodes[0].events.try_recv().is_err());
    assert!(alice.events.try_recv().is_err());

    let status = fleet.status_when("all is counted", |s| s.replies_forwarded == 3).await;
    assert_eq!(status.calls_forwarded, 2);
    assert_eq!(status.operators, ["alice", "bob", "watcher"]);
    assert_eq!((status.here, status.refused.len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_at_once_reaches_every_node_every_time() {
    let fleet = Fleet::start().await;
    let mut node = fleet.node("web1").await;
    for _ in 0..30 {
        let (mut alice, topic) = fleet.operator("alice").await;
        alice.link.send(call("alice", &topic, &Topic::Node("web1".parse().unwrap()))).await.unwrap();
        let received = node.message().await;
        node.link.send(reply("web1", &received)).await.unwrap();
        assert_eq!(alice.message().await.topic, topic.to_string());
    }
}
