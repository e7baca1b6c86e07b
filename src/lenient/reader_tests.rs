use super::*;

fn text(json: &str) -> (String, Option<JsonFault>, u32) {
    let mut reader = JsonReader::new(json);
    assert!(reader.take(b'"'));
    let text = reader.string().into_owned();
    (text, reader.fault(), reader.oddities())
}

#[test]
fn texts_are_read_as_serde_json_reads_them() {
    for json in [
        r#""""#,
        r#""plain""#,
        r#""\"\\\/\b\f\n\r\t\u00e4\u20ac\ud83d\ude00""#,
        r#""long enough for a word, then \n one more, and \u0041 end""#,
        "\"\u{e4}\u{1f600} and so on and on\"",
    ] {
        let expected: String = serde_json::from_str(json).unwrap();
        assert_eq!(text(json), (expected, None, 0), "{json}");
    }
}

#[test]
fn what_is_odd_is_read_and_counted_and_what_makes_no_sense_is_a_fault() {
    assert_eq!(text("\"a\u{1b}b\n\""), ("a\u{1b}b\n".into(), None, 2));
    assert_eq!(text(r#""it\'s""#), ("it\\'s".into(), None, 1));
    assert_eq!(text(r#""\ud83d""#).2, 1);
    for ended in ["\"", "\"abc", "\"a\\", "\"a\\u00"] {
        assert_eq!(text(ended).1, Some(JsonFault::Ended), "{ended}");
    }
    assert_eq!(text("\"\\uzzzz\"").1, Some(JsonFault::NotJson));
}

#[test]
fn values_are_skipped_whole() {
    for json in [
        r#"{"a":[1,{"b":"]}\""}],"c":null}"#,
        "-1.5e+3",
        "NaN",
        "\"\\\u{e4}\"",
        "[[[]]]",
        "true",
        "-Infinity",
    ] {
        let more = format!(" {json} ,");
        let mut reader = JsonReader::new(&more);
        assert_eq!(reader.raw(), json);
        assert_eq!((reader.rest(), reader.fault()), (" ,", None));
    }
    for (json, fault) in [
        ("", JsonFault::Ended),
        ("[1,", JsonFault::Ended),
        ("tru", JsonFault::Ended),
        ("[1}", JsonFault::NotJson),
        ("ping,", JsonFault::NotJson),
        ("1x,", JsonFault::NotJson),
    ] {
        let mut reader = JsonReader::new(json);
        reader.skip();
        assert_eq!((reader.fault(), reader.rest()), (Some(fault), ""), "{json}");
    }
    let deep = "[".repeat(200);
    let mut reader = JsonReader::new(&deep);
    reader.skip();
    assert_eq!(reader.fault(), Some(JsonFault::NotJson));
}

#[test]
fn members_and_elements_are_given_one_by_one() {
    let mut seen = Vec::new();
    let mut reader = JsonReader::new("\u{feff} { \"a\" : [1, 2,] , \"b\\n\":{} } x");
    reader.object(&mut |reader, key| {
        let key = key.to_owned();
        let mut values = Vec::new();
        match reader.peek() {
            b'[' => reader.list(|reader| values.push(reader.raw().to_owned())),
            _ => values.push(reader.raw().to_owned()),
        }
        seen.push((key, values));
    });
    assert_eq!(seen[0], ("a".into(), vec!["1".to_owned(), "2".to_owned()]));
    assert_eq!(seen[1], ("b\n".into(), vec!["{}".to_owned()]));
    assert_eq!((reader.rest(), reader.fault(), reader.oddities()), (" x", None, 1));
}
