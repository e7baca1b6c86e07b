//! An ordered list of task numbers, from any place of which tasks may leave.

use std::collections::VecDeque;

use super::LEFT_KEPT;

/// Numbers of tasks in the order of arrival. Numbers of departed tasks are skipped when they
/// reach the front, and swept out once they are the majority.
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

    /// Counts the departure of one task, at any place in the list.
    pub(super) fn left(&mut self, is_in: impl Fn(u64) -> bool) {
        self.len -= 1;
        if self.numbers.len() > 2 * self.len + LEFT_KEPT {
            self.numbers.retain(|&number| is_in(number));
        }
    }

    /// Removes the first number, which may be that of a departed task. If it is not, that task
    /// departs now.
    pub(super) fn pop(&mut self) -> Option<u64> {
        self.numbers.pop_front()
    }

    /// The numbers of all present tasks and of some departed ones.
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
            // Every other task leaves from behind the first, which stays.
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
