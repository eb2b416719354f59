use super::*;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

type Ends = [LaneStream<DuplexStream>; 2];

/// Both lanes of both ends of a connection that holds so many bytes.
fn pair(room: usize) -> (Ends, Ends) {
    let (ours, theirs) = duplex(room);
    let [ours, theirs] = [split(ours), split(theirs)].map(|(call, reply, _)| [call, reply]);
    (ours, theirs)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Writes pieces of these lengths, each byte told by its place.
async fn write(lane: &mut LaneStream<DuplexStream>, lengths: &[usize]) -> Vec<u8> {
    let mut all = Vec::new();
    for &length in lengths {
        let piece: Vec<u8> = (0..length).map(|at| (all.len() + at) as u8).collect();
        lane.write_all(&piece).await.unwrap();
        all.extend(piece);
    }
    lane.flush().await.unwrap();
    all
}

proptest! {
    #[test]
    fn each_lane_arrives_whole_and_in_order(
        calls in prop::collection::vec(1usize..40_000, 0..8),
        replies in prop::collection::vec(1usize..40_000, 0..8),
        room in 1usize..60_000,
    ) {
        runtime().block_on(async {
            let ([mut call, mut reply], [mut their_call, mut their_reply]) = pair(room);
            let total = |lengths: &[usize]| lengths.iter().sum::<usize>();
            let (mut got_call, mut got_reply) = (vec![0; total(&calls)], vec![0; total(&replies)]);
            let (sent_call, sent_reply, one, two) = tokio::join!(
                write(&mut call, &calls),
                write(&mut reply, &replies),
                their_call.read_exact(&mut got_call),
                their_reply.read_exact(&mut got_reply),
            );
            assert!(one.is_ok() && two.is_ok());
            assert_eq!((sent_call, sent_reply), (got_call, got_reply));
        });
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300), valid in any::<bool>()) {
        runtime().block_on(async {
            let (mut peer, near) = duplex(1000);
            let (mut call, mut reply, trunk) = split(near);
            // Half of the streams begin well, so that they get further.
            let head: &[u8] = if valid { &[1, 0, 20] } else { &[] };
            peer.write_all(&[head, &bytes].concat()).await.unwrap();
            drop(peer);
            let (mut one, mut two) = (Vec::new(), Vec::new());
            let ends = tokio::join!(call.read_to_end(&mut one), reply.read_to_end(&mut two));
            assert!(one.len() + two.len() <= bytes.len());
            if ends.0.is_ok() && ends.1.is_ok() {
                assert!(trunk.ended());
            }
        });
    }
}

#[tokio::test]
async fn heads_that_cannot_be_are_errors() {
    for (bytes, kind) in [
        (&[2, 0, 1, 7][..], io::ErrorKind::InvalidData),
        (&[0, 0, 0, 7], io::ErrorKind::InvalidData),
        (&[0, 0xff, 0xff, 7], io::ErrorKind::InvalidData),
        (&[0, 0], io::ErrorKind::UnexpectedEof),
        (&[0, 0, 2, 7], io::ErrorKind::UnexpectedEof),
    ] {
        let (mut peer, near) = duplex(1000);
        let (mut call, _reply, trunk) = split(near);
        peer.write_all(bytes).await.unwrap();
        drop(peer);
        let error = call.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{bytes:?}");
        assert!(!trunk.ended());
    }
}

/// Who does not read one lane stops the other in the end, and does not cost more than a bound.
#[tokio::test(start_paused = true)]
async fn a_lane_that_is_not_read_is_put_aside_up_to_a_bound() {
    let ([mut call, mut reply], [mut their_call, mut their_reply]) = pair(1000);
    let flood = async {
        write(&mut call, &[3 * ASIDE]).await;
        write(&mut reply, &[1]).await;
    };
    let mut flood = std::pin::pin!(flood);
    let mut byte = [0];
    tokio::select! {
        () = &mut flood => panic!("more than the bound was taken"),
        _ = their_reply.read(&mut byte) => panic!("what is behind the bound was read"),
        () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
    }
    let held = lock(&their_call.shared).call.aside.len();
    assert!((ASIDE..=ASIDE + CHUNK).contains(&held), "{held}");
    let mut all = vec![0; 3 * ASIDE];
    let read = async {
        let (call, reply) = tokio::join!(their_call.read_exact(&mut all), their_reply.read_exact(&mut byte));
        call.and(reply).unwrap();
    };
    tokio::join!(flood, read);
    assert_eq!(all.last(), Some(&((3 * ASIDE - 1) as u8)));
}

#[tokio::test]
async fn a_lane_that_nobody_has_is_passed_over() {
    let ([mut call, mut reply], [their_call, mut their_reply]) = pair(1000);
    drop(their_call);
    let mut byte = [0];
    let write = async {
        write(&mut call, &[3 * ASIDE]).await;
        write(&mut reply, &[1]).await;
    };
    let ((), read) = tokio::join!(write, their_reply.read_exact(&mut byte));
    read.unwrap();
}
