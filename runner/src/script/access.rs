//! The one way from a script to the nodes.

use std::sync::Arc;

use orch_wire::ids::RunId;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::client::{CallError, CallReport, CallRequest, Discovery, EventSink, Scope, Session};

type CallFn =
    dyn Fn(CallRequest, EventSink, CancellationToken) -> Result<CallReport, CallError> + Send + Sync;
type DiscoverFn = dyn Fn(Scope, EventSink, CancellationToken) -> Result<Discovery, CallError> + Send + Sync;

/// How a script reaches nodes: two blocking functions, called on the script's own thread.
///
/// Behind them is a [`Session`], or whatever else answers like one, such as the fleet that the
/// author of a script writes down to try it.
#[derive(Clone)]
pub struct FleetAccess {
    run: RunId,
    call: Arc<CallFn>,
    discover: Arc<DiscoverFn>,
}

impl FleetAccess {
    /// Through an open session, whose work is done by the tasks of this runtime.
    pub fn session(session: Session, runtime: Handle) -> Self {
        let run = session.run();
        let (other, handle) = (session.clone(), runtime.clone());
        Self::answering(
            run,
            move |request, events, cancel| runtime.block_on(session.call(request, events, cancel)),
            move |scope, events, cancel| handle.block_on(other.discover(scope, events, cancel)),
        )
    }

    /// Through functions that answer in the place of a fleet.
    pub fn answering(
        run: RunId,
        call: impl Fn(CallRequest, EventSink, CancellationToken) -> Result<CallReport, CallError>
        + Send
        + Sync
        + 'static,
        discover: impl Fn(Scope, EventSink, CancellationToken) -> Result<Discovery, CallError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self { run, call: Arc::new(call), discover: Arc::new(discover) }
    }

    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    pub(crate) fn call(
        &self,
        request: CallRequest,
        events: EventSink,
        cancel: CancellationToken,
    ) -> Result<CallReport, CallError> {
        (self.call)(request, events, cancel)
    }

    pub(crate) fn discover(
        &self,
        scope: Scope,
        events: EventSink,
        cancel: CancellationToken,
    ) -> Result<Discovery, CallError> {
        (self.discover)(scope, events, cancel)
    }
}

impl std::fmt::Debug for FleetAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetAccess").field("run", &self.run).finish_non_exhaustive()
    }
}
