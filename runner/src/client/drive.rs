//! The one task of a session: it brings the engine together with clock, lanes, feed and handles.

use std::time::Instant;

use orch_link::LinkEvent;
use orch_wire::envelope::Frames;
use tokio::sync::{mpsc, watch};

use super::engine::{Command, Engine};
use super::feed::FeedEvent;
use super::moment::Moment;

/// Runs until all handles are gone.
pub(super) async fn drive(
    mut engine: Engine,
    outgoing: mpsc::Sender<Frames>,
    mut commands: mpsc::Receiver<Command>,
    mut link: mpsc::Receiver<LinkEvent>,
    mut feed: mpsc::Receiver<FeedEvent>,
    changes: watch::Sender<u64>,
) {
    loop {
        let tick = engine.next_tick();
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => engine.command(command, Moment::now()),
                None => break,
            },
            Some(event) = link.recv() => engine.link(event, Moment::now()),
            Some(event) = feed.recv() => engine.feed(event, Moment::now()),
            Ok(permit) = outgoing.reserve(), if engine.has_message() => {
                if let Some(frames) = engine.next_message() {
                    permit.send(frames);
                }
            }
            () = sleep_until(tick) => engine.tick(Moment::now()),
        }
        changes.send_if_modified(|known| std::mem::replace(known, engine.changes()) != engine.changes());
    }
    // A cancel that was just queued should still go out.
    while let Some(frames) = engine.next_message() {
        let _ = outgoing.try_send(frames);
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
