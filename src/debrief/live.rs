//! A report on lines that come bit by bit.

use std::fmt;

use super::Debrief;
use super::filter::LineFilter;
use super::fold::Counts;
use super::lines::LineBuffer;
use super::record::Record;

/// Makes reports of audit lines that come bit by bit, of a file that a program still writes to
/// say, in the same bounded memory as [`Debrief::from_reader`].
///
/// ```
/// use automation_assistant::debrief::LiveDebrief;
///
/// let mut live = LiveDebrief::default();
/// live.add(b"{\"run_id\":\"a\",\"event\":\"backend_call\",\"succ");
/// live.add(b"ess\":true}\n");
/// assert_eq!(live.report().total_events(), 1);
/// ```
pub struct LiveDebrief {
    counts: Counts,
    record: Record,
    lines: LineBuffer,
}

impl LiveDebrief {
    /// An empty report, which reads the lines that pass the filter.
    pub fn new(filter: LineFilter) -> Self {
        Self { counts: Counts::filtered(filter.into_hook()), ..Self::default() }
    }

    /// Adds the next bytes of the file, which may end within a line.
    pub fn add(&mut self, mut bytes: &[u8]) {
        let Self { counts, record, lines } = self;
        while !bytes.is_empty() {
            let space = lines.space();
            let (now, later) = bytes.split_at(bytes.len().min(space.len()));
            space.iter_mut().zip(now).for_each(|(place, byte)| *place = *byte);
            lines.filled(now.len(), &mut |found| counts.add(found, record));
            bytes = later;
        }
    }

    /// The report on all lines so far; the same as if they had been read at once.
    pub fn report(&self) -> Debrief {
        let mut counts = self.counts.clone();
        if let Some(line) = self.lines.unended() {
            counts.add(line, &mut Record::default());
        }
        counts.finish();
        Debrief::from_counts(counts)
    }
}

impl Default for LiveDebrief {
    /// An empty report, which reads all lines.
    fn default() -> Self {
        Self { counts: Counts::default(), record: Record::default(), lines: LineBuffer::new() }
    }
}

impl fmt::Debug for LiveDebrief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveDebrief").finish_non_exhaustive()
    }
}
