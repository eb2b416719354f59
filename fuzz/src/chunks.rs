//! The chunks in which both lanes share a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use orch_link::mux::{self, LaneStream};
use tokio::io::{AsyncRead, ReadBuf};

/// Longest chunk, as its sender makes it.
const CHUNK: usize = 16 * 1024 - 3;

/// What a connection holds for each lane, and whether it ends where one may.
#[derive(Debug, Default, PartialEq, Eq)]
struct Carried {
    lanes: [Vec<u8>; 2],
    is_sound: bool,
}

/// A connection that gives so many bytes at a time.
struct Cut<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl AsyncRead for Cut<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (now, later) = self.bytes.split_at(self.step.min(buf.remaining()).min(self.bytes.len()));
        buf.put_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(()))
    }
}

/// The first byte chooses how the connection is cut, the second how the lanes are read; the rest is the connection.
///
/// Each lane gets its bytes in order, however the connection is cut and whichever lane is read first, and neither waits for
/// ever.
pub fn chunks(data: &[u8]) {
    let [cut, order, bytes @ ..] = data else { return };
    let expected = reference(bytes);
    for step in [usize::from(*cut) + 1, bytes.len().max(1)] {
        assert_eq!(read(bytes, step, *order), expected, "cut every {step} bytes");
    }
}

fn reference(mut bytes: &[u8]) -> Carried {
    let mut carried = Carried::default();
    loop {
        let [lane, high, low, rest @ ..] = bytes else {
            carried.is_sound = bytes.is_empty();
            return carried;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *lane > 1 || length == 0 || length > CHUNK {
            return carried;
        }
        let (chunk, rest) = rest.split_at(length.min(rest.len()));
        carried.lanes[usize::from(*lane)].extend_from_slice(chunk);
        if chunk.len() < length {
            return carried;
        }
        bytes = rest;
    }
}

fn read(bytes: &[u8], step: usize, order: u8) -> Carried {
    let (call, reply, trunk) = mux::split(Cut { bytes, step });
    let mut lanes = [call, reply];
    let mut carried = Carried::default();
    let (mut open, mut faults, mut idle) = ([true; 2], 0, 0);
    for turn in 0.. {
        if open == [false; 2] {
            break;
        }
        // A bit of the order for each turn: which lane is read.
        let at = usize::from(order.rotate_right(turn) & 1 == 1) ^ usize::from(turn % 16 > 7);
        match poll(&mut lanes[at], usize::from(order) + 1) {
            Poll::Pending => {
                idle += 1;
                assert!(idle < 64, "both lanes wait");
                continue;
            }
            Poll::Ready(Ok(piece)) if piece.is_empty() => open[at] = false,
            Poll::Ready(Ok(piece)) => carried.lanes[at].extend(piece),
            Poll::Ready(Err(_)) => {
                open[at] = false;
                faults += 1;
            }
        }
        idle = 0;
    }
    carried.is_sound = faults == 0;
    assert_eq!(trunk.ended(), carried.is_sound);
    carried
}

fn poll(lane: &mut LaneStream<Cut<'_>>, room: usize) -> Poll<io::Result<Vec<u8>>> {
    let mut piece = vec![0; room];
    let mut buf = ReadBuf::new(&mut piece);
    let polled = Pin::new(lane).poll_read(&mut Context::from_waker(Waker::noop()), &mut buf);
    polled.map_ok(|()| buf.filled().to_vec())
}
