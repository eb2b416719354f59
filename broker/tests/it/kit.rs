//! A throwaway authority, a broker on port 0, and peers: well-behaved ones by `link`, others by hand.

use std::sync::Arc;
use std::time::Duration;

use orch_broker::{Broker, BrokerConfig, RunningBroker, StartError};
use orch_link::control::{self, ControlStream};
use orch_link::mux::{self, Lane, LaneStream};
use orch_link::socket_dir::SocketDir;
use orch_link::tls::{Channel, ClientStream, Credentials};
use orch_link::{Dialer, LinkEvent, LinkHandle, LinkRole, entropy, keep_open};
use orch_wire::codec;
use orch_wire::control::{Change, Entry, Presence, Reply, Request, Roster, Status};
use orch_wire::envelope::Frames;
use orch_wire::header::{CallHeader, CardHeader, Header, Kind, Millis, ReplyHeader, Stage, Target};
use orch_wire::ids::{CollectiveName, NodeName, Party};
use orch_wire::limits::{CONTROL_REPLY_BYTES, PROTOCOL};
use orch_wire::topic::{ReplyTopic, Topic};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest wait for anything; reached only where a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An authority, and the folder of everything in a test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "throwaway");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key of a party, in PEM.
    pub(crate) fn issue(&self, uri: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        params.extended_key_usages = if uri.starts_with("orch://broker/") {
            params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
            vec![ExtendedKeyUsagePurpose::ServerAuth]
        } else {
            vec![ExtendedKeyUsagePurpose::ClientAuth]
        };
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn credentials(&self, uri: &str) -> Credentials {
        let (cert, key) = self.issue(uri);
        Credentials::from_pem(&self.pem, &cert, &key).unwrap()
    }
}

/// A broker and all that its peers need.
pub(crate) struct Fleet {
    pub(crate) authority: Authority,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: BrokerConfig,
    pub(crate) broker: Option<RunningBroker>,
    sockets: Arc<SocketDir>,
    address: String,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let authority = Authority::new();
        let folder = tempfile::tempdir().unwrap();
        let mut config = BrokerConfig::new(
            authority.credentials("orch://broker/b1"),
            folder.path().join("state"),
            folder.path().join("run"),
        );
        change(&mut config);
        let sockets = Arc::new(SocketDir::create(&folder.path().join("peers")).unwrap());
        let mut fleet =
            Self { authority, folder, config, broker: None, sockets, address: "127.0.0.1:0".to_owned() };
        fleet.start_broker().await;
        fleet
    }

    /// Starts the broker again, on the port that it had. One that was cut needs a moment to let go of port and folder.
    pub(crate) async fn start_broker(&mut self) {
        let start = async {
            loop {
                if let Ok(listener) = TcpListener::bind(&self.address).await {
                    match Broker::start(self.config.clone(), listener).await {
                        Ok(broker) => return broker,
                        Err(StartError::StateInUse(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let broker = timeout(PATIENCE, start).await.unwrap();
        self.address = broker.local_addr().to_string();
        self.broker = Some(broker);
    }

    pub(crate) async fn stop_broker(&mut self) {
        self.broker.take().unwrap().shutdown().await;
    }

    pub(crate) fn dialer(&self, uri: &str) -> Dialer {
        self.dialer_as(self.authority.credentials(uri))
    }

    pub(crate) fn dialer_as(&self, credentials: Credentials) -> Dialer {
        let sockets = Arc::clone(&self.sockets);
        Dialer::new(&self.address, "127.0.0.1", credentials, sockets, PATIENCE).unwrap()
    }

    /// A node that keeps its lanes open; returns once they are.
    pub(crate) async fn node(&self, name: &str) -> Peer {
        let mut peer = self.node_coming(name);
        peer.up().await;
        peer
    }

    /// The same, without waiting.
    pub(crate) fn node_coming(&self, name: &str) -> Peer {
        let node = NodeName::new(name).unwrap();
        let role = LinkRole::Node {
            name: node.clone(),
            collectives: vec![CollectiveName::main()],
            card: Box::new(move |nonce| card(&node, nonce, false)),
        };
        let (link, events) = keep_open(self.dialer(&format!("orch://node/{name}")), role);
        Peer { link, events }
    }

    /// An operator with its lanes open.
    pub(crate) async fn operator(&self, name: &str) -> (Peer, ReplyTopic) {
        let dialer = self.dialer(&format!("orch://operator/{name}"));
        let topic = ReplyTopic::new(dialer.credentials().certificate(), &entropy::random());
        let (link, events) = keep_open(dialer, LinkRole::Operator { reply_topic: topic.clone() });
        let mut peer = Peer { link, events };
        peer.up().await;
        (peer, topic)
    }

    pub(crate) async fn control(&self) -> Control {
        let dialer = self.dialer("orch://operator/watcher");
        Control(control::connect(&dialer).await.unwrap())
    }

    /// The roster as it is now.
    pub(crate) async fn roster(&self) -> Roster {
        self.control().await.roster(false).await
    }

    /// The status once it fulfils a condition.
    pub(crate) async fn status_when(&self, what: &str, condition: impl Fn(&Status) -> bool) -> Status {
        let mut control = self.control().await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let Reply::Status(status) = control.ask(&Request::Status).await else { panic!("no status") };
            if condition(&status) {
                return *status;
            }
            assert!(tokio::time::Instant::now() < deadline, "never: {what}; last: {status:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a party was refused for a reason.
    pub(crate) async fn refused(&self, party: &str, reason: &str) {
        let what = format!("`{party}` refused for `{reason}`");
        self.status_when(&what, |status| {
            status.refused.iter().any(|r| r.party == party && r.reason == reason && r.count >= 1)
        })
        .await;
    }

    /// A peer that speaks ZMTP by hand and so can say anything.
    pub(crate) async fn raw(&self, uri: &str, lane: Lane, socket_type: &str) -> Raw {
        let stream = self.dialer(uri).dial(Channel::Lanes).await.unwrap();
        let (call, reply, _) = mux::split(stream);
        Raw::shake(if lane == Lane::Call { call } else { reply }, socket_type).await
    }
}

/// A party with its lanes kept open.
pub(crate) struct Peer {
    pub(crate) link: LinkHandle,
    pub(crate) events: mpsc::Receiver<LinkEvent>,
}

impl Peer {
    pub(crate) async fn up(&mut self) {
        match timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap() {
            LinkEvent::Up => {}
            other => panic!("{other:?} instead of open lanes"),
        }
    }

    pub(crate) async fn message(&mut self) -> Frames {
        match timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap() {
            LinkEvent::Message(frames) => frames,
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// The error of the next failed try to open the lanes.
    pub(crate) async fn down(&mut self) -> String {
        match timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap() {
            LinkEvent::Down { error, .. } => error.to_string(),
            other => panic!("{other:?} instead of a refusal"),
        }
    }
}

/// A control channel.
pub(crate) struct Control(pub(crate) ControlStream<ClientStream>);

impl Control {
    pub(crate) async fn ask(&mut self, request: &Request) -> Reply {
        self.0.send(request).await.unwrap();
        self.next().await
    }

    pub(crate) async fn next(&mut self) -> Reply {
        timeout(PATIENCE, self.0.recv(CONTROL_REPLY_BYTES)).await.unwrap().unwrap().unwrap()
    }

    pub(crate) async fn roster(&mut self, watch: bool) -> Roster {
        match self.ask(&Request::Roster { watch }).await {
            Reply::Roster(roster) => roster,
            other => panic!("{other:?} instead of a roster"),
        }
    }

    /// Waits in the feed until a node is so.
    pub(crate) async fn until(&mut self, node: &str, presence: Presence) -> Entry {
        loop {
            match self.next().await {
                Reply::Change(Change::Node(entry))
                    if entry.node.as_str() == node && entry.presence == presence =>
                {
                    return entry;
                }
                Reply::Change(_) => {}
                other => panic!("{other:?} in the feed"),
            }
        }
    }
}

pub(crate) fn presence(roster: &Roster, node: &str) -> Option<Presence> {
    roster.nodes.iter().find(|entry| entry.node.as_str() == node).map(|entry| entry.presence)
}

/// One end of a lane, by hand.
pub(crate) struct Raw(LaneStream<ClientStream>);

impl Raw {
    async fn shake(mut stream: LaneStream<ClientStream>, socket_type: &str) -> Self {
        let mut hello = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0];
        hello.extend_from_slice(b"NULL");
        hello.resize(64, 0);
        let mut ready = b"\x05READY\x0bSocket-Type".to_vec();
        ready.extend_from_slice(&u32::try_from(socket_type.len()).unwrap().to_be_bytes());
        ready.extend_from_slice(socket_type.as_bytes());
        hello.extend_from_slice(&[4, u8::try_from(ready.len()).unwrap()]);
        hello.extend_from_slice(&ready);
        stream.write_all(&hello).await.unwrap();
        Self(stream)
    }

    pub(crate) async fn subscribe(&mut self, topic: &str) {
        let mut frame = vec![0, u8::try_from(topic.len() + 1).unwrap(), 1];
        frame.extend_from_slice(topic.as_bytes());
        self.write(&frame).await;
    }

    pub(crate) async fn publish(&mut self, frames: &Frames) {
        let mut bytes = Vec::new();
        let parts = frames.clone().into_parts();
        for (i, part) in parts.iter().enumerate() {
            bytes.push(2 | u8::from(i + 1 < parts.len()));
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        self.write(&bytes).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Reads until the broker has ended the connection.
    pub(crate) async fn closed(mut self) {
        let mut bytes = [0; 1024];
        let read = async { while self.0.read(&mut bytes).await.is_ok_and(|count| count > 0) {} };
        timeout(PATIENCE, read).await.unwrap();
    }
}

pub(crate) fn message(topic: &Topic, sender: Party, kind: Kind) -> Frames {
    let header = Header {
        version: PROTOCOL,
        id: entropy::message_id(),
        sender,
        issued_at: entropy::now(),
        ttl: Millis(60_000),
        lz4: false,
        kind,
    };
    Frames {
        topic: topic.to_string().into(),
        header: codec::encode(&header).unwrap().into(),
        // Sealed with a key that the broker does not have, for all it can know.
        body: "body".into(),
        seal: "seal".into(),
    }
}

pub(crate) fn card(node: &NodeName, nonce: u64, goodbye: bool) -> Frames {
    let kind = Kind::Card(CardHeader { nonce, goodbye });
    message(&Topic::Card(node.clone()), Party::Node(node.clone()), kind)
}

pub(crate) fn call(operator: &str, reply_to: &ReplyTopic, topic: &Topic) -> Frames {
    let kind = Kind::Call(CallHeader {
        call: entropy::call_id(),
        run: entropy::run_id(),
        collective: CollectiveName::main(),
        reply_to: reply_to.clone(),
        target: Target::All,
        agent: "node".parse().unwrap(),
        action: "ping".parse().unwrap(),
        timeout: Millis(1000),
        spread: Millis(0),
    });
    message(topic, format!("orch://operator/{operator}").parse().unwrap(), kind)
}

pub(crate) fn reply(node: &str, call: &Frames) -> Frames {
    let Kind::Call(asked) = call.peek().unwrap().1.kind else { panic!("not a call") };
    let kind = Kind::Reply(ReplyHeader { call: asked.call, stage: Stage::Done, seq: 0 });
    message(&Topic::Reply(asked.reply_to), format!("orch://node/{node}").parse().unwrap(), kind)
}
