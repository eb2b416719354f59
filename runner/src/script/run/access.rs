//! The one way from a script to the nodes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use orch_wire::ids::{NodeName, RunId};
use tokio_util::sync::CancellationToken;

use crate::client::{
    CallError, CallReport, CallRequest, Discovery, EventSink, Scope, Session, Until, Waited,
};

type CallFn = dyn Fn(CallRequest, EventSink, CancellationToken) -> BoxFuture<'static, Result<CallReport, CallError>>
    + Send
    + Sync;
type DiscoverFn = dyn Fn(Scope, EventSink, CancellationToken) -> BoxFuture<'static, Result<Discovery, CallError>>
    + Send
    + Sync;

type WaitFn = dyn Fn(Wait, EventSink) -> BoxFuture<'static, Result<Waited, CallError>> + Send + Sync;

/// What a script waits for.
#[derive(Debug, Clone)]
pub struct Wait {
    /// The nodes.
    pub nodes: Vec<NodeName>,
    /// What should hold of each of them.
    pub until: Until,
    /// What was so before does not count.
    pub since: Instant,
    /// How long it waits.
    pub limit: Duration,
}

/// How a script reaches nodes: to call them, to find them, and to see them come and go.
///
/// Behind it is a [`Session`], or whatever else answers like one, such as the fleet that the
/// author of a script writes down to try it.
#[derive(Clone)]
pub struct FleetAccess {
    run: RunId,
    call: Arc<CallFn>,
    discover: Arc<DiscoverFn>,
    wait: Arc<WaitFn>,
}

impl FleetAccess {
    /// Through an open session.
    pub fn session(session: Session) -> Self {
        let run = session.run();
        let (other, seeing) = (session.clone(), session.clone());
        let access = Self::answering(
            run,
            move |request, events, cancel| {
                let session = session.clone();
                async move { session.call(request, events, cancel).await }
            },
            move |scope, events, cancel| {
                let session = other.clone();
                async move { session.discover(scope, events, cancel).await }
            },
        );
        access.waiting(move |wait, events| {
            let session = seeing.clone();
            async move {
                let Wait { nodes, until, since, limit } = wait;
                session.wait_for(nodes, until, since, limit, events).await
            }
        })
    }

    /// The same, with a function that tells how a wait ended.
    #[must_use]
    pub fn waiting<Waits>(self, wait: impl Fn(Wait, EventSink) -> Waits + Send + Sync + 'static) -> Self
    where
        Waits: Future<Output = Result<Waited, CallError>> + Send + 'static,
    {
        Self { wait: Arc::new(move |waited, events| wait(waited, events).boxed()), ..self }
    }

    /// Through functions that answer in the place of a fleet.
    pub fn answering<Called, Found>(
        run: RunId,
        call: impl Fn(CallRequest, EventSink, CancellationToken) -> Called + Send + Sync + 'static,
        discover: impl Fn(Scope, EventSink, CancellationToken) -> Found + Send + Sync + 'static,
    ) -> Self
    where
        Called: Future<Output = Result<CallReport, CallError>> + Send + 'static,
        Found: Future<Output = Result<Discovery, CallError>> + Send + 'static,
    {
        Self {
            run,
            call: Arc::new(move |request, events, cancel| call(request, events, cancel).boxed()),
            discover: Arc::new(move |scope, events, cancel| discover(scope, events, cancel).boxed()),
            // Who answers without a roster sees nobody come or go.
            wait: Arc::new(|wait, _| async move { Ok(Waited { left: wait.nodes, unsure: None }) }.boxed()),
        }
    }

    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    pub(crate) async fn call(
        &self,
        request: CallRequest,
        events: EventSink,
        cancel: CancellationToken,
    ) -> Result<CallReport, CallError> {
        (self.call)(request, events, cancel).await
    }

    pub(crate) async fn discover(
        &self,
        scope: Scope,
        events: EventSink,
        cancel: CancellationToken,
    ) -> Result<Discovery, CallError> {
        (self.discover)(scope, events, cancel).await
    }
}

impl FleetAccess {
    pub(crate) async fn wait(&self, wait: Wait, events: EventSink) -> Result<Waited, CallError> {
        (self.wait)(wait, events).await
    }
}

impl std::fmt::Debug for FleetAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetAccess").field("run", &self.run).finish_non_exhaustive()
    }
}
