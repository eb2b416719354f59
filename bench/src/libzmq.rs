//! The opponent: one bare XSUB/XPUB forwarder of libzmq, publishers and subscribers over TCP, no security at all.

use std::io::{Read as _, Write as _, stdin, stdout};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use zmq::{Context, PollEvents, Socket, SocketType};

use crate::part::{Cost, Part};
use crate::sizes::Sizes;

/// Topic that all nodes listen to.
const CALLS: &str = "c/main/";
/// Topic that the client listens to; as long as one of orch.
const REPLIES: &str = "r/0123456789abcdef-0123456789abcdef0123456789abcdef/";
/// A context takes 1,023 sockets, and a node has two.
const NODES_IN_A_CONTEXT: usize = 500;
/// A round that is not complete by then never will be.
const LATE: Duration = Duration::from_secs(20);
/// Time of one try to reach all nodes, before the first round that counts.
const TRY: Duration = Duration::from_millis(500);
/// Tries before it is given up.
const TRIES: usize = 60;

#[derive(Debug, Args)]
pub(crate) struct SubscriberArguments {
    /// Where nodes connect to for calls.
    #[arg(long)]
    calls: String,
    /// Where nodes publish their replies to.
    #[arg(long)]
    replies: String,
    /// How many nodes.
    #[arg(long)]
    count: usize,
    /// Length of header, body and seal of a reply.
    #[arg(long, num_args = 3)]
    sizes: Vec<usize>,
}

fn socket(context: &Context, kind: SocketType) -> Result<Socket> {
    let socket = context.socket(kind)?;
    // Without limits nothing is dropped: the opponent must be complete too.
    socket.set_sndhwm(0)?;
    socket.set_rcvhwm(0)?;
    socket.set_linger(0)?;
    Ok(socket)
}

fn bound(socket: &Socket) -> Result<String> {
    socket.bind("tcp://127.0.0.1:*")?;
    socket.get_last_endpoint()?.ok().context("an endpoint that is no text")
}

fn wait_for_the_end() -> Result<()> {
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Forwards until its input ends. Says where publishers and subscribers connect to.
pub(crate) fn forward() -> Result<()> {
    let context = Context::new();
    let (publishers, subscribers) = (socket(&context, zmq::XSUB)?, socket(&context, zmq::XPUB)?);
    writeln!(stdout(), "{} {}", bound(&publishers)?, bound(&subscribers)?)?;
    std::thread::spawn(move || zmq::proxy(&publishers, &subscribers));
    wait_for_the_end()
}

/// Runs nodes that answer each call at once, until the input ends.
pub(crate) fn subscribe(arguments: &SubscriberArguments) -> Result<()> {
    let mut left = arguments.count;
    while left > 0 {
        let count = left.min(NODES_IN_A_CONTEXT);
        left -= count;
        let context = Context::new();
        let mut nodes = Vec::with_capacity(count);
        for node in 0..count {
            let (calls, replies) = (socket(&context, zmq::SUB)?, socket(&context, zmq::PUB)?);
            calls.set_subscribe(CALLS.as_bytes())?;
            calls.set_subscribe(format!("n/node{left}-{node}/").as_bytes())?;
            calls.connect(&arguments.calls)?;
            replies.connect(&arguments.replies)?;
            nodes.push((calls, replies));
        }
        let lengths = arguments.sizes.clone();
        std::thread::spawn(move || {
            let _context = context;
            answer(&nodes, &lengths)
        });
    }
    writeln!(stdout(), "ready")?;
    wait_for_the_end()
}

fn answer(nodes: &[(Socket, Socket)], lengths: &[usize]) -> Result<()> {
    let reply: Vec<Vec<u8>> = lengths.iter().map(|length| vec![0x5a; *length]).collect();
    let mut items: Vec<_> = nodes.iter().map(|(calls, _)| calls.as_poll_item(PollEvents::POLLIN)).collect();
    loop {
        zmq::poll(&mut items, -1)?;
        for (item, (calls, replies)) in items.iter().zip(nodes) {
            if !item.is_readable() {
                continue;
            }
            while let Ok(call) = calls.recv_multipart(zmq::DONTWAIT) {
                let mut frames = vec![REPLIES.as_bytes().to_vec()];
                frames.extend(reply.iter().cloned());
                // The number of the round, so that the client knows what is answered.
                if let (Some(to), Some(from)) = (frames.get_mut(1), call.get(1))
                    && let (Some(to), Some(from)) = (to.get_mut(..8), from.get(..8))
                {
                    to.copy_from_slice(from);
                }
                replies.send_multipart(frames, 0)?;
            }
        }
    }
}

/// Forwarder and nodes in their processes, and the client in this one.
pub(crate) struct Opponent {
    forwarder: Part,
    nodes: Part,
    count: usize,
    calls: Socket,
    replies: Socket,
    round: u64,
    // Last: its end waits for the sockets to be gone.
    _context: Context,
}

impl Opponent {
    /// Starts everything and waits until a round is complete.
    pub(crate) fn start(count: usize, reply: Sizes) -> Result<Self> {
        let mut forwarder = Part::of_this_program(&["forwarder".to_owned()])?;
        let line = forwarder.line()?;
        let (publishers, subscribers) = line.split_once(' ').context("the forwarder says where it is")?;
        let mut arguments: Vec<String> =
            ["subscribers", "--calls", subscribers, "--replies", publishers, "--count"]
                .map(str::to_owned)
                .into();
        arguments.extend([count.to_string(), "--sizes".to_owned()]);
        arguments.extend(reply.map(|length| length.to_string()));
        let mut nodes = Part::of_this_program(&arguments)?;
        nodes.line()?;
        let context = Context::new();
        let (calls, replies) = (socket(&context, zmq::PUB)?, socket(&context, zmq::SUB)?);
        replies.set_subscribe(REPLIES.as_bytes())?;
        calls.connect(publishers)?;
        replies.connect(subscribers)?;
        let mut opponent = Self { forwarder, nodes, count, calls, replies, round: 0, _context: context };
        for _ in 0..TRIES {
            if opponent.try_round([64, 64, 33], TRY)? == count {
                return Ok(opponent);
            }
        }
        anyhow::bail!("libzmq never completed a round")
    }

    /// One round: a call of these sizes to all nodes, and an answer from each.
    pub(crate) fn round(&mut self, call: Sizes) -> Result<Duration> {
        let began = Instant::now();
        let answers = self.try_round(call, LATE)?;
        let took = began.elapsed();
        ensure!(answers == self.count, "libzmq: {answers} of {} answers", self.count);
        Ok(took)
    }

    fn try_round(&mut self, call: Sizes, within: Duration) -> Result<usize> {
        self.round += 1;
        let number = self.round.to_be_bytes();
        let mut frames = vec![CALLS.as_bytes().to_vec()];
        frames.extend(call.map(|length| vec![0x5a; length]));
        if let Some(header) = frames.get_mut(1) {
            header.splice(..8, number);
        }
        let deadline = Instant::now() + within;
        self.calls.send_multipart(frames, 0)?;
        let mut answers = 0;
        while answers < self.count {
            let left = deadline.saturating_duration_since(Instant::now());
            self.replies.set_rcvtimeo(i32::try_from(left.as_millis().max(1))?)?;
            match self.replies.recv_multipart(0) {
                Ok(reply) => answers += usize::from(reply.get(1).is_some_and(|h| h.starts_with(&number))),
                Err(zmq::Error::EAGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(answers)
    }

    /// What forwarder and nodes have cost.
    pub(crate) fn costs(&self) -> Result<[Cost; 2]> {
        Ok([self.forwarder.cost()?, self.nodes.cost()?])
    }
}
