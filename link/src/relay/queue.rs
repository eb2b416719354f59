//! What waits for the other side of a relay.
//!
//! Blocks instead of one buffer: a buffer that grows is moved again and again and ends at twice of what it holds, and what
//! was sent from its front is not given back before all is. One small item that goes on at once sees one block.

use std::collections::VecDeque;

/// Items are gathered in blocks of this size: as much as TLS takes in one write.
const BLOCK: usize = 64 * 1024;
/// A queue keeps at most this much memory once it is empty.
const KEEP_BYTES: usize = 2048;

/// Bytes that wait for the other side, with the ends of the items in them.
#[derive(Default)]
pub(super) struct Queue {
    /// Blocks before the last, which are not added to.
    full: VecDeque<Vec<u8>>,
    last: Vec<u8>,
    /// What of the first block has been taken.
    gone: usize,
    /// Bytes in all blocks, those taken from the first one included.
    held: usize,
    /// Ends of the items that wait, counted like `taken`.
    ends: VecDeque<u64>,
    /// Bytes taken since the start.
    taken: u64,
}

impl Queue {
    /// Bytes of memory that are in use.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Items that wait, one that has gone in part among them.
    pub(super) fn items(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Adds an item behind the others.
    pub(super) fn push(&mut self, item: &[u8]) {
        let (head, tail) = item.split_at(item.len().min(BLOCK.saturating_sub(self.last.len())));
        let length = self.last.len() + head.len();
        if length > self.last.capacity() {
            let room = length.max(2 * self.last.capacity()).min(BLOCK);
            self.last.reserve_exact(room - self.last.len());
        }
        self.last.extend_from_slice(head);
        for part in tail.chunks(BLOCK) {
            let mut block = Vec::with_capacity(BLOCK);
            block.extend_from_slice(part);
            self.begin(block);
        }
        self.added(item.len());
    }

    /// Adds an item behind the others without a copy where it is large.
    pub(super) fn push_whole(&mut self, item: Vec<u8>) {
        if item.len() < BLOCK {
            return self.push(&item);
        }
        let length = item.len();
        self.begin(item);
        self.added(length);
    }

    fn begin(&mut self, block: Vec<u8>) {
        let before = std::mem::replace(&mut self.last, block);
        if !before.is_empty() {
            self.full.push_back(before);
        }
    }

    fn added(&mut self, count: usize) {
        self.held += count;
        self.ends.push_back(self.taken + (self.held - self.gone) as u64);
    }

    /// What goes next.
    pub(super) fn front(&self) -> &[u8] {
        self.full.front().unwrap_or(&self.last).get(self.gone..).unwrap_or_default()
    }

    /// Takes bytes from the front, no more than it has.
    pub(super) fn advance(&mut self, count: usize) {
        self.gone += count;
        self.taken += count as u64;
        while self.ends.front().is_some_and(|&end| end <= self.taken) {
            self.ends.pop_front();
        }
        let length = self.full.front().unwrap_or(&self.last).len();
        if self.gone < length {
            return;
        }
        self.gone = 0;
        self.held -= length;
        if self.full.pop_front().is_some() {
            return;
        }
        if self.last.capacity() > KEEP_BYTES {
            *self = Self { taken: self.taken, ..Self::default() };
        } else {
            self.last.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_items_go_together_and_large_ones_as_they_are() {
        let mut queue = Queue::default();
        for _ in 0..1000 {
            queue.push(&[1; 100]);
        }
        assert_eq!((queue.items(), queue.front().len(), queue.held()), (1000, BLOCK, 100_000));
        let large = vec![2; 1_000_000];
        let place = large.as_ptr();
        queue.push_whole(large);
        queue.advance(BLOCK);
        queue.advance(100_000 - BLOCK);
        assert_eq!((queue.items(), queue.front().as_ptr()), (1, place));
    }

    #[test]
    fn memory_is_given_back() {
        let mut queue = Queue::default();
        for _ in 0..5000 {
            queue.push(&[3; 1000]);
        }
        let blocks = queue.full.iter().chain([&queue.last]);
        let memory: usize = blocks.map(Vec::capacity).sum();
        assert!(memory <= queue.held() + BLOCK, "{memory}");
        while !queue.is_empty() {
            queue.advance(queue.front().len());
        }
        assert_eq!((queue.last.capacity(), queue.full.capacity(), queue.ends.capacity()), (0, 0, 0));

        // What is small stays for the next one.
        queue.push(&[4; 100]);
        queue.advance(100);
        assert!(queue.is_empty() && queue.last.capacity() >= 100);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(steps in proptest::collection::vec((0usize..200_000, any::<bool>(), 0usize..200_000), 1..30)) {
            let mut queue = Queue::default();
            let (mut put, mut got, mut ends) = (Vec::new(), Vec::new(), Vec::new());
            for (step, &(length, whole, taken)) in steps.iter().enumerate() {
                let item: Vec<u8> = (0..=length).map(|at| (at + step) as u8).collect();
                put.extend_from_slice(&item);
                ends.push(put.len());
                if whole { queue.push_whole(item) } else { queue.push(&item) }
                let mut left = taken;
                while left > 0 && !queue.is_empty() {
                    let count = left.min(queue.front().len());
                    got.extend_from_slice(&queue.front()[..count]);
                    queue.advance(count);
                    left -= count;
                }
                prop_assert!(queue.held() >= put.len() - got.len());
                prop_assert_eq!(queue.items(), ends.iter().filter(|&&end| end > got.len()).count());
                prop_assert_eq!(queue.is_empty(), put.len() == got.len());
            }
            while !queue.is_empty() {
                prop_assert!(!queue.front().is_empty());
                got.extend_from_slice(queue.front());
                queue.advance(queue.front().len());
            }
            prop_assert!(put == got);
        }
    }
}
