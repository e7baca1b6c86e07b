//! The checks. Each takes what it looks at and what is allowed, and gives its complaints; the
//! tests below show that each can complain.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Arrow, Source, module_of, tokens};

/// A module and the modules that it may import.
pub type Row<'a> = (&'a str, &'a [&'a str]);

/// Longest file, in lines.
const LINES_MAX: usize = 400;

/// The top-level module of a file.
fn top(path: &str) -> &str {
    module_of(path).first().copied().unwrap_or("lib")
}

/// Imports between top-level modules that the table does not allow, and what of the table is
/// not so. A module may import modules that stand above it only; `lib.rs` may import all.
pub fn table(arrows: &BTreeSet<Arrow>, rows: &[Row<'_>]) -> Vec<String> {
    let mut complaints = Vec::new();
    let place = |name: &str| rows.iter().position(|(module, _)| *module == name);
    for (at, (module, allowed)) in rows.iter().enumerate() {
        for other in *allowed {
            if place(other).is_none_or(|place| place >= at) {
                complaints
                    .push(format!("table: {module} may import {other}, which is not above it"));
            }
            let used = |arrow: &Arrow| top(&arrow.from) == *module && top(&arrow.to) == *other;
            if !arrows.iter().any(used) {
                complaints.push(format!("table: {module} may import {other}, but does not"));
            }
        }
    }
    for Arrow { from, to } in arrows {
        let (module, other) = (top(from), top(to));
        if module == other || module == "lib" {
            continue;
        }
        match rows.iter().find(|(name, _)| *name == module) {
            Some((_, allowed)) if allowed.contains(&other) => {}
            Some(_) => {
                complaints.push(format!("{from} imports {to}: {module} may not import {other}"))
            }
            None => complaints
                .push(format!("{from}: the module {module} stands in no row of the table")),
        }
    }
    complaints
}

/// Files that import each other in a circle. Imports between a module's file and the files of
/// its own children do not count; nor do the circles that are `known`, which must be there.
pub fn circles(arrows: &BTreeSet<Arrow>, known: &[&[&str]]) -> Vec<String> {
    let is_child = |child: &str, parent: &str| {
        let module = module_of(child);
        module.split_last().is_some_and(|(_, above)| above == module_of(parent))
    };
    let counts =
        |arrow: &&Arrow| !is_child(&arrow.from, &arrow.to) && !is_child(&arrow.to, &arrow.from);
    let mut imports: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Arrow { from, to } in arrows.iter().filter(counts) {
        imports.entry(from).or_default().push(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|file| (*file, reached_from(file, &imports))).collect();
    let mut found: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (file, others) in &reached {
        let back = |other: &&&str| reached.get(**other).is_some_and(|back| back.contains(file));
        let circle: Vec<&str> = others.iter().filter(back).copied().collect();
        if !circle.is_empty() {
            found.insert(circle);
        }
    }
    let known: BTreeSet<Vec<&str>> = known.iter().map(|circle| circle.to_vec()).collect();
    let new = found.difference(&known).map(|circle| format!("circle: {}", circle.join(", ")));
    let gone =
        known.difference(&found).map(|circle| format!("no circle any more: {}", circle.join(", ")));
    new.chain(gone).collect()
}

/// The same arrows between folders at this depth, each of which counts as one file.
pub fn folded(arrows: &BTreeSet<Arrow>, depth: usize) -> BTreeSet<Arrow> {
    let fold = |path: &str| {
        let module = module_of(path);
        module[..module.len().min(depth)].join("/")
    };
    let folded = arrows.iter().map(|Arrow { from, to }| Arrow { from: fold(from), to: fold(to) });
    folded.filter(|arrow| arrow.from != arrow.to).collect()
}

fn reached_from<'a>(start: &str, imports: &BTreeMap<&str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![start]);
    while let Some(file) = next.pop() {
        for other in imports.get(file).into_iter().flatten() {
            if reached.insert(*other) {
                next.push(other);
            }
        }
    }
    reached
}

/// The modules that the map in the docs of `lib.rs` leaves out, or has in another order than the
/// table. The map is the section whose heading has the word "map"; its table's first column names
/// modules in backticks.
pub fn map(lib: &str, code: &[Source], rows: &[Row<'_>]) -> Vec<String> {
    let docs = lib.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim);
    let is_heading = |line: &&str| line.starts_with('#');
    let section: Vec<&str> = docs
        .skip_while(|line| !(is_heading(line) && line.to_lowercase().contains("map")))
        .enumerate()
        .take_while(|(at, line)| *at == 0 || !is_heading(line))
        .map(|(_, line)| line)
        .collect();
    if section.is_empty() {
        return vec!["lib.rs: no heading with the word map".to_owned()];
    }
    let cells = section.iter().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    let named: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let modules: BTreeSet<&str> =
        code.iter().map(|source| top(&source.path)).filter(|name| *name != "lib").collect();
    let missing = modules.iter().filter(|module| !named.contains(*module));
    let mut complaints: Vec<String> =
        missing.map(|module| format!("map: {module} is not on it")).collect();
    let gone = named.iter().filter(|name| !modules.contains(*name));
    complaints.extend(gone.map(|name| format!("map: there is no module {name}")));
    let table: Vec<&str> = rows.iter().map(|(module, _)| *module).collect();
    if complaints.is_empty() && named != table {
        complaints.push(format!("map and table differ in their order:\n{named:?}\n{table:?}"));
    }
    complaints
}

/// Words that are named by files outside of their modules. A word's modules are given as the
/// beginnings of paths.
pub fn names(code: &[Source], words: &[(&str, &[&str])]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in code {
        let tokens: BTreeSet<_> = tokens(&source.text).into_iter().collect();
        let named = words.iter().filter(|(word, modules)| {
            let is_own = modules.iter().any(|module| source.path.starts_with(module));
            !is_own && tokens.contains(word)
        });
        complaints.extend(named.map(|(word, _)| format!("{} names {word}", source.path)));
    }
    complaints
}

/// Names that several modules give to types of their own. A name that is `shared` must be.
pub fn type_names(code: &[Source], shared: &[&str]) -> Vec<String> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for source in code {
        let tokens = tokens(&source.text);
        let mut depth = 0;
        for (token, next) in tokens.iter().zip(tokens.iter().skip(1)) {
            depth += i32::from(*token == "{") - i32::from(*token == "}");
            // Deeper down are the types of traits, and of functions.
            if depth == 0 && ["struct", "enum", "trait", "type"].contains(token) {
                files.entry(next).or_default().push(&source.path);
            }
        }
    }
    files.retain(|_, files| files.len() > 1);
    let new = files.iter().filter(|(name, _)| !shared.contains(name));
    let new =
        new.map(|(name, files)| format!("{name} is the name of types in {}", files.join(", ")));
    let gone = shared.iter().filter(|name| !files.contains_key(*name));
    new.chain(gone.map(|name| format!("{name} is the name of one type only"))).collect()
}

/// Files that are too long; one that is `allowed` to be must be.
pub fn lengths(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        let is_allowed = allowed.iter().any(|(path, _)| *path == source.path);
        match (lines > LINES_MAX, is_allowed) {
            (true, false) => {
                complaints.push(format!("{}: {lines} lines, at most {LINES_MAX}", source.path));
            }
            (false, true) => complaints.push(format!("{}: not long any more", source.path)),
            _ => {}
        }
    }
    let exists = |path: &str| sources.iter().any(|source| source.path == path);
    let gone = allowed.iter().filter(|(path, _)| !exists(path));
    complaints.extend(gone.map(|(path, _)| format!("{path}: there is no such file")));
    complaints
}

/// Each check's complaint about a made-up tree with one fault in it.
#[cfg(test)]
mod tests {
    use super::super::source::{arrows, code};
    use super::*;

    const ROWS: &[Row<'_>] = &[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])];

    /// A tree that is in order, but for the files given, which replace or join its own.
    fn tree(other: &[(&str, &str)]) -> Vec<Source> {
        let mut files = BTreeMap::from([
            ("lib.rs", "mod a; mod b; mod c; pub use c::X;"),
            ("a.rs", ""),
            ("b/mod.rs", "mod d; mod e; pub use d::Y;"),
            ("b/d.rs", "use super::Z;"),
            ("b/e.rs", "use super::d::Y; use crate::a::V;"),
            ("c.rs", "use crate::a::V; use crate::b::Y;"),
        ]);
        files.extend(other.iter().copied());
        let sources: Vec<_> =
            files.into_iter().map(|(path, text)| Source::new(path, text)).collect();
        code(&sources)
    }

    #[test]
    fn a_tree_in_order_is_not_complained_of() {
        let arrows = arrows(&tree(&[]));
        assert_eq!(table(&arrows, ROWS), [""; 0]);
        assert_eq!(circles(&arrows, &[]), [""; 0]);
    }

    #[test]
    fn an_arrow_that_points_up_is_found() {
        for (file, text, rows, complaint) in [
            ("a.rs", "use crate::b::Y;", ROWS, "a.rs imports b/mod.rs: a may not import b"),
            (
                "a.rs",
                "fn f() { crate::b::d::g() }",
                ROWS,
                "a.rs imports b/d.rs: a may not import b",
            ),
            ("a.rs", "use crate::X;", ROWS, "a.rs imports lib.rs: a may not import lib"),
            ("n.rs", "use crate::a::V;", ROWS, "n.rs: the module n stands in no row of the table"),
            ("c.rs", "use crate::a::V;", ROWS, "table: c may import b, but does not"),
            (
                "a.rs",
                "use crate::b::Y;",
                &[("a", &["b"][..]), ("b", &["a"]), ("c", &["a", "b"])],
                "table: a may import b, which is not above it",
            ),
        ] {
            assert_eq!(table(&arrows(&tree(&[(file, text)])), rows), [complaint]);
        }
    }

    #[test]
    fn a_circle_is_found_and_one_of_parent_and_child_is_none() {
        for (file, text, complaints) in [
            ("b/d.rs", "use super::e::W;", &["circle: b/d.rs, b/e.rs"][..]),
            ("b/d.rs", "use crate::c::W;", &[]),
            ("b/mod.rs", "use crate::c::W;", &["circle: b/mod.rs, c.rs"]),
            ("a.rs", "use crate::b::d::Y; use crate::b::e::W;", &["circle: a.rs, b/e.rs"]),
            ("b/mod.rs", "use self::d::Y; use self::e::W;", &[]),
        ] {
            assert_eq!(circles(&arrows(&tree(&[(file, text)])), &[]), complaints, "{file}: {text}");
        }
    }

    #[test]
    fn a_circle_of_folders_is_found_though_no_files_are_in_one() {
        let tree = tree(&[
            ("b/f/mod.rs", "use crate::b::g::Z;"),
            ("b/g/mod.rs", ""),
            ("b/g/h.rs", "use crate::b::f::Y;"),
        ]);
        assert_eq!(circles(&arrows(&tree), &[]), [""; 0]);
        assert_eq!(circles(&folded(&arrows(&tree), 2), &[]), ["circle: b/f, b/g"]);
    }

    #[test]
    fn a_known_circle_must_be_as_it_is_known() {
        let arrows = arrows(&tree(&[("b/d.rs", "use super::e::W;")]));
        assert_eq!(circles(&arrows, &[&["b/d.rs", "b/e.rs"]]), [""; 0]);
        let other: &[&str] = &["a.rs", "c.rs"];
        assert_eq!(
            circles(&arrows, &[&["b/d.rs", "b/e.rs"], other]),
            ["no circle any more: a.rs, c.rs"]
        );
    }

    #[test]
    fn a_module_that_the_map_leaves_out_is_found() {
        let of = |docs: &str| map(docs, &tree(&[]), ROWS);
        let whole = "//! # The Map\n//!\n//! | `a` | x |\n//! | `b`, `c` | `y` |\n//! # Next\n";
        assert_eq!(of(whole), [""; 0]);
        for (docs, complaint) in [
            (whole.replace("`a`", "a"), "map: a is not on it"),
            (whole.replace("| `b`", "| `n`, `b`"), "map: there is no module n"),
            (whole.replace("Map", "Rest"), "lib.rs: no heading with the word map"),
            // A name in another section is not on the map.
            (whole.replace("//! | `b`", "//! # More\n//! | `b`"), "map: b is not on it"),
        ] {
            assert_eq!(of(&docs)[0], complaint);
        }
        let turned = of(&whole.replace("`b`, `c`", "`c`, `b`"));
        assert!(turned[0].starts_with("map and table differ"), "{turned:?}");
    }

    #[test]
    fn a_word_in_a_foreign_module_is_found() {
        let tree = tree(&[
            ("a.rs", "use httparse::Status;"),
            ("c.rs", "// httparse\nfn f() { \"httparse\" }"),
        ]);
        assert_eq!(names(&tree, &[("httparse", &["b/"])]), ["a.rs names httparse"]);
        assert_eq!(names(&tree, &[("httparse", &["a.rs"])]), [""; 0]);
    }

    #[test]
    fn a_name_of_two_types_is_found() {
        let tree = tree(&[
            ("a.rs", "pub struct X; impl T for X { type Item = u8; } fn f() { struct Y; }"),
            ("c.rs", "enum X { A } trait Y { type Item; } // struct Y;"),
        ]);
        assert_eq!(type_names(&tree, &[]), ["X is the name of types in a.rs, c.rs"]);
        assert_eq!(type_names(&tree, &["X"]), [""; 0]);
        assert_eq!(type_names(&tree, &["X", "Y"]), ["Y is the name of one type only"]);
    }

    #[test]
    fn a_long_file_is_found_and_a_short_one_cannot_be_excused() {
        let of = |lines: usize| [Source::new("a.rs", &"x\n".repeat(lines))];
        assert_eq!(lengths(&of(LINES_MAX), &[]), [""; 0]);
        assert_eq!(lengths(&of(LINES_MAX + 1), &[]), ["a.rs: 401 lines, at most 400"]);
        assert_eq!(lengths(&of(LINES_MAX + 1), &[("a.rs", "why")]), [""; 0]);
        assert_eq!(lengths(&of(1), &[("a.rs", "why")]), ["a.rs: not long any more"]);
        assert_eq!(lengths(&of(1), &[("b.rs", "why")]), ["b.rs: there is no such file"]);
    }
}
