//! Which nodes go together in a roll-out, and when the next may begin. Pure: no clock, no fleet.

use std::collections::{HashMap, VecDeque};

use orch_wire::ids::NodeName;
use orch_wire::nodeset::Batch;

/// How a roll-out goes through its nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    /// The first group.
    pub(crate) canary: Option<Batch>,
    /// Sizes of the groups after it; the last is repeated. All the rest at once where there is none.
    pub(crate) batches: Vec<Batch>,
    /// Most nodes of each value of the fact at once.
    pub(crate) most_per: Option<usize>,
}

/// A node with the value that it has of the fact which limits how many go at once.
pub(crate) type Placed = (NodeName, Option<String>);

/// Groups of nodes, each in the order of the nodes. Every node is in exactly one.
pub(crate) fn groups(nodes: &[Placed], shape: &Shape) -> Vec<Vec<NodeName>> {
    let total = nodes.len();
    let sizes = shape.batches.iter().map(|batch| batch.of(total));
    let mut sizes = shape.canary.map(|canary| canary.of(total)).into_iter().chain(sizes);
    let mut size = None;
    let mut waiting: VecDeque<&Placed> = nodes.iter().collect();
    let mut groups = Vec::new();
    while !waiting.is_empty() {
        let canary_alone = groups.len() == 1 && shape.batches.is_empty();
        size = sizes.next().or(size.filter(|_| !canary_alone));
        let room = size.unwrap_or(total).max(1);
        let mut taken: HashMap<&str, usize> = HashMap::new();
        let (mut group, mut later) = (Vec::new(), VecDeque::new());
        for node in waiting {
            let fits = group.len() < room && may_join(node, &taken, shape.most_per);
            if !fits {
                later.push_back(node);
                continue;
            }
            if let Some(value) = &node.1 {
                *taken.entry(value).or_default() += 1;
            }
            group.push(node.0.clone());
        }
        waiting = later;
        groups.push(group);
    }
    groups
}

/// Nodes without the fact have no peers that they could harm.
fn may_join(node: &Placed, taken: &HashMap<&str, usize>, most_per: Option<usize>) -> bool {
    match (&node.1, most_per) {
        (Some(value), Some(most)) => taken.get(value.as_str()).is_none_or(|count| *count < most.max(1)),
        _ => true,
    }
}

/// A window over nodes: so many at once, the next when one has ended.
#[derive(Debug)]
pub(crate) struct Window {
    waiting: VecDeque<Placed>,
    running: HashMap<NodeName, Option<String>>,
    width: usize,
    most_per: Option<usize>,
}

impl Window {
    pub(crate) fn new(nodes: Vec<Placed>, width: usize, most_per: Option<usize>) -> Self {
        Self { waiting: nodes.into(), running: HashMap::new(), width: width.max(1), most_per }
    }

    /// The next node that may begin now.
    pub(crate) fn next(&mut self) -> Option<NodeName> {
        if self.running.len() >= self.width {
            return None;
        }
        let mut taken: HashMap<&str, usize> = HashMap::new();
        for value in self.running.values().flatten() {
            *taken.entry(value).or_default() += 1;
        }
        let at = self.waiting.iter().position(|node| may_join(node, &taken, self.most_per))?;
        let (node, value) = self.waiting.remove(at)?;
        self.running.insert(node.clone(), value);
        Some(node)
    }

    /// A node has ended.
    pub(crate) fn ended(&mut self, node: &NodeName) {
        self.running.remove(node);
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
