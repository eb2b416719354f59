//! The one way from a script to the nodes.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use orch_wire::ids::RunId;
use tokio_util::sync::CancellationToken;

use crate::client::{CallError, CallReport, CallRequest, Discovery, EventSink, Scope, Session};

type CallFn = dyn Fn(CallRequest, EventSink, CancellationToken) -> BoxFuture<'static, Result<CallReport, CallError>>
    + Send
    + Sync;
type DiscoverFn = dyn Fn(Scope, EventSink, CancellationToken) -> BoxFuture<'static, Result<Discovery, CallError>>
    + Send
    + Sync;

/// How a script reaches nodes: to call them, and to find them.
///
/// Behind it is a [`Session`], or whatever else answers like one, such as the fleet that the
/// author of a script writes down to try it.
#[derive(Clone)]
pub struct FleetAccess {
    run: RunId,
    call: Arc<CallFn>,
    discover: Arc<DiscoverFn>,
}

impl FleetAccess {
    /// Through an open session.
    pub fn session(session: Session) -> Self {
        let run = session.run();
        let other = session.clone();
        Self::answering(
            run,
            move |request, events, cancel| {
                let session = session.clone();
                async move { session.call(request, events, cancel).await }
            },
            move |scope, events, cancel| {
                let session = other.clone();
                async move { session.discover(scope, events, cancel).await }
            },
        )
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

impl std::fmt::Debug for FleetAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetAccess").field("run", &self.run).finish_non_exhaustive()
    }
}
