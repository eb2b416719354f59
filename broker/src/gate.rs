//! The gate: takes connections, learns who is there, and joins each to the lanes under its rules.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use orch_link::backoff::Backoff;
use orch_link::carry::{LaneEnd, carry};
use orch_link::dial::settle;
use orch_link::entropy;
use orch_link::mux::Lane;
use orch_link::relay::{Overflow, RelayEnd};
use orch_link::tls::{Admitted, Channel, Credentials, CredentialsError, ServerStream};
use orch_link::zmtp::Traffic;
use orch_wire::control::Closing;
use orch_wire::ids::Party;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::admission::{Admission, Entrance, Papers};
use crate::connections::{Listed, Newcomer, NotListed};
use crate::control::{self, Sources};
use crate::handshakes::{Handshake, Handshakes};
use crate::hush::{self, Hush};
use crate::keeper::Event;
use crate::lanes::LaneSockets;
use crate::rules::{Inspector, Rules};

/// A handshake that is not done in this time is given up.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Tries to join a lane whose socket has a full backlog, as when a fleet comes at once, and the time between them.
const JOIN_TRIES: u32 = 200;
const JOIN_EVERY: Duration = Duration::from_millis(10);

/// What every connection needs.
pub(crate) struct Gate {
    pub(crate) credentials: Credentials,
    pub(crate) entrance: Mutex<Arc<Entrance>>,
    pub(crate) sockets: LaneSockets,
    pub(crate) sources: Sources,
    /// Room for connections of known parties.
    pub(crate) room: Arc<Semaphore>,
    /// Room for handshakes; apart, so that strangers cannot take the room of the fleet.
    pub(crate) handshakes: Arc<Handshakes>,
    /// What of the refusals is not told one by one.
    pub(crate) hush: Mutex<Hush>,
    /// Cancelled when connections must end.
    pub(crate) stop: CancellationToken,
}

/// A connection that ends before or after it is known whose it is: what is told of it.
struct Ending {
    from: SocketAddr,
    opened: Instant,
    party: Option<Party>,
    channel: Option<Channel>,
}

impl Gate {
    /// Who is let in now, and by whom they are asked.
    fn entrance(&self) -> Arc<Entrance> {
        Arc::clone(&self.entrance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// See [`crate::RunningBroker::readmit`].
    pub(crate) fn readmit(&self, admission: Admission) -> Result<usize, CredentialsError> {
        let now = Arc::new(Entrance::new(&self.credentials, admission)?);
        let before = {
            let mut entrance = self.entrance.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *entrance, Arc::clone(&now))
        };
        // Who is listed from here on finds the new one; see `admitted`.
        Ok(self
            .sources
            .connections
            .judge(|connection| now.admission.objection(connection, &before.admission)))
    }

    /// Accepts until `closing` is cancelled; the connections that are open then.
    pub(crate) async fn run(
        self: Arc<Self>,
        listener: TcpListener,
        closing: CancellationToken,
    ) -> JoinSet<()> {
        let mut open = JoinSet::new();
        let mut backoff = Backoff::default();
        let mut telling = interval(hush::SPAN);
        telling.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                _ = telling.tick() => {
                    self.tell_the_rest();
                    continue;
                }
                () = closing.cancelled() => return open,
                Some(_) = open.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((tcp, from)) => {
                    backoff.reset();
                    // Without room the others wait in the kernel.
                    let handshake = tokio::select! {
                        () = closing.cancelled() => return open,
                        handshake = self.handshakes.begin() => handshake,
                    };
                    open.spawn(Arc::clone(&self).serve(tcp, from, handshake));
                }
                Err(error) => {
                    // Out of descriptors, most likely: those of ended connections come back.
                    tracing::error!("cannot accept a connection: {error}");
                    tokio::select! {
                        () = closing.cancelled() => return open,
                        () = sleep(backoff.next_delay()) => {}
                    }
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, tcp: TcpStream, from: SocketAddr, handshake: Handshake) {
        let mut ending = Ending { from, opened: Instant::now(), party: None, channel: None };
        let entrance = self.entrance();
        let admitted = tokio::select! {
            admitted = Box::pin(admit(&entrance, tcp)) => admitted,
            () = handshake.evicted() => Err(end("handshake_evicted", "others wait, and it took long")),
        };
        drop(handshake);
        let end = match admitted {
            Ok(admitted) => self.admitted(admitted, entrance, &mut ending).await,
            Err(end) => end,
        };
        self.record(ending, end);
    }

    async fn admitted(&self, admitted: Admitted, entrance: Arc<Entrance>, ending: &mut Ending) -> RelayEnd {
        let Admitted { stream, channel, certificate, shown, names } = admitted;
        ending.channel = Some(channel);
        let party = match entrance.admission.party(&names) {
            Ok(party) => party,
            Err(reason) => return end(reason, names.common_name.unwrap_or_default()),
        };
        ending.party = Some(party.clone());
        let plan = match (&party, channel) {
            (Party::Operator(_), Channel::Control) => None,
            (Party::Operator(name), Channel::Lanes) => Some(Plan {
                call: Rules::operator_call(name.clone(), &certificate),
                reply: Rules::operator_reply(&certificate),
                speaks: Lane::Call,
            }),
            (Party::Node(name), Channel::Lanes) => Some(Plan {
                call: Rules::node_call(name.clone(), Arc::clone(&entrance.admission.collectives)),
                reply: Rules::node_reply(name.clone()),
                speaks: Lane::Reply,
            }),
            (Party::Node(_) | Party::Broker(_), _) => return end("wrong_role", ""),
        };
        drop(certificate);
        let Ok(_room) = Arc::clone(&self.room).try_acquire_owned() else {
            return end("too_many_connections", "limits.connections is reached");
        };
        let newcomer = Newcomer {
            party,
            from: ending.from,
            papers: Papers::new(shown, names),
            stop: self.stop.child_token(),
        };
        let listed = match self.sources.connections.open(newcomer).await {
            Ok(listed) => listed,
            Err(NotListed::Claimed { node, holder }) => {
                self.sources.ledger.claimed(entropy::now(), node, ending.from.to_string());
                return end("claimed", format!("a connection from {holder} has this name"));
            }
            Err(NotListed::Operator(limit)) => {
                return end("too_many_connections", format!("limits.operator_connections is {limit}"));
            }
            Err(NotListed::Waiting(limit)) => {
                return end("too_many_connections", format!("{limit} wait for this name already"));
            }
        };
        // A change that came before it was listed has not looked at it.
        if let Some(why) = self.entrance().admission.objection(listed.connection(), &entrance.admission) {
            return end(why, "");
        }
        drop(entrance);
        tracing::debug!(party = %listed.connection().party, %channel, from = %ending.from, "connected");
        let result = match plan {
            None => end(control::serve(stream, &self.sources, listed.connection().stop()).await, ""),
            Some(plan) => self.join(stream, plan, &listed).await,
        };
        match listed.connection().why_closed() {
            Some(why) => end(why, ""),
            None => result,
        }
    }

    /// Joins a connection to the lanes until it ends.
    async fn join(&self, stream: ServerStream, plan: Plan, listed: &Listed) -> RelayEnd {
        let connection = listed.connection();
        let Plan { call, reply, speaks } = plan;
        let sockets = match speaks {
            Lane::Call => (&self.sockets.call_in, &self.sockets.reply_out),
            Lane::Reply => (&self.sockets.call_out, &self.sockets.reply_in),
        };
        let joined = async { tokio::try_join!(join_lane(sockets.0), join_lane(sockets.1)) };
        let (to_calls, to_replies) = match joined.await {
            Ok(locals) => locals,
            Err(error) => {
                tracing::error!("cannot join the lanes: {error}");
                return end("local", error.to_string());
            }
        };
        let keeper = &self.sources.keeper;
        let node = connection.hold();
        if let Some(node) = node {
            keeper.tell(Event::Connected { node: node.clone(), conn: connection.id }).await;
        }
        let lane_end = |lane, rules, local| LaneEnd {
            local,
            from_peer: if lane == speaks { Traffic::Messages } else { Traffic::Subscriptions },
            inspect: Inspector { rules, connection: Arc::clone(connection), keeper: keeper.clone() },
        };
        let call = lane_end(Lane::Call, call, to_calls);
        let reply = lane_end(Lane::Reply, reply, to_replies);
        let result = carry(stream, call, reply, Overflow::Close, connection.stop().clone()).await;
        // Before the name is free again: a successor's connection must come after this end.
        if node.is_some() {
            keeper.tell(Event::Disconnected { conn: connection.id }).await;
        }
        result
    }

    fn tell_the_rest(&self) {
        let due = self.hush.lock().unwrap_or_else(PoisonError::into_inner).due(Instant::now());
        for (party, counts) in due {
            tracing::warn!(party, "refused or closed too, and not told one by one: {counts}");
        }
    }

    fn record(&self, ending: Ending, end: RelayEnd) {
        let Ending { from, opened, party, channel } = ending;
        let party = party.map(|party| party.to_string()).unwrap_or_default();
        let channel = channel.map(|channel| channel.to_string()).unwrap_or_default();
        match end.reason {
            "closed" | "stopped" => tracing::debug!(party, channel, %from, "{}", end.reason),
            reason => {
                let mut hush = self.hush.lock().unwrap_or_else(PoisonError::into_inner);
                if hush.tells(Instant::now(), &party, reason) {
                    tracing::warn!(party, channel, %from, detail = end.detail, "{reason}");
                }
            }
        }
        let closing = Closing {
            at: entropy::now(),
            party,
            from: from.to_string(),
            channel,
            reason: end.reason.to_owned(),
            open: opened.elapsed().into(),
        };
        self.sources.ledger.closed(end.reason, closing);
    }
}

/// How a connection is joined to the lanes.
struct Plan {
    call: Rules,
    reply: Rules,
    /// The lane on which the peer speaks; it listens on the other.
    speaks: Lane,
}

fn end(reason: &'static str, detail: impl Into<String>) -> RelayEnd {
    RelayEnd { reason, detail: detail.into() }
}

async fn admit(entrance: &Entrance, tcp: TcpStream) -> Result<Admitted, RelayEnd> {
    settle(&tcp).map_err(|e| end("io", e.to_string()))?;
    match timeout(HANDSHAKE, entrance.acceptor.accept(tcp)).await {
        Ok(Ok(admitted)) => Ok(admitted),
        Ok(Err(error)) => Err(end(error.reason(), error.to_string())),
        Err(_) => Err(end("handshake_timeout", "")),
    }
}

async fn join_lane(socket: &Path) -> io::Result<UnixStream> {
    let mut tries = 0;
    loop {
        match UnixStream::connect(socket).await {
            // A full backlog of a Unix socket is an error at once, not a wait.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < JOIN_TRIES => {
                tries += 1;
                sleep(JOIN_EVERY).await;
            }
            result => return result,
        }
    }
}
