//! The tasks, by number.

use std::collections::VecDeque;

use super::{LEFT_KEPT, Phase};

/// A map from numbers to tasks.
#[derive(Default)]
pub(super) struct TaskMap {
    /// Each task's slot; `None` for a departed one. Numbers only rise: a new one is appended, and
    /// each is found by binary search.
    places: VecDeque<(u64, Option<u32>)>,
    /// Tasks that have not left.
    len: usize,
    slots: Vec<Option<Phase>>,
    free: Vec<u32>,
}

impl TaskMap {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a task whose number is higher than any before.
    pub(super) fn push(&mut self, number: u64, phase: Phase) {
        let place = self.free.pop().unwrap_or_else(|| {
            // A helper with one task at a time needs one slot, not the four that a vector
            // allocates first.
            if self.slots.is_empty() {
                self.slots.reserve_exact(1);
            }
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.slots[place as usize] = Some(phase);
        self.places.push_back((number, Some(place)));
        self.len += 1;
    }

    fn find(&self, number: u64) -> Option<usize> {
        // If no number between was swept out, its index is the difference to the first number.
        let (first, _) = self.places.front()?;
        let guess = number.checked_sub(*first)? as usize;
        if self.places.get(guess).is_some_and(|(other, _)| *other == number) {
            return Some(guess);
        }
        self.places.binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Phase> {
        let place = self.places[self.find(number)?].1?;
        self.slots[place as usize].as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Phase> {
        let place = self.places[self.find(number)?].1?;
        self.slots[place as usize].as_mut()
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Phase> {
        let at = self.find(number)?;
        let place = self.places[at].1.take()?;
        self.free.push(place);
        self.len -= 1;
        while let Some((_, None)) = self.places.front() {
            self.places.pop_front();
        }
        if self.places.len() > 2 * self.len + LEFT_KEPT {
            self.places.retain(|(_, place)| place.is_some());
        }
        self.slots[place as usize].take()
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }
}
