//! What the gate refuses: each ends the connection and is counted by name and reason.

use orch_link::mux::Lane;
use orch_link::tls::{Channel, Credentials};
use orch_wire::header::{Kind, ProbeHeader};
use orch_wire::ids::{CollectiveName, NodeName, Party};
use orch_wire::topic::{ReplyTopic, Topic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kit::{Authority, Fleet, PATIENCE, call, card, message, presence};

fn main() -> Topic {
    Topic::Collective(CollectiveName::main())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_cannot_speak_for_another() {
    let fleet = Fleet::start().await;
    let mut node = fleet.node("web1").await;
    let dialer = fleet.dialer("orch://operator/alice");
    let topic = ReplyTopic::new(dialer.credentials().certificate(), &[0; 16]);
    let mut alice = fleet.raw("orch://operator/alice", Lane::Call, "XPUB").await;
    alice.publish(&call("bob", &topic, &main())).await;
    alice.closed().await;
    fleet.refused("operator alice", "foreign_sender").await;
    assert!(node.events.try_recv().is_err(), "the call went through");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_cannot_direct_or_hear_the_answers_of_another() {
    let fleet = Fleet::start().await;
    let bobs = ReplyTopic::new(fleet.dialer("orch://operator/bob").credentials().certificate(), &[0; 16]);
    let mut alice = fleet.raw("orch://operator/alice", Lane::Call, "XPUB").await;
    alice.publish(&call("alice", &bobs, &main())).await;
    alice.closed().await;
    let mut alice = fleet.raw("orch://operator/alice", Lane::Reply, "SUB").await;
    alice.subscribe(bobs.as_str()).await;
    alice.closed().await;
    let status = fleet.status_when("both are counted", |s| s.refused.iter().any(|r| r.count == 2)).await;
    assert_eq!(status.refused[0].reason, "foreign_reply_topic");
    let mut channels: Vec<&str> = status.recent.iter().map(|closing| closing.channel.as_str()).collect();
    channels.retain(|channel| *channel != "orch-ctl/1");
    channels.sort_unstable();
    assert_eq!(channels, ["orch-lanes/1", "orch-lanes/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cannot_listen_to_others_nor_speak_for_them() {
    let fleet = Fleet::start().await;
    for (topic, reason) in [("", "bad_topic"), ("n/web2/", "foreign_topic"), ("r/", "bad_topic")] {
        let mut node = fleet.raw("orch://node/web1", Lane::Call, "SUB").await;
        node.subscribe(topic).await;
        node.closed().await;
        fleet.refused("node web1", reason).await;
    }
    let web2 = NodeName::new("web2").unwrap();
    let own_name = |topic: &Topic, kind| message(topic, Party::Node("web1".parse().unwrap()), kind);
    let probe = Kind::Probe(ProbeHeader { nonce: 1, reply_to: None, echo: true });
    for (frames, reason) in [
        (card(&web2, 1, false), "foreign_sender"),
        (own_name(&Topic::Card(web2), card_kind()), "foreign_card"),
        (own_name(&main(), card_kind()), "foreign_topic"),
        (own_name(&Topic::Probe, probe), "wrong_kind"),
    ] {
        let mut node = fleet.raw("orch://node/web1", Lane::Reply, "XPUB").await;
        node.publish(&frames).await;
        node.closed().await;
        fleet.refused("node web1", reason).await;
    }
    assert_eq!(presence(&fleet.roster().await, "web2"), None);
}

fn card_kind() -> Kind {
    card(&"x".parse().unwrap(), 1, false).peek().unwrap().1.kind
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_have_their_channels() {
    let fleet = Fleet::start().await;
    let mut stream = fleet.dialer("orch://node/web1").dial(Channel::Control).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().ok();
    assert!(rest.is_empty());
    fleet.refused("node web1", "wrong_role").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_without_end_are_malformed() {
    let fleet = Fleet::start().await;
    let mut node = fleet.raw("orch://node/web1", Lane::Reply, "XPUB").await;
    let mut huge = vec![3];
    huge.extend_from_slice(&(1u64 << 36).to_be_bytes());
    node.write(&huge).await;
    node.closed().await;
    fleet.refused("node web1", "malformed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_and_counted_without_a_name() {
    let fleet = Fleet::start().await;
    // Of another authority, although it says that it is web1.
    let other = Authority::new();
    let (cert, key) = other.issue("orch://node/web1");
    let stranger = Credentials::from_pem(&fleet.authority.pem, &cert, &key).unwrap();
    if let Ok(mut stream) = fleet.dialer_as(stranger).dial(Channel::Lanes).await {
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().ok();
    }
    fleet.refused("", "tls").await;

    // Not even TLS.
    let address = fleet.broker.as_ref().unwrap().local_addr();
    let mut plain = tokio::net::TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, plain.read_to_end(&mut rest)).await.unwrap().ok();
    let status =
        fleet.status_when("two strangers", |s| s.refused.iter().map(|r| r.count).sum::<u64>() == 2).await;
    assert!(status.refused.iter().all(|r| r.party.is_empty()), "{:?}", status.refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_broker_says_so() {
    let fleet = Fleet::start_with(|config| config.connections = 2).await;
    let _node = fleet.node("web1").await;
    let mut control = fleet.control().await;
    control.roster(false).await;
    let mut raw = fleet.dialer("orch://operator/alice").dial(Channel::Control).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, raw.read_to_end(&mut rest)).await.unwrap().ok();
    let orch_wire::control::Reply::Status(status) = control.ask(&orch_wire::control::Request::Status).await
    else {
        panic!("no status")
    };
    assert_eq!(status.refused[0].reason, "too_many_connections");
    assert_eq!(status.refused[0].party, "operator alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_control_channel_is_answered_and_ends_it() {
    let fleet = Fleet::start().await;
    let mut control = fleet.control().await;
    control.0.send(&"hello").await.unwrap();
    let reply = control.next().await;
    assert!(matches!(reply, orch_wire::control::Reply::Refused { .. }), "{reply:?}");
    fleet.refused("operator watcher", "malformed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_may_hear_other_collectives_comes_back_under_the_new_rules() {
    let fleet = Fleet::start().await;
    let (mut web1, mut db1) = (fleet.node("web1").await, fleet.node("db1").await);
    let broker = fleet.broker.as_ref().unwrap();
    let mut collectives = orch_broker::Collectives::none();
    collectives.allow("*", "*");
    collectives.allow("web*", "eu");
    let admission = |collectives: orch_broker::Collectives| orch_broker::Admission {
        collectives: collectives.into(),
        ..Default::default()
    };
    assert_eq!(broker.readmit(admission(collectives)).unwrap(), 1);
    fleet.refused("node web1", "collectives_changed").await;
    web1.down().await;
    web1.up().await;
    // Nobody may hear anything: what is subscribed already counts too.
    assert_eq!(broker.readmit(admission(orch_broker::Collectives::none())).unwrap(), 2);
    for (node, name) in [(&mut web1, "node web1"), (&mut db1, "node db1")] {
        node.down().await;
        fleet.refused(name, "foreign_collective").await;
    }
}
