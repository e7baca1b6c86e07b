//! An order of tasks that may leave it anywhere.

use std::collections::VecDeque;

use super::LEFT_KEPT;

/// Numbers of tasks in the order in which they came. Those of tasks that have left since are
/// skipped when they come to the front, and swept out once they are most of it.
#[derive(Default)]
pub(super) struct NumberQueue {
    numbers: VecDeque<u64>,
    /// Tasks that have not left.
    len: usize,
}

impl NumberQueue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, number: u64) {
        self.numbers.push_back(number);
        self.len += 1;
    }

    /// One of them has left, wherever it stood.
    pub(super) fn left(&mut self, is_in: impl Fn(u64) -> bool) {
        self.len -= 1;
        if self.numbers.len() > 2 * self.len + LEFT_KEPT {
            self.numbers.retain(|&number| is_in(number));
        }
    }

    /// Takes out the first number, which may be that of a task that has left. If it is not,
    /// the task leaves now.
    pub(super) fn pop(&mut self) -> Option<u64> {
        self.numbers.pop_front()
    }

    /// All of them, and some that have left.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.numbers.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn those_that_have_left_are_skipped_and_never_most_of_it() {
        let (mut order, mut is_in) = (NumberQueue::default(), BTreeSet::new());
        for number in 0..10_000 {
            order.push(number);
            is_in.insert(number);
            // Every other one leaves from behind the first, which stays.
            if number % 2 == 1 {
                is_in.remove(&number);
                order.left(|number| is_in.contains(&number));
            }
            assert!(order.numbers.len() <= 2 * order.len() + LEFT_KEPT + 1);
        }
        let mut left = Vec::new();
        while let Some(first) = order.pop() {
            if is_in.remove(&first) {
                left.push(first);
                order.left(|number| is_in.contains(&number));
            }
        }
        assert!(left.into_iter().eq((0..10_000).step_by(2)));
        assert_eq!(order.len(), 0);
    }
}
