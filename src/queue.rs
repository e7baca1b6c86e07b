//! The channel that helpers' threads block on, and the order of the lanes.
//!
//! The channel carries tickets without content: the task itself stays in the store, so that a
//! cancellation or expiry frees its text and its place at once. A ticket means "look into the
//! store", and the thread that receives it takes tasks until there are none; so one ticket for
//! each thread is enough, however many tasks are queued.

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

/// The two ends of a helper's ticket channel, which has one place for each thread. A ticket wakes
/// one thread to look for a task or a callback, or to notice that its helper was stopped.
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
        // Full: then every sleeping thread has a ticket in transit, and every other thread looks
        // for work before it sleeps.
        let _ = self.sender.try_send(());
    }

    /// Blocks until a ticket arrives.
    pub(crate) fn receive(&self) {
        let _ = self.receiver.recv();
    }
}

/// Chooses lanes: high before normal before low; after eight takes in a row that passed over a
/// lower lane, one from the lowest lane that is not empty. Of those, every eighth goes to the lane
/// between the two instead, which would wait for ever where both others never empty.
#[derive(Debug, Default)]
pub(crate) struct LaneChoice {
    passed_over: u32,
    lowest_taken: u32,
}

impl LaneChoice {
    /// The lane to take from, given the number of tasks in each; `None` if all are empty.
    pub(crate) fn next(&mut self, waiting: [usize; LANES]) -> Option<usize> {
        let highest = waiting.iter().position(|&tasks| tasks > 0)?;
        let lowest = waiting.iter().rposition(|&tasks| tasks > 0)?;
        if highest == lowest {
            self.passed_over = 0;
            return Some(highest);
        }
        if self.passed_over >= PASS_OVER_MAX {
            self.passed_over = 0;
            let between = (highest + 1..lowest).find(|&lane| waiting[lane] > 0);
            return match between {
                Some(lane) if self.lowest_taken >= PASS_OVER_MAX - 1 => {
                    self.lowest_taken = 0;
                    Some(lane)
                }
                Some(_) => {
                    self.lowest_taken += 1;
                    Some(lowest)
                }
                None => Some(lowest),
            };
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
    fn no_lane_waits_for_ever_between_two_others() {
        let mut choice = LaneChoice::default();
        let order: Vec<_> = (0..144).filter_map(|_| choice.next([9, 9, 9])).collect();
        let taken = |lane| order.iter().filter(|&&taken| taken == lane).count();
        assert_eq!((taken(0), taken(1), taken(2)), (128, 2, 14));
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
            // A thread that did not sleep would answer within microseconds.
            assert!(wakes.recv_timeout(Duration::from_millis(10)).is_err());
            // Tickets beyond one for each thread are discarded.
            tickets.send();
            tickets.send();
            wakes.recv().unwrap();
        });
    }
}
