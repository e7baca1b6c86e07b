//! The channel that helpers' threads block on, and which lane goes next.
//!
//! What travels is a ticket without content: the task itself stays in the store, so that
//! cancelling or expiry frees its text and its place at once. A ticket says no more than
//! "look into the store", and whoever has one takes tasks until there is none; so as many
//! tickets as there are threads are enough, however many tasks wait.

#[cfg(not(shuttle))]
use crossbeam_channel::{Receiver, Sender, bounded};

#[cfg(shuttle)]
pub(crate) use crate::sync::Tickets;
use crate::task::Priority;

/// How many lanes there are: one per [`Priority`].
pub(crate) const LANES: usize = 3;

/// How many tasks in a row may pass over a waiting lower lane.
const PASS_OVER_MAX: u32 = 8;

/// The lane of a priority; a smaller number goes first.
pub(crate) fn lane_of(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

/// The two ends of a helper's ticket channel, which has one place for each thread. A ticket
/// wakes one thread to look for a task or a callback, or to see that its helper was stopped.
#[cfg(not(shuttle))]
pub(crate) struct Tickets {
    sender: Sender<()>,
    receiver: Receiver<()>,
}

#[cfg(not(shuttle))]
impl Tickets {
    pub(crate) fn new(threads: usize) -> Self {
        let (sender, receiver) = bounded(threads);
        Self { sender, receiver }
    }

    /// Wakes one thread, if one sleeps.
    pub(crate) fn send(&self) {
        // Full: then every thread that sleeps has a ticket on its way, and every other one
        // looks for work before it sleeps.
        let _ = self.sender.try_send(());
    }

    /// Blocks until a ticket comes.
    pub(crate) fn receive(&self) {
        let _ = self.receiver.recv();
    }
}

/// Chooses lanes: high before normal before low; after eight takes in a row that passed over
/// a lower lane, one from the lowest that waits.
#[derive(Debug, Default)]
pub(crate) struct LaneChoice {
    passed_over: u32,
}

impl LaneChoice {
    /// The lane to take from, given how many wait in each; `None` if nothing waits.
    pub(crate) fn next(&mut self, waiting: [usize; LANES]) -> Option<usize> {
        let highest = waiting.iter().position(|&tasks| tasks > 0)?;
        let lowest = waiting.iter().rposition(|&tasks| tasks > 0)?;
        if highest == lowest {
            self.passed_over = 0;
            return Some(highest);
        }
        if self.passed_over >= PASS_OVER_MAX {
            self.passed_over = 0;
            return Some(lowest);
        }
        self.passed_over += 1;
        Some(highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ninth_take_goes_to_the_lowest_lane_that_waits() {
        let mut choice = LaneChoice::default();
        let order: Vec<_> = (0..20).filter_map(|_| choice.next([9, 9, 9])).collect();
        let expected: Vec<_> = (1..=20).map(|n| if n % 9 == 0 { 2 } else { 0 }).collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn a_lane_alone_is_never_passed_over() {
        let mut choice = LaneChoice::default();
        for _ in 0..20 {
            assert_eq!(choice.next([0, 1, 0]), Some(1));
        }
        assert_eq!(choice.next([0, 0, 0]), None);
        assert_eq!(choice.next([1, 0, 1]), Some(0));
    }

    #[cfg(not(shuttle))]
    #[test]
    fn a_thread_without_a_ticket_sleeps() {
        use std::time::Duration;

        let tickets = Tickets::new(1);
        let (woken, wakes) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let tickets = &tickets;
            scope.spawn(move || {
                tickets.receive();
                woken.send(()).unwrap();
            });
            // One that did not sleep would be noticed in microseconds.
            assert!(wakes.recv_timeout(Duration::from_millis(10)).is_err());
            // Those beyond one for each thread are not kept.
            tickets.send();
            tickets.send();
            wakes.recv().unwrap();
        });
    }
}
