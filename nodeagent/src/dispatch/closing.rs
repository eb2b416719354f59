//! The end: what runs has a grace, and everything is answered.

use std::time::Duration;

use orch_wire::body::{Answer, code};
use orch_wire::ids::CallId;
use tokio::time::{Instant, sleep_until};

use super::{Alarm, Dispatcher};
use crate::act::interrupted;
use crate::intake::Unbegun;

/// Time for killed actions to be gone at shutdown.
const KILLING: Duration = Duration::from_secs(3);

impl Dispatcher {
    /// No more calls; what runs has a grace, then ends by force with an answer; goodbye; what is queued is sent.
    pub(super) async fn shut_down(mut self) {
        tracing::info!(running = self.intake.running(), "stops");
        self.refuse_queued();
        let grace = Instant::now() + self.info.limits.shutdown_grace;
        self.end_actions(grace).await;
        for stop in self.stops.values() {
            stop.cancel();
        }
        self.end_actions(Instant::now() + KILLING).await;
        self.actions.abort_all();
        let left: Vec<CallId> = self.calls.drain().map(|(_, call)| call).collect();
        for call in left {
            self.finish(call, interrupted());
        }
        for alarm in self.alarms.take_all() {
            if let Alarm::Send(reply) = alarm {
                self.send_reply(&reply);
            }
        }
        self.record.flush_audit();
        self.send_card(true);
        let Self { link, outbox, events, actions, .. } = self;
        drop((outbox, actions));
        // The events are kept until then: without a receiver the link would end at once.
        link.close().await;
        drop(events);
    }

    /// Actions that wait have not begun and will not. Writes among them are recorded as refused, so that a resend to the
    /// next agent does not do what was said not to be done.
    fn refuse_queued(&mut self) {
        for work in std::mem::take(&mut self.queue) {
            let answer =
                Answer::rejected(code::OVERLOADED, "the node's agent ends, the action did not begin");
            if work.is_write {
                self.record.refuse(work.message, work.call, work.expires, &answer);
            }
            self.note_refusal(&work, &answer);
            self.end(work.call, answer);
        }
        let answer = Answer::rejected(code::OVERLOADED, "the node's agent ends, the action did not begin");
        for Unbegun { reply, write } in self.refuse_asking(&answer) {
            if let Some((message, expires)) = write {
                self.record.refuse(message, reply.call, expires, &answer);
            }
            self.reply(reply);
        }
    }

    async fn end_actions(&mut self, until: Instant) {
        while !self.actions.is_empty() {
            let alarm = self.alarms.next();
            tokio::select! {
                Some(ended) = self.actions.join_next_with_id() => self.action_ended(ended),
                Some(piece) = self.pieces.recv() => self.pass_on(piece),
                () = sleep_until(alarm.unwrap_or(until)), if alarm.is_some() => self.ring(),
                () = sleep_until(until) => return,
            }
        }
    }
}
