//! The open connections: who, since when, heard last when, and which of them holds a node's name.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use orch_wire::ids::{NodeName, OperatorName, Party};
use orch_wire::limits::HEARTBEAT;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use crate::admission::Papers;
use crate::roster::ConnId;

/// A node probes its lanes every [`HEARTBEAT`]; after three that did not come, its connection is dead.
const SILENT: Duration = Duration::from_secs(3 * HEARTBEAT.as_secs());
/// A holder of a name that missed one heartbeat gives way to a newcomer: its machine was most likely cut off.
const STALE: Duration = Duration::from_secs(HEARTBEAT.as_secs() + 5);
/// How long a newcomer waits for the connection before it to end: a node that restarts comes back at once.
const HANDOVER: Duration = Duration::from_secs(2);

/// Newcomers that may wait for one name: a machine that comes back at once, and one more try of it.
const NEWCOMERS: usize = 4;

/// One open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnId,
    pub(crate) party: Party,
    pub(crate) from: SocketAddr,
    /// By what its party is known.
    pub(crate) papers: Papers,
    opened: Instant,
    /// Seconds after `opened` at which the peer was heard last.
    heard: AtomicU32,
    why: OnceLock<&'static str>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Connection {
    /// Notes that the peer has sent something.
    pub(crate) fn heard(&self) {
        let seconds = u32::try_from(self.opened.elapsed().as_secs()).unwrap_or(u32::MAX);
        self.heard.store(seconds, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        let heard = Duration::from_secs(u64::from(self.heard.load(Ordering::Relaxed)));
        self.opened.elapsed().saturating_sub(heard)
    }

    /// Ends the connection; the word is what it is counted by.
    pub(crate) fn close(&self, why: &'static str) {
        let _ = self.why.set(why);
        self.stop.cancel();
    }

    /// Why the broker ended it, if it did.
    pub(crate) fn why_closed(&self) -> Option<&'static str> {
        self.why.get().copied()
    }

    /// Cancelled when the connection must end.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// The name that it holds, if it is a node's.
    pub(crate) fn hold(&self) -> Option<&NodeName> {
        match &self.party {
            Party::Node(node) => Some(node),
            _ => None,
        }
    }
}

/// Who wants to be listed.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) party: Party,
    pub(crate) from: SocketAddr,
    pub(crate) papers: Papers,
    /// Cancelled when the connection must end.
    pub(crate) stop: CancellationToken,
}

/// Why a connection is not listed.
#[derive(Debug)]
pub(crate) enum NotListed {
    /// The name is held by another connection that is alive.
    Claimed {
        node: NodeName,
        /// Where the holder is.
        holder: SocketAddr,
    },
    /// The operator has as many as one may have.
    Operator(usize),
    /// As many as may already wait for this node's name.
    Waiting(usize),
}

#[derive(Default)]
struct Open {
    by_id: HashMap<ConnId, Arc<Connection>>,
    holders: HashMap<NodeName, Arc<Connection>>,
    /// How many connections each operator has.
    operators: BTreeMap<OperatorName, usize>,
    /// How many wait for each name that is held.
    waiting: HashMap<NodeName, usize>,
}

/// A newcomer that waits for a name, for as long as this lives.
struct Waiting<'a> {
    list: &'a Connections,
    name: NodeName,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut open = self.list.lock();
        if let Entry::Occupied(mut count) = open.waiting.entry(self.name.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// All open connections.
pub(crate) struct Connections {
    next: AtomicU64,
    open: Mutex<Open>,
    handover: Duration,
    per_operator: usize,
}

/// A connection in the list, for as long as this lives.
pub(crate) struct Listed {
    list: Arc<Connections>,
    connection: Arc<Connection>,
}

impl Listed {
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let connection = &self.connection;
        let mut open = self.list.lock();
        open.by_id.remove(&connection.id);
        if let Some(hold) = connection.hold()
            && open.holders.get(hold).is_some_and(|holder| holder.id == connection.id)
        {
            open.holders.remove(hold);
        }
        if let Party::Operator(name) = &connection.party
            && let Some(count) = open.operators.get_mut(name)
        {
            *count -= 1;
            if *count == 0 {
                open.operators.remove(name);
            }
        }
        drop(open);
        connection.ended.cancel();
    }
}

impl Connections {
    /// A list in which an operator has at most so many.
    pub(crate) fn new(per_operator: usize) -> Self {
        Self { next: AtomicU64::new(0), open: Mutex::default(), handover: HANDOVER, per_operator }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it is held, and a list is worth having even then.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a connection. A node's name is held by one connection: a second one waits a moment for the
    /// first to end, takes the place of one that fell silent, and is refused otherwise. Few may wait for one name, and
    /// an operator has a limited number, so that one key takes not all the room there is.
    pub(crate) async fn open(self: &Arc<Self>, newcomer: Newcomer) -> Result<Listed, NotListed> {
        let connection = Arc::new(self.connection(newcomer, Instant::now()));
        let deadline = tokio::time::Instant::now() + self.handover;
        let mut waiting = None;
        while let Some((name, holder)) = self.try_list(&connection)? {
            if waiting.is_none() {
                waiting = Some(self.wait_for(&name)?);
            }
            if timeout_at(deadline, holder.ended.cancelled()).await.is_err() {
                return Err(NotListed::Claimed { node: name, holder: holder.from });
            }
        }
        Ok(Listed { list: Arc::clone(self), connection })
    }

    fn wait_for(&self, name: &NodeName) -> Result<Waiting<'_>, NotListed> {
        let mut open = self.lock();
        let count = open.waiting.entry(name.clone()).or_default();
        if *count >= NEWCOMERS {
            return Err(NotListed::Waiting(NEWCOMERS));
        }
        *count += 1;
        Ok(Waiting { list: self, name: name.clone() })
    }

    fn connection(&self, newcomer: Newcomer, opened: Instant) -> Connection {
        let Newcomer { party, from, papers, stop } = newcomer;
        Connection {
            id: ConnId(self.next.fetch_add(1, Ordering::Relaxed)),
            party,
            from,
            papers,
            opened,
            heard: AtomicU32::new(0),
            why: OnceLock::new(),
            stop,
            ended: CancellationToken::new(),
        }
    }

    /// Lists it, or says who holds its name.
    fn try_list(
        &self,
        connection: &Arc<Connection>,
    ) -> Result<Option<(NodeName, Arc<Connection>)>, NotListed> {
        let mut open = self.lock();
        if let Some(node) = connection.hold() {
            if let Some(holder) = open.holders.get(node) {
                if holder.silence() >= STALE {
                    holder.close("replaced");
                }
                return Ok(Some((node.clone(), Arc::clone(holder))));
            }
            open.holders.insert(node.clone(), Arc::clone(connection));
        }
        if let Party::Operator(name) = &connection.party {
            let count = open.operators.entry(name.clone()).or_default();
            if *count >= self.per_operator {
                return Err(NotListed::Operator(self.per_operator));
            }
            *count += 1;
        }
        open.by_id.insert(connection.id, Arc::clone(connection));
        Ok(None)
    }

    /// Closes the connections of nodes that fell silent. Called now and then: a timer per connection would cost more.
    pub(crate) fn sweep(&self) {
        for holder in self.lock().holders.values().filter(|holder| holder.silence() >= SILENT) {
            holder.close("silent");
        }
    }

    /// Closes those to which there is an objection, which is what they are counted by; how many.
    pub(crate) fn judge(&self, objection: impl Fn(&Connection) -> Option<&'static str>) -> usize {
        let open = self.lock();
        let objected: Vec<_> =
            open.by_id.values().filter_map(|connection| Some((connection, objection(connection)?))).collect();
        // First the reasons of all: a peer that loses one connection may end its others at once.
        for (connection, why) in &objected {
            let _ = connection.why.set(why);
        }
        for (connection, why) in &objected {
            connection.close(why);
        }
        objected.len()
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.lock().by_id.len()
    }

    /// Names of the operators that are connected, in order and each once.
    pub(crate) fn operators(&self) -> Vec<String> {
        self.lock().operators.keys().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Party {
        Party::Node(NodeName::new(name).unwrap())
    }

    fn address() -> SocketAddr {
        ([127, 0, 0, 1], 1).into()
    }

    fn newcomer(party: Party) -> Newcomer {
        let stop = CancellationToken::new();
        Newcomer { party, from: address(), papers: Papers::default(), stop }
    }

    async fn open(list: &Arc<Connections>, name: &str) -> Result<Listed, NotListed> {
        list.open(newcomer(node(name))).await
    }

    #[tokio::test]
    async fn a_name_is_held_once() {
        let handover = Duration::from_millis(30);
        let list = Arc::new(Connections { handover, ..Connections::new(2) });
        let held = open(&list, "web1").await.ok().unwrap();
        let other = open(&list, "web2").await.ok().unwrap();
        assert_eq!(list.count(), 2);
        let begun = Instant::now();
        let refused = open(&list, "web1").await.err().unwrap();
        assert!(matches!(refused, NotListed::Claimed { node, .. } if node.as_str() == "web1"));
        assert!(begun.elapsed() >= handover);
        assert!(!held.connection().stop().is_cancelled());
        drop((held, other));
        assert_eq!(list.count(), 0);
    }

    #[tokio::test]
    async fn a_newcomer_gets_the_name_when_the_holder_ends() {
        let list = Arc::new(Connections::new(2));
        let first = open(&list, "web1").await.ok().unwrap();
        let (second, ()) = tokio::join!(open(&list, "web1"), async {
            // The newcomer is polled first, and waits by now.
            tokio::task::yield_now().await;
            drop(first);
        });
        let second = second.ok().unwrap();
        assert_eq!(list.count(), 1);
        assert_eq!(second.connection().id, ConnId(1));
    }

    /// A connection that was opened a while ago and from which nothing came since.
    fn silent_for(list: &Arc<Connections>, span: Duration) -> Listed {
        let opened = Instant::now().checked_sub(span).unwrap();
        let connection = Arc::new(list.connection(newcomer(node("web1")), opened));
        assert!(list.try_list(&connection).unwrap().is_none());
        Listed { list: Arc::clone(list), connection }
    }

    #[test]
    fn a_node_that_fell_silent_loses_its_connection() {
        for (span, expected) in [(SILENT - Duration::from_secs(2), None), (SILENT, Some("silent"))] {
            let list = Arc::new(Connections::new(2));
            let silent = silent_for(&list, span);
            list.sweep();
            assert_eq!(silent.connection().why_closed(), expected);
            assert_eq!(silent.connection().stop().is_cancelled(), expected.is_some());
        }
        let list = Arc::new(Connections::new(2));
        let heard = silent_for(&list, SILENT);
        heard.connection().heard();
        list.sweep();
        assert!(heard.connection().why_closed().is_none());
    }

    #[tokio::test]
    async fn a_newcomer_takes_the_place_of_a_holder_that_missed_a_heartbeat() {
        let list = Arc::new(Connections::new(2));
        let holder = silent_for(&list, STALE);
        let ends = |listed: Listed| async move {
            listed.connection().stop().cancelled().await;
            listed.connection().why_closed()
        };
        let (new, why) = tokio::join!(open(&list, "web1"), ends(holder));
        assert!(new.is_ok());
        assert_eq!(why, Some("replaced"));
    }

    #[tokio::test]
    async fn an_operator_may_come_as_often_as_is_allowed() {
        let list = Arc::new(Connections::new(2));
        let open = |name: &str| {
            let operator = format!("orch://operator/{name}").parse().unwrap();
            list.open(newcomer(operator))
        };
        let alice = (open("alice").await.ok().unwrap(), open("alice").await.ok().unwrap());
        assert!(matches!(open("alice").await, Err(NotListed::Operator(2))));
        let bob = open("bob").await.ok().unwrap();
        assert_eq!(list.operators(), ["alice", "bob"]);
        drop(alice.0);
        let again = open("alice").await.ok().unwrap();
        drop((alice.1, again, bob));
        assert!(list.operators().is_empty() && list.count() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn few_newcomers_wait_for_a_name() {
        let list = Arc::new(Connections::new(2));
        let holder = open(&list, "web1").await.ok().unwrap();
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let list = Arc::clone(&list);
            tries.spawn(async move { open(&list, "web1").await });
        }
        let (mut claimed, mut too_many) = (0, 0);
        while let Some(tried) = tries.join_next().await {
            match tried.unwrap() {
                Err(NotListed::Claimed { .. }) => claimed += 1,
                Err(NotListed::Waiting(_)) => too_many += 1,
                _ => panic!("the name is held"),
            }
        }
        assert_eq!((claimed, too_many), (NEWCOMERS, 50 - NEWCOMERS));
        assert!(list.lock().waiting.is_empty());
        drop(holder);
        assert!(open(&list, "web1").await.is_ok());
    }
}
