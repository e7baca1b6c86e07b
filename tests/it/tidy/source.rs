//! Reads Rust sources as far as tidiness needs: the code without comments, texts and tests,
//! and which file imports which. Files are named by their paths below `src`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A file and its text, or what is left of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// A file that is declared under `#[cfg(test)]`; such files are named so.
    fn is_test(&self) -> bool {
        let stem = self.path.trim_end_matches(".rs");
        stem.ends_with("tests")
    }
}

/// All Rust files below a folder of the repository, with paths below it.
pub fn read(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources
                    .push(Source::new(path.strip_prefix(&root).unwrap().to_str().unwrap(), &text));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// The code of the library: without test files, comments, texts and test modules.
pub fn code(sources: &[Source]) -> Vec<Source> {
    let code = |source: &Source| Source {
        path: source.path.clone(),
        text: without_tests(&without_comments_and_texts(&source.text)),
    };
    sources.iter().filter(|source| !source.is_test()).map(code).collect()
}

/// Blanks comments, strings and characters; line breaks stay.
fn without_comments_and_texts(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut out, mut i) = (String::new(), 0);
    while i < chars.len() {
        let end = match (at(i), at(i + 1)) {
            ('/', '/') => (i..chars.len()).find(|&n| at(n) == '\n').unwrap_or(chars.len()),
            ('/', '*') => end_of_block_comment(&chars, i),
            ('"', _) => end_of_text(&chars, i),
            ('r', '"' | '#') if !is_word(at(i.wrapping_sub(1))) || "bc".contains(at(i - 1)) => {
                end_of_raw_text(&chars, i)
            }
            ('\'', '\\') => (i + 3..chars.len()).find(|&n| at(n) == '\'').map_or(i + 1, |n| n + 1),
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            out.push(at(i));
            i += 1;
        } else {
            out.extend((i..end).map(|n| if at(n) == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Block comments nest.
fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut i) = (0, start);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

fn end_of_text(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// `r"…"`, `r#"…"#` and so on; `start` itself where it is a raw name such as `r#type`.
fn end_of_raw_text(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + 1 + hashes) != Some(&'"') {
        return start;
    }
    let first = start + 2 + hashes;
    let closes = |&n: &usize| {
        chars[n] == '"' && chars[n + 1..].iter().take_while(|c| **c == '#').count() >= hashes
    };
    (first..chars.len()).find(closes).map_or(chars.len(), |n| n + 1 + hashes)
}

/// Takes out every item under `#[cfg(test)]`, or `#[cfg(…)]` that names `test` otherwise.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(") {
        let (before, attribute) = rest.split_at(at);
        out.push_str(before);
        let end = attribute.find(")]").map_or(attribute.len(), |end| end + 2);
        let mut words = attribute[..end].split(|c| !is_word(c));
        if words.any(|word| word == "test") && !attribute[..end].contains("not(test") {
            rest = after_item(&attribute[end..]);
        } else {
            out.push_str(&attribute[..end]);
            rest = &attribute[end..];
        }
    }
    out + rest
}

/// The text after an item: its end is a semicolon, or the brace that closes its first one.
fn after_item(code: &str) -> &str {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        match c {
            ';' if depth == 0 => return &code[at + 1..],
            '}' if depth == 0 => return &code[at + 1..],
            '}' if depth < 0 => return &code[at..],
            _ => {}
        }
    }
    ""
}

/// An import: the first file names something of the second.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: String,
    pub to: String,
}

/// All imports between different files, of code as [`code`] gives it.
pub fn arrows(code: &[Source]) -> BTreeSet<Arrow> {
    let files: BTreeMap<Vec<&str>, &str> =
        code.iter().map(|source| (module_of(&source.path), source.path.as_str())).collect();
    let mut arrows = BTreeSet::new();
    for source in code {
        for path in Paths::of(source) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let known = (0..=path.len()).rev().find_map(|length| files.get(&path[..length]));
            if let Some(to) = known.filter(|to| **to != source.path) {
                arrows.insert(Arrow { from: source.path.clone(), to: (*to).to_owned() });
            }
        }
    }
    arrows
}

/// `opik/sink.rs` is the module `opik::sink`, `opik/mod.rs` is `opik`, `lib.rs` the root.
pub fn module_of(path: &str) -> Vec<&str> {
    let mut names: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    if names == ["lib"] || names.last() == Some(&"mod") {
        names.pop();
    }
    names
}

/// Finds the paths that begin with `crate`, `super` or `self`, in imports and elsewhere.
/// (Other paths lead to a module's own children, to other crates, or to what was imported.)
struct Paths<'a> {
    tokens: Vec<&'a str>,
    found: Vec<Vec<String>>,
}

impl<'a> Paths<'a> {
    /// The paths from the crate's root, with whatever is named at their ends.
    fn of(source: &'a Source) -> Vec<Vec<String>> {
        let mut paths = Self { tokens: tokens(&source.text), found: Vec::new() };
        let mut here: Vec<String> =
            module_of(&source.path).into_iter().map(str::to_owned).collect();
        // Modules within the file, with the depth of their braces.
        let (mut inner, mut depth, mut i) = (Vec::new(), 0, 0);
        while i < paths.tokens.len() {
            match paths.tokens[i] {
                "mod" if paths.token(i + 2) == "{" => {
                    here.push(paths.token(i + 1).to_owned());
                    inner.push(depth);
                    (depth, i) = (depth + 1, i + 2);
                }
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if inner.last() == Some(&depth) {
                        inner.pop();
                        here.pop();
                    }
                }
                "crate" | "super" | "self" if paths.begins_at(i) => {
                    i = paths.tree(i, &here, true);
                    continue;
                }
                _ => {}
            }
            i += 1;
        }
        paths.found
    }

    fn token(&self, i: usize) -> &'a str {
        self.tokens.get(i).copied().unwrap_or_default()
    }

    /// Whether a path begins here; that of `pub(in …)` imports nothing.
    fn begins_at(&self, i: usize) -> bool {
        let before = i.checked_sub(1).map_or("", |before| self.token(before));
        self.token(i + 1) == "::" && before != "::" && before != "in"
    }

    /// Reads a path, or a tree of them in braces, below `prefix`; gives the place after it.
    fn tree(&mut self, mut i: usize, prefix: &[String], first: bool) -> usize {
        let mut path = prefix.to_vec();
        if self.token(i) == "{" {
            i += 1;
            while !["}", ""].contains(&self.token(i)) {
                i = self.tree(i, prefix, false);
                while ["as", ","].contains(&self.token(i)) {
                    i += if self.token(i) == "as" { 2 } else { 1 };
                }
            }
            return i + 1;
        }
        match self.token(i) {
            "crate" if first => path.clear(),
            "super" => drop(path.pop()),
            "self" => {}
            name => path.push(name.to_owned()),
        }
        let next = self.token(i + 2);
        let goes_on = next == "{" || next.starts_with(is_word);
        if self.token(i + 1) == "::" && goes_on {
            return self.tree(i + 2, &path, first && ["super", "self"].contains(&self.token(i)));
        }
        // Past `::*` and the like.
        i += if self.token(i + 1) == "::" { 3 } else { 1 };
        self.found.push(path);
        i
    }
}

/// Words, `::`, and all else as single characters.
pub fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

#[test]
fn comments_texts_and_tests_are_no_code() {
    let text = r##"
        use a; // use b;
        /* use c; /* nested */ use d; */
        const E: &str = "use e; \" use f;";
        const G: &[u8] = br#"use g; " "#;
        const H: [char; 3] = ['"', '\'', '\u{7b}'];
        fn i<'i>(i: &'i str) {}
        #[cfg(test)]
        mod tests { use j; fn k() { if true {} } }
        #[cfg(all(test, unix))] #[path = "l.rs"] mod l;
        #[cfg(not(test))] use m;
        #[cfg(feature = "test")] use n;
    "##;
    let code = code(&[Source::new("a.rs", text), Source::new("a_tests.rs", "use o;")]);
    let [Source { text: code, .. }] = &code[..] else { panic!("{code:?}") };
    let uses: Vec<_> = code.lines().filter(|line| line.contains("use")).map(str::trim).collect();
    assert_eq!(uses, ["use a;", "#[cfg(not(test))] use m;", "#[cfg(feature =       )] use n;"]);
    assert!(code.contains("fn i<'i>(i: &'i str) {}") && !code.contains("mod"));
    assert_eq!(code.matches('{').count(), 1, "{code}");
}

#[test]
fn imports_are_found_however_they_are_written() {
    let modules = ["lib.rs", "a.rs", "b/mod.rs", "b/c.rs", "b/d/mod.rs", "b/d/e.rs"];
    for (from, text, to) in [
        ("a.rs", "use crate::b;", &["b/mod.rs"][..]),
        ("a.rs", "use crate::b::Thing;", &["b/mod.rs"]),
        ("a.rs", "use crate::b::c::Thing as Other;", &["b/c.rs"]),
        (
            "a.rs",
            "use crate::b::{self, c::{X as Y, Z}, d::e};",
            &["b/c.rs", "b/d/e.rs", "b/mod.rs"],
        ),
        ("a.rs", "use crate::{b::c::*, b::d};", &["b/c.rs", "b/d/mod.rs"]),
        ("a.rs", "fn f() { crate::b::c::g::<u8>(crate::b::d::H {}) }", &["b/c.rs", "b/d/mod.rs"]),
        ("a.rs", "use crate::Root; use std::fmt; use serde::{Serialize};", &["lib.rs"]),
        ("a.rs", "pub(crate) fn f() {} pub(in crate::b) fn g() {}", &[]),
        ("a.rs", "use crate::a::X; use self::X as Y;", &[]),
        ("b/c.rs", "use super::Thing; use super::d::Thing;", &["b/d/mod.rs", "b/mod.rs"]),
        ("b/d/e.rs", "use super::super::c::X;", &["b/c.rs"]),
        ("b/d/e.rs", "use super::{super::c::X, Y};", &["b/c.rs", "b/d/mod.rs"]),
        ("b/c.rs", "mod inner { use super::super::d::X; use super::Own; }", &["b/d/mod.rs"]),
        ("b/c.rs", "mod inner {} use super::d::X;", &["b/d/mod.rs"]),
    ] {
        let source = |path: &&str| Source::new(path, if *path == from { text } else { "" });
        let sources: Vec<_> = modules.iter().map(source).collect();
        let found: Vec<_> = arrows(&sources).into_iter().map(|arrow| arrow.to).collect();
        assert_eq!(found, to, "{text}");
    }
}
