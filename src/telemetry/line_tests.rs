//! Lines read back, and their digits one by one.
#![allow(clippy::unwrap_used)]

use super::*;

fn start() -> Line {
    let at = Stamp::new(UNIX_EPOCH + Duration::new(1_763_830_000, 120_456_789));
    let mut line = Line::new();
    line.begin(at, ",\"run_id\":\"r\"", "e");
    line
}

fn read(line: &Line) -> serde_json::Value {
    serde_json::from_slice(line.after(false)).unwrap()
}

#[test]
fn every_kind_of_field_reads_back_as_json() {
    let mut line = start();
    line.text(key!("text"), "a \"b\" \\ \n\r\t\u{1}\u{1f} é 🟢");
    line.count(key!("count"), u64::MAX);
    line.flag(key!("flag"), true);
    line.millis(key!("ms"), Duration::from_micros(520_050));
    line.fact("low", Fact::Number(-0.25));
    line.fact("nan", Fact::Number(f64::NAN));
    line.fact("none", Fact::Number(0.0));
    line.fact("high", Fact::Number(987_654_321.012_345));
    line.helper_id(key!("id"), "000000ab".parse().unwrap());
    line.task_id(key!("task"), "000000ab-123456789a".parse().unwrap());
    line.finish(7);
    assert_eq!(
        std::str::from_utf8(line.after(false)).unwrap(),
        "{\"timestamp\":1763830000.120456,\"run_id\":\"r\",\"event\":\"e\",\
         \"text\":\"a \\\"b\\\" \\\\ \\n\\r\\t\\u0001\\u001f é 🟢\",\
         \"count\":18446744073709551615,\"flag\":true,\"ms\":520.050,\"low\":-0.250000,\
         \"nan\":null,\"none\":0.000000,\"high\":987654321.012345,\"id\":\"000000ab\",\"task\":\"000000ab-123456789a\",\"seq\":7}\n"
    );
    assert_eq!(read(&line)["text"], "a \"b\" \\ \n\r\t\u{1}\u{1f} é 🟢");
    assert_eq!(line.after(true).first(), Some(&b'\n'));
    assert_eq!(line.after(true).get(1..).unwrap(), line.after(false));
}

#[test]
fn a_clock_before_1970_is_written_as_it_is() {
    let mut line = Line::new();
    line.begin(Stamp::new(UNIX_EPOCH - Duration::from_millis(1500)), "", "e");
    line.finish(1);
    assert_eq!(read(&line)["timestamp"], -1.5);
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let mut line = start();
    line.text(key!("text"), &"é".repeat(TEXT_BYTES_MAX));
    line.finish(1);
    let text = read(&line)["text"].as_str().unwrap().to_owned();
    assert_eq!(text, format!("{}…", "é".repeat(TEXT_BYTES_MAX / 2)));
}

#[test]
fn a_field_that_does_not_fit_is_left_out_and_the_line_stays_json() {
    let mut line = start();
    for n in 0..20 {
        line.fact(&format!("hostile{n}"), Fact::Text(&"\u{1}".repeat(200)));
        line.count(key!("small"), n);
    }
    line.finish(u64::MAX);
    assert!(line.after(true).len() <= LINE_BYTES_MAX);
    let read = read(&line);
    assert_eq!(read["hostile0"], "\u{1}".repeat(200));
    assert_eq!(read.get("hostile1"), None);
    assert_eq!(read["seq"], u64::MAX);
}

#[test]
fn numbers_have_all_their_digits() {
    let powers = (0..20).map(|power| 10_u64.pow(power));
    for number in (0..20_000).chain((0..64).map(|bit| 1 << bit)).chain(powers).chain([u64::MAX]) {
        for number in [number, number.saturating_sub(1), number.wrapping_mul(7)] {
            let mut line = Line::new();
            line.number(number);
            assert_eq!(line.after(true), number.to_string().as_bytes());
            let mut line = Line::new();
            line.hex(number);
            assert_eq!(line.after(true), format!("{number:08x}").as_bytes());
            let mut line = Line::new();
            let micros = (number % 1_000_000) as u32;
            line.decimals::<6>(micros);
            assert_eq!(line.after(true), format!(".{micros:06}").as_bytes());
        }
    }
    let mut line = start();
    line.millis(key!("none"), Duration::ZERO);
    line.millis(key!("long"), Duration::MAX);
    line.millis(key!("micro"), Duration::from_micros(1001));
    line.finish(1);
    let text = std::str::from_utf8(line.after(false)).unwrap();
    assert!(text.contains("\"none\":0.000,\"long\":18446744073709551615.999,\"micro\":1.001"));
}

#[test]
fn a_line_that_is_full_to_any_byte_can_still_be_ended() {
    for pad in 0..64 {
        let mut line = start();
        for _ in 0..2 {
            line.text(key!("text"), &"x".repeat(TEXT_BYTES_MAX));
        }
        line.text(key!("pad"), &"x".repeat(pad));
        for _ in 0..60 {
            line.count(key!("n"), u64::MAX);
            line.task_id(key!("i"), "000000ab-123456789a".parse().unwrap());
        }
        for _ in 0..10 {
            line.flag(key!("f"), true);
            line.count(key!("o"), 1);
        }
        line.finish(u64::MAX);
        assert!(line.after(true).len() <= LINE_BYTES_MAX);
        assert_eq!(read(&line)["seq"], u64::MAX, "{pad}");
    }
}

#[test]
fn each_byte_that_needs_escaping_is_seen_wherever_it_stands_and_no_other() {
    let needs = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    for fill in [b' ', b'x', 0x7f, 0xff, 0x80, b'!', b'#', b'[', b']'] {
        for len in 1..=17 {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut text = vec![fill; len];
                    text[at] = byte;
                    assert_eq!(is_plain(&text), !needs(byte), "{byte} at {at} of {len}, {fill}");
                }
            }
        }
    }
    assert!(!is_plain(b"\"\\\x01\x1f\"\"\\\\"));
}
