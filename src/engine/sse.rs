//! Server-sent events, from bytes in chunks of any size. Knows no JSON and no socket.

/// Longest line, and longest event, in bytes, where no larger bound is set: a chunk of a chat takes
/// some hundred; a whole answer in one event fits too.
pub(crate) const EVENT_BYTES_MAX: usize = 1 << 20;

/// Longest name of an event that is kept: all that are known are shorter.
const NAME_BYTES_MAX: usize = 128;

/// Whether brackets balance, followed byte by byte: whether JSON is complete.
#[derive(Debug, Default, Clone, Copy)]
struct Balance {
    /// How far the text has been followed.
    at: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Balance {
    /// Follows what was added to the text; says whether it is complete.
    fn is_complete(&mut self, text: &[u8]) -> bool {
        for byte in text.get(self.at..).unwrap_or_default() {
            match byte {
                _ if std::mem::take(&mut self.escaped) => {}
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                b'{' | b'[' if !self.in_text => self.depth += 1,
                b'}' | b']' if !self.in_text => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        self.at = text.len();
        self.depth == 0 && !self.in_text
    }
}

/// The outcome of reading a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SseEvent<'a> {
    /// An event's name (empty where it has none) and its data.
    Data {
        /// The name.
        event: &'a [u8],
        /// The data, its lines joined.
        data: &'a [u8],
    },
    /// A line that is none of this format's, or JSON that stands without it, on one line or
    /// many: its meaning is the protocol's business.
    Unframed(&'a [u8]),
}

/// Why a stream cannot be read on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadStop<E> {
    /// A line or event is longer than the bound.
    TooLong,
    /// The receiver of the events stopped the reading.
    Taker(E),
}

/// Takes bytes in and gives events out. Holds one line, one event, and JSON of one event's size
/// at most.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event that has not ended yet.
    data: Vec<u8>,
    has_data: bool,
    /// How far brackets balance in the data, if that was asked.
    data_balance: Balance,
    /// JSON outside of any event that has not ended yet.
    unframed: Vec<u8>,
    unframed_balance: Balance,
    /// The event's name.
    event: Vec<u8>,
    /// The last byte was CR: an LF now belongs to it.
    after_cr: bool,
    /// The stream's first line has been seen (a byte order mark can only stand before it).
    begun: bool,
    oddities: u32,
    /// A bound above [`EVENT_BYTES_MAX`], if there is one.
    larger_bound: usize,
}

impl Reader {
    /// A reader of events of this size, and of [`EVENT_BYTES_MAX`] at least.
    pub(crate) fn of_events(bytes_max: usize) -> Self {
        Self { larger_bound: bytes_max, ..Self::default() }
    }

    fn event_bytes_max(&self) -> usize {
        self.larger_bound.max(EVENT_BYTES_MAX)
    }

    /// Takes the next bytes in.
    pub(crate) fn feed<E>(
        &mut self,
        mut bytes: &[u8],
        take: &mut dyn FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), ReadStop<E>> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|b| matches!(b, b'\r' | b'\n'));
            let chunk = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + chunk.len() > self.event_bytes_max() {
                return Err(ReadStop::TooLong);
            }
            let Some(end) = end else {
                self.line.extend_from_slice(chunk);
                return Ok(());
            };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if self.line.is_empty() {
                self.end_line(chunk, take)?;
            } else {
                self.line.extend_from_slice(chunk);
                let line = std::mem::take(&mut self.line);
                self.end_line(&line, take)?;
                // Keeps the allocation for the next line.
                self.line = line;
                self.line.clear();
            }
        }
        Ok(())
    }

    /// The stream has ended: what was begun counts.
    pub(crate) fn end<E>(
        &mut self,
        take: &mut dyn FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), ReadStop<E>> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line, take)?;
        }
        self.end_unframed(take)?;
        self.end_event(take)
    }

    fn end_line<E>(
        &mut self,
        line: &[u8],
        take: &mut dyn FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), ReadStop<E>> {
        let line = match std::mem::replace(&mut self.begun, true) {
            true => line,
            false => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
        };
        match line.first() {
            None => return self.end_event(take),
            // A comment.
            Some(b':') => return Ok(()),
            Some(_) => {}
        }
        if self.gathers(line) {
            return self.gather(line, take);
        }
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let (field, rest) = line.split_at(colon);
        let value = rest.strip_prefix(b":").unwrap_or(rest);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                self.end_unframed(take)?;
                self.end_complete(take)?;
                if self.data.len() + value.len() >= self.event_bytes_max() {
                    return Err(ReadStop::TooLong);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                Ok(())
            }
            b"event" => {
                self.end_unframed(take)?;
                // No event has two names.
                if self.has_data && !self.event.is_empty() {
                    self.note_oddity();
                    self.end_event(take)?;
                }
                self.event.clear();
                self.event.extend_from_slice(&value[..value.len().min(NAME_BYTES_MAX)]);
                Ok(())
            }
            b"id" | b"retry" => Ok(()),
            _ => take(SseEvent::Unframed(line)).map_err(ReadStop::Taker),
        }
    }

    fn end_event<E>(
        &mut self,
        take: &mut dyn FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), ReadStop<E>> {
        if !std::mem::take(&mut self.has_data) {
            self.event.clear();
            return Ok(());
        }
        let outcome = take(SseEvent::Data { event: &self.event, data: &self.data });
        self.event.clear();
        self.data.clear();
        self.data_balance = Balance::default();
        outcome.map_err(ReadStop::Taker)
    }

    /// Ends an event whose data is JSON that is complete: some servers part events by one
    /// newline alone.
    fn end_complete<E>(
        &mut self,
        take: &mut dyn FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), ReadStop<E>> {
        let is_json = self.has_data && matches!(self.data.first(), Some(b'{' | b'['));
        if is_json && self.data_balance.is_complete(&self.data) {
            self.note_oddity();
            return self.end_event(take);
        }
        Ok(())
    }

    /// Whether a line is, or goes on with, JSON outside of any event.
    fn gathers(&self, line: &[u8]) -> bool {
        match self.unframed.is_empty() {
            true => matches!(line.trim_ascii_start().first(), Some(b'{' | b'[')),
            false => !(line.starts_with(b"data:") || line.starts_with(b"event:")),
        }
    }

    fn gather<E>(
        &mut self,
        line: &[u8],
        take: &mut dyn FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), ReadStop<E>> {
        if self.unframed.len() + line.len() > self.event_bytes_max() {
            return Err(ReadStop::TooLong);
        }
        self.unframed.extend_from_slice(line);
        self.unframed.push(b'\n');
        if self.unframed_balance.is_complete(&self.unframed) {
            self.end_unframed(take)
        } else {
            Ok(())
        }
    }

    /// Gives out the JSON gathered outside of any event.
    fn end_unframed<E>(
        &mut self,
        take: &mut dyn FnMut(SseEvent<'_>) -> Result<(), E>,
    ) -> Result<(), ReadStop<E>> {
        if self.unframed.is_empty() {
            return Ok(());
        }
        let outcome = take(SseEvent::Unframed(self.unframed.trim_ascii()));
        self.unframed.clear();
        self.unframed_balance = Balance::default();
        self.note_oddity();
        outcome.map_err(ReadStop::Taker)
    }

    fn note_oddity(&mut self) {
        self.oddities = self.oddities.saturating_add(1);
    }

    /// How much was not as the format wants it.
    pub(crate) fn oddities(&self) -> u32 {
        self.oddities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All events, errors marked, with the bytes fed in chunks of this size.
    fn events(stream: &[u8], size: usize) -> Vec<String> {
        let mut reader = Reader::default();
        let mut out = Vec::new();
        let mut take = |event: SseEvent<'_>| -> Result<(), ()> {
            let (event, data) = match event {
                SseEvent::Data { event, data } => (event, data),
                SseEvent::Unframed(line) => (&b"?"[..], line),
            };
            let [event, data] = [event, data].map(String::from_utf8_lossy);
            out.push(if event.is_empty() { data.into_owned() } else { format!("{event}|{data}") });
            Ok(())
        };
        for bytes in stream.chunks(size) {
            reader.feed(bytes, &mut take).unwrap();
        }
        reader.end(&mut take).unwrap();
        out
    }

    #[test]
    fn every_edge_reads_the_same_in_chunks_of_any_size() {
        let cases: &[(&str, &[&str])] = &[
            ("data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d", &["a", "b", "c", "d"]),
            (": ping\n\ndata:a\n: x\ndata:  b\n\n", &["a\n b"]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["a", "?|\u{feff}data: b"]),
            ("id: 1\nretry: 5\nnonsense\ndata\n\ndata: \n\n", &["?|nonsense", "", ""]),
            ("event: error\ndata: e\n\ndata: a\n\n", &["error|e", "a"]),
            ("event: error\n\ndata: a\n\n", &["a"]),
            ("error: {\"x\":1}\n", &["?|error: {\"x\":1}"]),
            ("{\"a\":1}\r\n{\"b\":2}\r\n", &["?|{\"a\":1}", "?|{\"b\":2}"]),
            ("{\"a\":1}", &["?|{\"a\":1}"]),
            ("{\n \"a\": [\n  \"}\"\n ]\n}\n", &["?|{\n \"a\": [\n  \"}\"\n ]\n}"]),
            ("{\n\ndata: {}\n\n", &["?|{", "{}"]),
            (
                "data: {\"a\":1}\ndata: {\"b\":\"}\"}\ndata: [DONE]\n",
                &["{\"a\":1}", "{\"b\":\"}\"}", "[DONE]"],
            ),
            ("data: {\ndata: \"a\":1}\n\n", &["{\n\"a\":1}"]),
            ("event: x\ndata: 1\nevent: y\ndata: {}\n\n", &["x|1", "y|{}"]),
            ("data: {}\nevent: error\n\n", &["error|{}"]),
            ("data: \u{e4}\u{1F600}\n\n", &["\u{e4}\u{1F600}"]),
            ("", &[]),
            ("\n\n\r\n", &[]),
        ];
        for (stream, expected) in cases {
            for size in [1, 2, 3, 7, 1000] {
                assert_eq!(events(stream.as_bytes(), size), *expected, "{stream:?} by {size}");
            }
        }
    }

    #[test]
    fn any_bytes_in_any_chunks_read_as_they_do_in_one() {
        let alphabet = b"data: event:\r\n\n\n{}:error\xef\xbb\xbf\xff x";
        let mut roll = 0x2545_F491_4F6C_DD1D_u64;
        let mut next = |bound: usize| {
            roll ^= roll << 13;
            roll ^= roll >> 7;
            roll ^= roll << 17;
            (roll % bound as u64) as usize
        };
        for _ in 0..2000 {
            let stream: Vec<u8> = (0..next(60)).map(|_| alphabet[next(alphabet.len())]).collect();
            assert_eq!(events(&stream, 1 + next(9)), events(&stream, 1000), "{stream:?}");
        }
    }

    #[test]
    fn lines_and_events_without_end_are_refused() {
        let mut take = |_: SseEvent<'_>| -> Result<(), ()> { Ok(()) };
        let line = vec![b'x'; 64 << 10];
        let mut reader = Reader::default();
        let ended = (0..20).find_map(|_| reader.feed(&line, &mut take).err());
        assert_eq!(ended, Some(ReadStop::TooLong));
        let mut reader = Reader::default();
        let data = [b"data: ".as_slice(), &line, b"\n"].concat();
        let ended = (0..20).find_map(|_| reader.feed(&data, &mut take).err());
        assert_eq!(ended, Some(ReadStop::TooLong));
        assert!(reader.data.len() <= EVENT_BYTES_MAX);
        // As large as a whole reply may be: Responses repeats the answer in its last event.
        let mut reader = Reader::of_events(20 * line.len());
        assert!((0..20).all(|_| reader.feed(&line, &mut take).is_ok()));
        assert_eq!(reader.feed(&line, &mut take), Err(ReadStop::TooLong));
    }

    #[test]
    fn a_taker_s_refusal_ends_the_stream() {
        let mut reader = Reader::default();
        let ended = reader.feed(b"data: a\n\n", &mut |_| Err("enough"));
        assert_eq!(ended, Err(ReadStop::Taker("enough")));
    }
}
