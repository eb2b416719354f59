//! Who is there, as an operator sees it over the control channel.

use orch_wire::control::{Change, Presence, Reply, Request};
use orch_wire::ids::NodeName;
use orch_wire::topic::Topic;

use crate::kit::{Fleet, PATIENCE, call, card, presence};

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_lanes_are_open_is_here_at_that_moment() {
    let fleet = Fleet::start().await;
    let mut control = fleet.control().await;
    let before = control.roster(true).await;
    assert!(before.settled && before.nodes.is_empty());
    assert_eq!(before.broker.as_str(), "b1");

    let _web1 = fleet.node("web1").await;
    // No waiting here: the acknowledgement that opened the lanes was seen by the roster first.
    let roster = fleet.roster().await;
    assert_eq!(presence(&roster, "web1"), Some(Presence::Here));
    let entry = control.until("web1", Presence::Here).await;
    let card = entry.card.unwrap();
    assert_eq!((card.topic, card.body, card.seal), ("p/web1/".into(), "body".into(), "seal".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_node_is_away_and_one_that_says_goodbye_has_left() {
    let fleet = Fleet::start().await;
    let mut control = fleet.control().await;
    control.roster(true).await;
    let lost = fleet.node("web1").await;
    let leaving = fleet.node("web2").await;
    control.until("web2", Presence::Here).await;

    drop(lost);
    control.until("web1", Presence::Away).await;

    leaving.link.send(card(&name("web2"), 1, true)).await.unwrap();
    leaving.link.close().await;
    control.until("web2", Presence::Left).await;
    // Its connections end without a further change.
    fleet.status_when("only the watchers are connected", |s| s.connections == 2).await;
    let roster = fleet.roster().await;
    assert_eq!(presence(&roster, "web2"), Some(Presence::Left));

    let nodes = vec![name("web1"), name("web3")];
    let reply = fleet.control().await.ask(&Request::Forget { nodes }).await;
    let (forgotten, unknown) = (vec![name("web1")], vec![name("web3")]);
    assert_eq!(reply, Reply::Forgotten { forgotten, here: vec![], unknown });
    assert_eq!(control.next().await, Reply::Change(Change::Forgotten(name("web1"))));
    assert_eq!(presence(&fleet.roster().await, "web1"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_is_here_and_reachable_each_time() {
    let fleet = Fleet::start().await;
    let (alice, topic) = fleet.operator("alice").await;
    for _ in 0..20 {
        let mut node = fleet.node("web1").await;
        assert_eq!(presence(&fleet.roster().await, "web1"), Some(Presence::Here));
        alice.link.send(call("alice", &topic, &Topic::Node(name("web1")))).await.unwrap();
        node.message().await;
    }
    let status = fleet.status_when("status", |_| true).await;
    assert!(status.claims.is_empty() && status.refused.is_empty(), "{status:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_machine_with_the_same_name_is_refused_and_shown() {
    let fleet = Fleet::start().await;
    let mut first = fleet.node("web1").await;
    let mut second = fleet.node_coming("web1");
    second.down().await;
    let status = fleet.status_when("the claim is shown", |s| !s.claims.is_empty()).await;
    assert_eq!(status.claims[0].node.as_str(), "web1");
    assert!(status.claims[0].from.starts_with("127.0.0.1:"));
    fleet.refused("node web1", "claimed").await;
    assert_eq!(presence(&fleet.roster().await, "web1"), Some(Presence::Here));
    // The first was not disturbed.
    assert!(first.events.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_broker_waits_for_those_who_were_here() {
    let mut fleet = Fleet::start().await;
    let web1 = fleet.node("web1").await;
    let leaving = fleet.node("web2").await;
    leaving.link.send(card(&name("web2"), 1, true)).await.unwrap();
    leaving.link.close().await;
    fleet.status_when("web2 has left", |s| s.left == 1).await;
    // web1 must not be back before the roster is looked at.
    fleet.stop_broker().await;
    drop(web1);

    fleet.start_broker().await;
    let mut control = fleet.control().await;
    let roster = control.roster(true).await;
    assert!(!roster.settled);
    assert_eq!(roster.expected, 1);
    assert_eq!(presence(&roster, "web1"), Some(Presence::Away));
    assert_eq!(presence(&roster, "web2"), Some(Presence::Left));

    let _web1 = fleet.node("web1").await;
    control.until("web1", Presence::Here).await;
    assert_eq!(control.next().await, Reply::Change(Change::Settled));
    assert!(fleet.roster().await.settled);
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_come_back_to_a_restarted_broker_by_themselves() {
    let mut fleet = Fleet::start().await;
    let mut web1 = fleet.node("web1").await;
    fleet.stop_broker().await;
    web1.down().await;
    fleet.start_broker().await;
    let reopened = async {
        loop {
            match web1.events.recv().await.unwrap() {
                orch_link::LinkEvent::Up => return,
                orch_link::LinkEvent::Down { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, reopened).await.unwrap();
    let roster = fleet.roster().await;
    assert!(roster.settled);
    assert_eq!(presence(&roster, "web1"), Some(Presence::Here));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_remembers_and_a_damaged_file_is_put_aside() {
    let mut fleet = Fleet::start().await;
    let web1 = fleet.node("web1").await;
    let file = fleet.folder.path().join("state/roster");
    let deadline = std::time::Instant::now() + PATIENCE;
    while !std::fs::read(&file).is_ok_and(|bytes| bytes.windows(4).any(|w| w == b"here")) {
        assert!(std::time::Instant::now() < deadline, "the roster was never written");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop(fleet.broker.take());
    drop(web1);
    fleet.start_broker().await;
    assert_eq!(fleet.roster().await.expected, 1);

    fleet.stop_broker().await;
    std::fs::write(&file, b"garbage").unwrap();
    fleet.start_broker().await;
    let roster = fleet.roster().await;
    // Nobody knows who was here, so it is not settled before the minute is over.
    assert!(!roster.settled && roster.nodes.is_empty());
    assert!(fleet.folder.path().join("state/roster.unreadable").exists());
}
