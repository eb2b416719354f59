//! The output of actions as it comes, on its way from their programs to the task that sends it.
//!
//! The room of a piece is given back when the piece has left this process. Until then a program's pipe is read no further,
//! so that a slow link, or one that is down, slows the program and fills no memory.

use std::mem;
use std::sync::Arc;

use orch_wire::ids::CallId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Duration, Instant, sleep_until};

/// Pieces of all actions of a node that are on the way at one time. Far fewer than the link's queue holds, so that output never
/// keeps out an answer.
const PIECES: usize = 32;
/// Longest piece, in bytes.
const PIECE_BYTES: usize = 16 * 1024;
/// What a program that has ended may have left in a pipe, and more: it is taken without waiting for room.
const LEFT_BYTES: usize = 128 * 1024;
/// What was written waits so long for more: a message for each word would cost more than the words.
const LINGER: Duration = Duration::from_millis(20);
/// The beginning of a line waits so long for its end: sent too early, it would run into a line of the program's other stream.
const LINE_LINGER: Duration = Duration::from_millis(500);

/// A piece of output, and the room that it takes.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) call: CallId,
    pub(crate) text: String,
    pub(crate) room: OwnedSemaphorePermit,
}

/// Where the output of the actions of a node comes together.
#[derive(Debug, Clone)]
pub(crate) struct Outputs {
    pieces: mpsc::Sender<Piece>,
    room: Arc<Semaphore>,
}

/// Where the output of one action goes.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    call: CallId,
    to: Outputs,
}

impl Outputs {
    /// The collector, and what comes out of it, in the order of each action.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Piece>) {
        let (pieces, received) = mpsc::channel(PIECES);
        (Self { pieces, room: Arc::new(Semaphore::new(PIECES)) }, received)
    }

    /// For the action of this call.
    pub(crate) fn of(&self, call: CallId) -> Output {
        Output { call, to: self.clone() }
    }
}

impl Output {
    /// Waits for the room of one piece.
    async fn room(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.to.room).acquire_owned().await {
            Ok(room) => room,
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    fn send(&self, text: String, room: OwnedSemaphorePermit) {
        // There are as many places as rooms, so it is full never; it is closed when nobody is left to send anything.
        let _ = self.to.pieces.try_send(Piece { call: self.call, text, room });
    }
}

/// Makes pieces of what one stream of a program says.
#[derive(Debug)]
pub(crate) struct Tap {
    to: Output,
    waiting: Vec<u8>,
    since: Instant,
}

impl Tap {
    pub(crate) fn new(to: Output) -> Self {
        Self { to, waiting: Vec::new(), since: Instant::now() }
    }

    /// Takes what the stream said.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if self.waiting.is_empty() {
            self.since = Instant::now();
        }
        self.waiting.extend_from_slice(bytes);
    }

    /// Whether it can take more; else its stream is to be read no further.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < PIECE_BYTES
    }

    /// The same for the stream of a program that has ended.
    pub(crate) fn has_room_at_the_end(&self) -> bool {
        self.waiting.len() < LEFT_BYTES
    }

    /// Sends a piece when there is one to send and room for it; waits for ever where nothing waits. To drop the future loses
    /// nothing.
    pub(crate) async fn pass_on(&mut self) {
        if self.waiting.is_empty() {
            return std::future::pending().await;
        }
        if self.has_room() {
            let linger = if self.waiting.contains(&b'\n') { LINGER } else { LINE_LINGER };
            sleep_until(self.since + linger).await;
        }
        self.send_piece().await;
    }

    /// Sends the lines that wait, without the one that has no end.
    pub(crate) async fn finish_lines(&mut self) {
        while self.waiting.contains(&b'\n') {
            self.send_piece().await;
        }
    }

    /// Sends all that waits.
    pub(crate) async fn finish(&mut self) {
        while !self.waiting.is_empty() {
            self.send_piece().await;
        }
    }

    async fn send_piece(&mut self) {
        let room = self.to.room().await;
        let rest = self.waiting.split_off(cut(&self.waiting));
        let piece = mem::replace(&mut self.waiting, rest);
        self.since = Instant::now();
        self.to.send(String::from_utf8_lossy(&piece).into_owned(), room);
    }
}

/// Where a piece ends: behind the last whole line, so that lines of both streams of a program do not mix; in a line that has no
/// end yet, behind the last whole character.
fn cut(bytes: &[u8]) -> usize {
    let longest = bytes.get(..PIECE_BYTES).unwrap_or(bytes);
    if let Some(at) = longest.iter().rposition(|byte| *byte == b'\n') {
        return at + 1;
    }
    match std::str::from_utf8(longest) {
        // The beginning of a character whose rest is still to come. What is broken at its end for good waits for nothing.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => longest.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_link::entropy;
    use tokio::time::timeout;

    #[test]
    fn pieces_end_at_lines_and_characters() {
        let long = "x".repeat(PIECE_BYTES);
        for (bytes, end) in [
            (&b"one\ntwo\nthr"[..], 8),
            (b"no line", 7),
            ("caf\u{e9}".as_bytes().get(..4).unwrap(), 3),
            (&[0xe2, 0x82], 2),
            (&[b'a', 0xff, b'b'], 3),
            (format!("{long}\n").as_bytes(), PIECE_BYTES),
        ] {
            assert_eq!(cut(bytes), end, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn nothing_is_taken_beyond_the_room() {
        let (outputs, mut pieces) = Outputs::new();
        let mut tap = Tap::new(outputs.of(entropy::call_id()));
        for _ in 0..PIECES {
            tap.take(&[b'x'; PIECE_BYTES]);
            assert!(!tap.has_room());
            tap.pass_on().await;
        }
        tap.take(b"one more\n");
        let more = timeout(Duration::from_millis(50), tap.pass_on()).await;
        assert!(more.is_err(), "there is no room");
        let first = pieces.recv().await.unwrap();
        assert_eq!(first.text.len(), PIECE_BYTES);
        // What has been received has not left yet.
        assert!(timeout(Duration::from_millis(50), tap.pass_on()).await.is_err());
        drop(first);
        tap.finish().await;
        let mut last = None;
        while let Ok(piece) = pieces.try_recv() {
            last = Some(piece.text);
        }
        assert_eq!(last.as_deref(), Some("one more\n"));
    }
}
