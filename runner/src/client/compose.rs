//! Turns a call into the messages that carry it (`design.md` sections 3 and 4).

use orch_link::entropy;
use orch_wire::body;
use orch_wire::envelope::{self, EnvelopeError, Frames};
use orch_wire::header::{CallHeader, CancelHeader, Header, Kind, Millis, Target};
use orch_wire::ids::{CallId, CollectiveName, MessageId, NodeName, Party};
use orch_wire::keys::Keys;
use orch_wire::limits::{DIRECT_NODES, PROTOCOL, TARGET_BYTES, TIME_TO_LIVE};
use orch_wire::nodeset;
use orch_wire::time::Timestamp;
use orch_wire::topic::{ReplyTopic, Topic};

use super::types::CallRequest;

/// Whom the messages of one sending go to.
#[derive(Debug, Clone)]
pub(super) enum Addressees {
    /// The whole collective; with a query the nodes decide.
    Collective(Target),
    /// These nodes; with a query they decide, else they are targets by name.
    Nodes {
        /// The nodes.
        nodes: Vec<NodeName>,
        /// The query they decide by.
        query: Option<String>,
    },
}

/// What is sent: the call itself, the same again, or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    Call,
    Resend,
    Cancel,
}

/// Makes the messages of a session.
pub struct Composer {
    /// The fleet's message keys.
    pub keys: Keys,
    /// The operator.
    pub sender: Party,
    /// The collective that calls go to.
    pub collective: CollectiveName,
    /// Where answers go.
    pub reply_to: ReplyTopic,
}

impl Composer {
    /// The messages of an errand: few addressees get one each on their own topics, more get one broadcast, or several
    /// with disjoint lists where the list is long.
    pub(super) fn messages(
        &self,
        errand: Errand,
        call: CallId,
        request: &CallRequest,
        to: &Addressees,
        now: Timestamp,
    ) -> Result<Vec<Frames>, EnvelopeError> {
        let broadcast = Topic::Collective(self.collective.clone());
        match to {
            Addressees::Collective(target) => {
                Ok(vec![self.message(errand, call, request, &broadcast, target.clone(), now)?])
            }
            Addressees::Nodes { nodes, query } if nodes.len() <= DIRECT_NODES => nodes
                .iter()
                .map(|node| {
                    let target = query.clone().map_or_else(|| Target::Nodes(node.to_string()), Target::Query);
                    self.message(errand, call, request, &Topic::Node(node.clone()), target, now)
                })
                .collect(),
            // Nodes that have answered already answer once more; that is cheaper than a walk per missing node.
            Addressees::Nodes { query: Some(query), .. } => Ok(vec![self.message(
                errand,
                call,
                request,
                &broadcast,
                Target::Query(query.clone()),
                now,
            )?]),
            Addressees::Nodes { nodes, query: None } => identity_lists(nodes)
                .into_iter()
                .map(|list| self.message(errand, call, request, &broadcast, Target::Nodes(list), now))
                .collect(),
        }
    }

    fn message(
        &self,
        errand: Errand,
        call: CallId,
        request: &CallRequest,
        topic: &Topic,
        target: Target,
        now: Timestamp,
    ) -> Result<Frames, EnvelopeError> {
        let header = |kind| Header {
            version: PROTOCOL,
            id: MessageId::new(now, &entropy::random()),
            sender: self.sender.clone(),
            issued_at: now,
            ttl: Millis::from(TIME_TO_LIVE),
            lz4: false,
            kind,
        };
        let nonce = entropy::random();
        if errand == Errand::Cancel {
            let cancel = CancelHeader {
                call,
                target,
                collective: self.collective.clone(),
                reply_to: self.reply_to.clone(),
            };
            return envelope::seal(&self.keys, topic, header(Kind::Cancel(cancel)), &(), &nonce);
        }
        let fields = CallHeader {
            call,
            run: request.run,
            collective: self.collective.clone(),
            reply_to: self.reply_to.clone(),
            target,
            agent: request.agent.clone(),
            action: request.action.clone(),
            timeout: request.timeout.into(),
            spread: Millis(0),
        };
        let kind = if errand == Errand::Call { Kind::Call(fields) } else { Kind::Resend(fields) };
        let body = body::Call {
            args: request.args.clone(),
            script: request.script.clone(),
            commit: request.commit.clone(),
            dry_run: request.dry_run,
            stream: request.manner.stream,
        };
        envelope::seal(&self.keys, topic, header(kind), &body, &nonce)
    }
}

/// Folds names into lists that each fit a header.
fn identity_lists(nodes: &[NodeName]) -> Vec<String> {
    let folded = nodeset::fold(nodes.iter().map(NodeName::as_str));
    if folded.len() <= TARGET_BYTES || nodes.len() < 2 {
        return vec![folded];
    }
    let (left, right) = nodes.split_at(nodes.len() / 2);
    let mut lists = identity_lists(left);
    lists.extend(identity_lists(right));
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_into_disjoint_ones() {
        // Names that do not fold.
        let names: Vec<NodeName> = (0..5000u64)
            .map(|n| {
                let name: String = blake3::hash(&n.to_be_bytes()).to_hex().chars().take(40).collect();
                NodeName::new(&name.replace(|c: char| c.is_ascii_digit(), "x")).unwrap()
            })
            .collect();
        let lists = identity_lists(&names);
        assert!(lists.len() > 1 && lists.iter().all(|list| list.len() <= TARGET_BYTES));
        let mut back: Vec<String> = lists.iter().flat_map(|list| nodeset::unfold(list).unwrap()).collect();
        let mut all: Vec<String> = names.iter().map(ToString::to_string).collect();
        back.sort();
        all.sort();
        all.dedup();
        assert_eq!(back, all);
    }
}
