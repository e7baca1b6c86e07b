//! Words that people type into the search of the docs lead to the item that they want.

use std::fs;
use std::path::Path;

/// A word, and the function, method or module whose alias it is. Not on types: rustdoc's search
/// forgets the aliases of what is re-exported (seen with 1.95).
#[rustfmt::skip]
const ALIASES: &[(&str, &str)] = &[
    ("thread pool", "max_concurrent_tasks"),
    ("worker pool", "max_concurrent_tasks"),
    ("llm", "spawn"),
    ("agent", "spawn"),
    ("blocking", "ask"),
    ("openai", "chatgpt"),
    ("gpt", "chatgpt"),
    ("claude", "anthropic"),
    ("ollama", "local"),
    ("llama.cpp", "local"),
    ("vllm", "local"),
    ("lm studio", "local"),
    ("offline", "local"),
    ("embedded", "local"),
    ("base_url", "api_endpoint"),
    ("temperature", "custom_param"),
    ("system message", "system_prompt"),
    ("messages", "turns"),
    ("chat history", "turns"),
    ("max_tokens", "max_output_tokens"),
    ("thinking", "on_reasoning"),
    ("function calling", "tool"),
    ("tool calling", "tool"),
    ("structured output", "reply_schema"),
    ("json schema", "reply_schema"),
    ("response_format", "reply_schema"),
    ("streaming", "on_text"),
    ("sse", "on_text"),
    ("vision", "image_bytes"),
    ("image", "image_bytes"),
    ("multimodal", "image_bytes"),
    ("retry", "max_retries"),
    ("retries", "max_retries"),
    ("backoff", "max_retries"),
    ("rate limit", "requests_per_minute"),
    ("throttle", "requests_per_minute"),
    ("cancel", "cancel_task"),
    ("abort", "cancel_task"),
    ("time limit", "deadline"),
    ("failover", "ask"),
    ("parallel", "fan_out"),
    ("observability", "observer"),
    ("opentelemetry", "observer"),
    ("logging", "to_file"),
    ("audit log", "to_file"),
    ("report", "from_path"),
    ("cost", "prices"),
    ("mock", "spawn_with"),
    ("termux", "on_a_phone"),
    ("android", "on_a_phone"),
];

/// Words that are names, which the search finds without an alias, and their files.
const NAMES: [(&str, &str, &str); 5] = [
    ("anthropic", "pub fn anthropic(", "providers/anthropic/mod.rs"),
    ("timeout", "pub fn timeout(", "config/mod.rs"),
    ("opik", "pub mod opik", "lib.rs"),
    ("telemetry", "pub struct Telemetry", "telemetry/mod.rs"),
    ("fallback", "pub struct Fallback", "coordinate/fallback.rs"),
];

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// Each alias of a file, with the name of its item.
fn aliases(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for rest in text.split("#[doc(alias").skip(1) {
        let (words, rest) = rest.split_once(")]").unwrap();
        let item = rest.lines().map(str::trim).find_map(|line| line.strip_prefix("pub ")).unwrap();
        let item = item.split([' ', '(', '<', ';', ':']).nth(1).unwrap();
        let words = words.split('"').skip(1).step_by(2);
        found.extend(words.map(|word| (word.to_owned(), item.to_owned())));
    }
    found
}

#[test]
fn a_word_that_people_type_is_an_alias_of_the_item_that_they_want() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut texts = Vec::new();
    sources(&src, &mut texts);
    let mut found: Vec<_> = texts.iter().flat_map(|text| aliases(text)).collect();
    let mut expected: Vec<_> =
        ALIASES.iter().map(|(word, item)| ((*word).to_owned(), (*item).to_owned())).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    for pair in expected.windows(2) {
        assert_ne!(pair[0].0, pair[1].0, "a word leads to one item");
    }
    for (_, item) in &expected {
        assert!(!item.starts_with(char::is_uppercase), "{item}: a type, whose aliases are lost");
    }
    for (word, item, file) in NAMES {
        let text = fs::read_to_string(src.join(file)).unwrap();
        assert!(text.contains(item), "{word}: {item} in {file}");
    }
}
