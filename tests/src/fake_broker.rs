//! A broker that lies: it has the broker's certificate and does what a test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use orch_link::tls::{Acceptor, Admitted, Channel, Credentials};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::fleet::Fleet;
use crate::raw_peer::RawPeer;

/// One connection, for a test to deal with.
pub enum Taken {
    /// Both lanes of a node or operator.
    Lanes {
        /// The one for calls.
        calls: RawPeer,
        /// The one for replies.
        replies: RawPeer,
    },
    /// An operator's question to the broker itself.
    Control(RawPeer),
}

/// A running fake broker; dropping it ends it and everything in it.
#[derive(Debug)]
pub struct FakeBroker {
    taken: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl FakeBroker {
    /// Takes the port of the fleet's broker, which must have ended, and deals with each connection as told.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn start<F, T>(fleet: &Fleet, deal: F) -> Result<Self>
    where
        F: Fn(Taken) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let pem = fleet.issue("orch://broker/b1")?;
        let credentials = Credentials::from_pem(fleet.ca_pem(), &pem.cert, &pem.key)?;
        let acceptor = Acceptor::new(&credentials, None)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", fleet.port())))?;
        let (taken, deal) = (Arc::new(AtomicUsize::new(0)), Arc::new(deal));
        let counter = Arc::clone(&taken);
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, deal, counter) = (acceptor.clone(), Arc::clone(&deal), Arc::clone(&counter));
                tokio::runtime::Handle::current().spawn(async move {
                    if let Ok(Admitted { stream, channel, .. }) = acceptor.accept(tcp).await {
                        counter.fetch_add(1, Ordering::Relaxed);
                        let peer = RawPeer::new(stream);
                        let taken = match channel {
                            Channel::Control => Taken::Control(peer),
                            Channel::Lanes => {
                                let (calls, replies) = peer.lanes();
                                Taken::Lanes { calls, replies }
                            }
                        };
                        deal(taken).await;
                    }
                });
            }
        });
        Ok(Self { taken, runtime: Some(runtime) })
    }

    /// Connections whose handshake was done.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}
