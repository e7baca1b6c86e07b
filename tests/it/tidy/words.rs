//! The words of code, docs and printed texts: the field's terms, no private ones. Each row has
//! banned words and the terms to use; each exception has its reason.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use super::source::Source;

/// Banned words, in lower case, and the terms to use. A name counts as its words
/// (`ThisOne` and `this_one` as "this one").
const WORDS: &[(&[&str], &str)] = &[
    (&["tell", "tells", "telling", "told", "untold"], "report, notify; print, show"),
    (&["hear", "hears", "heard"], "receive, get"),
    (&["talk", "talks", "talked", "talking"], "messages, transcript; ask, send"),
    (&["piece", "pieces"], "delta, chunk, part"),
    (&["landed", "landing", "at work"], "completed; running, busy"),
    (&["quietly"], "catch_panic"),
    (&["slept", "sleepless", "asleep", "vigil"], "suspended"),
    (&["wire", "wires"], "transport, stream; request"),
    (&["goodbye", "shake hands", "shook hands"], "close_notify; handshake"),
    (
        &["house", "door", "doors", "neighbour", "neighbours"],
        "crate, module, layer; other, adjacent",
    ),
    (&["room", "rooms"], "place, space, capacity"),
    (&["stray", "strays"], "outlier, extra"),
    (&["whoever", "whosoever"], "the caller, each task that"),
];

/// The phrases of [`WORDS`], each with the terms to use, by their first words.
static PHRASES: LazyLock<HashMap<&str, Vec<(&str, &str)>>> = LazyLock::new(|| {
    let mut phrases: HashMap<_, Vec<_>> = HashMap::new();
    for (row, instead) in WORDS {
        for phrase in *row {
            let first = phrase.split(' ').next().unwrap();
            phrases.entry(first).or_default().push((*phrase, *instead));
        }
    }
    phrases
});

/// Words that begin no sentence of a comment: a noun does.
const OPENINGS: &[&str] = &["What", "Who", "Whoever", "Whatever", "Whichever"];

/// Where a word stands all the same: path, word, and the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("src/debrief/json.rs", "told", "a key of the report"),
    ("src/debrief/mod.rs", "told", "a key of the report"),
    ("tests/it/debrief/sections.rs", "told", "a key of the report"),
    ("src/debrief/stats.rs", "asleep", "a heading of the report"),
    ("tests/it/debrief.rs", "asleep", "a heading of the report"),
    ("tests/data/", "asleep", "a heading of the report"),
    ("src/engine/draft.rs", "piece", "an error's text"),
    ("src/engine/receive.rs", "piece", "an error's text"),
    ("src/engine/scrub.rs", "tell", "a prompt"),
    ("src/http/tls.rs", "tells", "an error's text"),
    ("tests/it/http/bad_server.rs", "tell", "a prompt"),
    ("crates/gguf/src/generate.rs", "piece", "a function of llama-cpp-2"),
    ("crates/gguf/src/template.rs", "piece", "a function of llama-cpp-2"),
    ("crates/gguf/src/header/checks.rs", "piece", "a tokenizer's name"),
    ("crates/gguf/tests/it/answers.rs", "tell", "a prompt"),
    ("crates/gguf/tests/it/schema.rs", "tell", "a prompt"),
    ("crates/gguf/tests/it/tools.rs", "tells", "a prompt"),
    ("crates/gguf/tests/memory.rs", "tell", "a prompt"),
    ("tests/it/tidy/words.rs", "*", "the table itself"),
];

/// The folders that are read.
const READ: &[&str] = &["src", "tests", "examples", "benches", "fuzz", "crates"];

/// A word and the line it stands in, counted from 0. `apart` is set where a full stop or the
/// like separates it from the word before.
struct Word {
    text: String,
    line: usize,
    apart: bool,
}

fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let (mut line, mut apart, mut before) = (0, true, ' ');
    for c in text.chars() {
        if c.is_alphabetic() {
            let goes_on = before.is_alphabetic() && !(before.is_lowercase() && c.is_uppercase());
            if !goes_on {
                words.push(Word { text: String::new(), line, apart });
            }
            let word = words.last_mut().unwrap();
            word.text.extend(c.to_lowercase());
            apart = false;
        } else {
            line += usize::from(c == '\n');
            apart |= !(c.is_whitespace() || "_/!#*".contains(c));
        }
        before = c;
    }
    words
}

/// The banned words of a text: line, word, what to use.
fn banned(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let words = words(text);
    let mut found = Vec::new();
    for (at, first) in words.iter().enumerate() {
        for (phrase, instead) in PHRASES.get(&*first.text).into_iter().flatten() {
            let mut rest = words[at + 1..].iter();
            let mut follows =
                |part| rest.next().is_some_and(|word| word.text == part && !word.apart);
            if phrase.split(' ').skip(1).all(&mut follows) {
                found.push((first.line + 1, *phrase, *instead));
            }
        }
    }
    found
}

/// Sentences of comments that begin with a word of [`OPENINGS`]: their lines.
fn openings(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut ended = true;
    for (at, line) in text.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else {
            ended = true;
            continue;
        };
        let comment = comment.trim_start_matches(['/', '!']).trim();
        ended |= comment.is_empty();
        for word in comment.split_whitespace() {
            if ended && OPENINGS.contains(&word) {
                found.push(at + 1);
            }
            ended = word.ends_with(['.', '?', '!']);
        }
    }
    found
}

fn complaints(sources: &[Source], exceptions: &[(&str, &str, &str)]) -> Vec<String> {
    let excuses = |path: &str, word: &str| {
        exceptions
            .iter()
            .position(|(of, known, _)| path.starts_with(of) && (*known == word || *known == "*"))
    };
    let mut used = vec![false; exceptions.len()];
    let mut complaints = Vec::new();
    for source in sources {
        for (line, word, instead) in banned(&source.text) {
            match excuses(&source.path, word) {
                Some(at) => used[at] = true,
                None => {
                    complaints.push(format!("{}:{line}: \"{word}\": write {instead}", source.path))
                }
            }
        }
        complaints.extend(openings(&source.text).into_iter().map(|line| {
            format!("{}:{line}: a sentence begins with a noun, not a question", source.path)
        }));
    }
    let unused = exceptions.iter().zip(used).filter(|(_, used)| !used);
    complaints.extend(
        unused.map(|((path, word, _), _)| format!("{path}: no exception for \"{word}\" needed")),
    );
    complaints
}

/// The texts of the repository: sources, documents, scripts.
fn texts() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = READ.iter().map(|folder| root.join(folder)).collect();
    let mut sources = Vec::new();
    let mut add = |path: &Path| {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let is_text = ["rs", "md", "c", "h", "py", "sh"]
            .iter()
            .any(|extension| path.extension().is_some_and(|found| found == *extension));
        if is_text {
            sources.push(Source::new(name, &std::fs::read_to_string(path).unwrap()));
        }
    };
    add(&root.join("README.md"));
    add(&root.join("CONTRIBUTING.md"));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_made = ["target", "node_modules"].iter().any(|made| path.ends_with(made));
            match path.is_dir() {
                true if !is_made => folders.push(path),
                true => {}
                false => add(&path),
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

#[test]
fn texts_use_the_field_s_words() {
    super::assert_none(&complaints(&texts(), EXCEPTIONS));
}

#[test]
fn a_banned_word_is_found_in_names_comments_and_texts() {
    for (text, lines) in [
        ("fn tell_all() {}", &[1][..]),
        ("struct ToldOnce;\n", &[1]),
        ("// fine\n/// It is told.\n", &[2]),
        ("\"no room\"", &[1]),
        ("the threads at\n/// work", &[1]),
        ("looked at. Work", &[]),
        ("teller, wired, headroom, outdoors", &[]),
        ("tell\ntell", &[1, 2]),
    ] {
        let found: Vec<_> = banned(text).into_iter().map(|(line, ..)| line).collect();
        assert_eq!(found, lines, "{text}");
    }
}

#[test]
fn a_question_as_a_subject_is_found_in_comments_only() {
    for (text, lines) in [
        ("/// What it sends.", &[1][..]),
        ("//! It is sent. Whatever\n//! comes.", &[1]),
        ("/// It sends\n/// What it has.", &[]),
        ("// So.\n// Who asks?", &[2]),
        ("let text = \"What it sends.\";", &[]),
        ("/// Says what it sends.\n///\n/// Whoever asks.", &[3]),
    ] {
        assert_eq!(openings(text), lines, "{text}");
    }
}

#[test]
fn an_exception_is_of_one_place_and_one_word_and_needed() {
    let tree = [Source::new("src/a.rs", "told"), Source::new("src/b.rs", "told")];
    let known = [("src/a.rs", "told", "why"), ("src/b.rs", "room", "why")];
    assert_eq!(
        complaints(&tree, &known),
        [
            "src/b.rs:1: \"told\": write report, notify; print, show",
            "src/b.rs: no exception for \"room\" needed",
        ]
    );
}
