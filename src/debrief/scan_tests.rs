//! The scanner against serde_json: the same lines are JSON, and the same values are in them.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use serde_json::Value;

use super::super::record::{NumberField, Record, TextField};
use super::scan;

/// Lines made by chance in an ordinary test run.
const ROUNDS: u64 = 60_000;

const TEXTS: [(&str, TextField); 3] =
    [("run_id", TextField::RunId), ("backend", TextField::Backend), ("error", TextField::Error)];
const NUMBERS: [(&str, NumberField); 3] = [
    ("latency_ms", NumberField::LatencyMs),
    ("seq", NumberField::Seq),
    ("completion_tokens", NumberField::CompletionTokens),
];

/// Compares one line; `record` remembers the lines before.
fn compare(line: &[u8], record: &mut Record) {
    let shown = String::from_utf8_lossy(line).into_owned();
    let theirs = serde_json::from_slice::<Value>(line).ok().filter(Value::is_object);
    let ours = scan(line, record);
    assert_eq!(ours.is_some(), theirs.is_some(), "{shown}");
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
    for (key, name) in TEXTS {
        let text = ours.text(name).map(|text| text.decode().into_owned());
        assert_eq!(text.as_deref(), theirs.get(key).and_then(Value::as_str), "{key} in {shown}");
    }
    for (key, number) in NUMBERS {
        let theirs = theirs.get(key).and_then(Value::as_f64);
        let same = match (ours.number(number), theirs) {
            // Both readings multiply powers of ten where there is an exponent, and may be off in
            // the last digit or two.
            (Some(ours), Some(theirs)) => {
                (ours - theirs).abs() <= theirs.abs() * 4.0 * f64::EPSILON
            }
            (ours, theirs) => ours == theirs,
        };
        assert!(same, "{key} in {shown}: {:?} and {theirs:?}", ours.number(number));
    }
    assert_eq!(ours.success(), theirs.get("success").and_then(Value::as_bool), "{shown}");
}

const ODD_LINES: [&str; 61] = [
    "{}",
    " { } ",
    "{\"a\":1,}",
    "{,}",
    "{\"a\" 1}",
    "{\"a\":}",
    "{\"a\"}",
    "{a:1}",
    "[]",
    "1",
    "",
    " ",
    "{",
    "}",
    "{}{}",
    "{}x",
    "{\"seq\":01}",
    "{\"seq\":-0}",
    "{\"seq\":-}",
    "{\"seq\":1.}",
    "{\"seq\":.5}",
    "{\"seq\":+1}",
    "{\"seq\":1e5}",
    "{\"seq\":1E+5}",
    "{\"seq\":1e}",
    "{\"seq\":1e999}",
    "{\"seq\":-1e-999}",
    "{\"seq\":123456789012345678901}",
    "{\"seq\":9007199254740993}",
    // Beyond 2^64 by so little that the digits wrap around to a small number.
    "{\"seq\":18446744073709551617}",
    "{\"seq\":184467440737095516.17}",
    "{\"seq\":1844674407370955161.7}",
    "{\"seq\":0.1234567890123456789}",
    "{\"seq\":NaN}",
    "{\"latency_ms\":520.5,\"latency_ms\":null}",
    "{\"seq\":\"1\"}",
    "{\"success\":1}",
    "{\"success\":tru}",
    "{\"success\":true,\"success\":\"x\"}",
    "{\"run_id\":7}",
    "{\"r\\u0075n_id\":\"x\"}",
    "{\"run_id\":\"\\ud83d\\ude00\"}",
    "{\"run_id\":\"\\ud83d\"}",
    "{\"run_id\":\"\\ude00\"}",
    "{\"run_id\":\"\\u00zz\"}",
    "{\"run_id\":\"\\x\"}",
    "{\"run_id\":\"a\tb\"}",
    "{\"run_id\":\"a\\tb\"}",
    "{\"run_id\":\"é🟢\"}",
    "{\"a\":[1,{\"b\":[]},\"x\",null,true,-1.5e3]}",
    "{\"a\":[1,]}",
    "{\"a\":[1 2]}",
    "{\"a\":{\"b\":1,}}",
    "{\"a\":{\"b\"}}",
    "{\"a\":[}",
    "{\"a\":{]}",
    "{\"a\":[[]]]}",
    "{\"success\" :\ttrue\r}",
    "{\"seq\": 5 }\r",
    "\u{feff}{}",
    "{\"a\":\"\u{7f}\"}",
];

#[test]
fn odd_lines_are_judged_as_serde_json_judges_them() {
    let deep = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let deep_objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let mut record = Record::default();
    let deep_lines = [125, 126, 127, 128, 10_000].map(deep);
    let deep_object_lines = [126, 127, 128, 129].map(deep_objects);
    let deep_lines = deep_lines.iter().chain(&deep_object_lines).map(String::as_str);
    for line in ODD_LINES.into_iter().chain(deep_lines) {
        compare(line.as_bytes(), &mut record);
        // The second time, the shape of the line is known.
        compare(line.as_bytes(), &mut record);
    }
    for bytes in [
        &b"{\"run_id\":\"\xff\"}"[..],
        b"{\"a\xc3\":1}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        &[0; 9],
        b"{\"a\":\"\x80\x80\x80\x80\x80\x80\x80\x80\"}",
    ] {
        compare(bytes, &mut record);
        compare(bytes, &mut record);
    }
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = String::from("{");
        for place in 0..self.below(9) {
            line.push_str(if place > 0 { "," } else { "" });
            line.push_str(self.pick(&["", "", "", " "]));
            line.push_str(self.pick(&[
                "\"run_id\"",
                "\"backend\"",
                "\"error\"",
                "\"latency_ms\"",
                "\"seq\"",
                "\"success\"",
                "\"completion_tokens\"",
                "\"timestamp\"",
                "\"é\"",
                "\"a key that is longer than what is remembered\"",
            ]));
            line.push_str(self.pick(&[":", ":", ":", ": ", " :"]));
            line.push_str(self.pick(&[
                "true",
                "false",
                "null",
                "\"\"",
                "\"text\"",
                "\"a longer text, with é\"",
                "\"\\\"\\n\\u0041\"",
                "0",
                "-0.0",
                "17",
                "1763830000.123456",
                "12345678",
                "123456789.5",
                "1e3",
                "0.000001",
                "9007199254740993",
                "[1,\"]\",{}]",
                "{\"seq\":1}",
                "-12.75",
                "99999999999999999999",
                "3.141592653589793238",
            ]));
        }
        line.push('}');
        let mut line = line.into_bytes();
        if self.below(3) == 0 {
            self.spoil(&mut line);
        }
        line
    }

    /// Changes, removes or adds a byte.
    fn spoil(&mut self, line: &mut Vec<u8>) {
        let at = self.below(line.len());
        let byte = b"\"\\{}[],:0-e.\x00\x1f \xffu"[self.below(17)];
        match self.below(4) {
            0 => line[at] = byte,
            1 => line.insert(at, byte),
            2 => line.truncate(at),
            _ => drop(line.remove(at)),
        }
    }
}

#[test]
fn lines_made_by_chance_are_judged_as_serde_json_judges_them() {
    let seed = std::env::var("AA_TEST_SEED")
        .map_or_else(|_| crate::id::random_u64() | 1, |seed| seed.parse().unwrap());
    println!("AA_TEST_SEED={seed}");
    let (mut chance, mut record) = (Chance(seed), Record::default());
    for _ in 0..ROUNDS {
        let line = chance.line();
        compare(&line, &mut record);
    }
}

#[test]
fn each_key_is_remembered_at_its_own_place() {
    let (line, mut record) = (br#"{"run_id":"r","seq":1}"#, Record::default());
    assert!(scan(line, &mut record).is_some());
    let keys = &record.shape.keys;
    assert!(keys[0][0].is_at(line, 1) && keys[1][0].is_at(line, 14));
    assert_eq!((keys[0][1].len, keys[1][1].len, keys[2][0].len), (0, 0, 0));
}
