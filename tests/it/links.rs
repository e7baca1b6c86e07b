//! Every relative link and anchor in the repository's markdown files leads somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders with files that are not ours.
const FOREIGN: [&str; 3] = ["target", ".git", "node_modules"];

fn markdown_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !FOREIGN.contains(&&*name) {
            markdown_files(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The lines outside code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// Where the links of a line lead: `[text](target)`, also within another link's text, and
/// `[text]: target`.
fn targets(line: &str) -> Vec<&str> {
    let code: BTreeSet<usize> = (1..line.split('`').count()).step_by(2).collect();
    let (mut found, mut start) = (Vec::new(), 0);
    while let Some(at) = line[start..].find("](") {
        start += at + 2;
        let in_code = code.contains(&line[..start].matches('`').count());
        let end = line[start..].find(')').map_or(line.len(), |end| start + end);
        if !in_code {
            found.push(line[start..end].split(' ').next().unwrap_or_default());
        }
    }
    let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
    found.extend(defined.map(|(_, target)| target));
    found
}

/// The anchors of a file's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let mut anchors = BTreeSet::new();
    for heading in headings {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let mut all = (0..).map(|n| if n == 0 { anchor.clone() } else { format!("{anchor}-{n}") });
        anchors.extend(all.find(|anchor| !anchors.contains(anchor)));
    }
    anchors
}

/// Why a link of this file leads nowhere.
fn fault(file: &Path, own: &str, target: &str) -> Option<&'static str> {
    if ["http:", "https:", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(p, a)| (p, Some(a)));
    let other = file.parent()?.join(path);
    if !path.is_empty() && !other.exists() {
        return Some("no such file");
    }
    let text = match path.is_empty() {
        true => own.to_owned(),
        false => anchor.and_then(|_| fs::read_to_string(&other).ok()).unwrap_or_default(),
    };
    anchor.filter(|anchor| !anchors(&text).contains(*anchor)).map(|_| "no such heading")
}

#[test]
fn every_relative_link_of_the_markdown_files_leads_to_a_file_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    markdown_files(root, &mut files);
    let (mut faults, mut links) = (Vec::new(), 0);
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for target in prose(&text).flat_map(targets) {
            links += 1;
            let fault = fault(file, &text, target);
            faults.extend(fault.map(|why| format!("{}: {target}: {why}", file.display())));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    // So that a change of the reader that finds nothing shows.
    assert!(files.len() >= 9 && links >= 40, "{} files, {links} links", files.len());
}

/// A registry shows a README without the repository around it. A link to our own pages names a crate
/// of `crates`, a page of the guide or a file that is packed.
#[test]
fn links_of_published_readmes_lead_to_what_is_published() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let is_published = |target: &str| match target.strip_prefix("https://docs.rs/") {
        None => target.starts_with("https://"),
        Some(page) => match page.trim_end_matches('/').rsplit_once('/') {
            None => page.strip_prefix("automation-assistant").is_some_and(|companion| {
                let folder = companion.strip_prefix('-').unwrap_or("..");
                root.join("crates").join(folder).join("Cargo.toml").exists()
            }),
            Some(("automation-assistant/latest/automation_assistant/guide", name)) => {
                root.join(format!("src/guide/{name}.rs")).exists()
            }
            Some(("crate/automation-assistant/latest/source", file)) => {
                manifest.contains(&format!("\"/{file}\""))
            }
            Some(_) => false,
        },
    };
    let mut links = 0;
    let companions = fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    for folder in companions.chain([root.to_owned()]) {
        let file = folder.join("README.md");
        let text = fs::read_to_string(&file).unwrap();
        for target in prose(&text).flat_map(targets) {
            links += 1;
            assert!(is_published(target), "{}: {target}", file.display());
        }
    }
    assert!(links >= 15, "only {links} links");
}

#[test]
fn links_and_headings_are_read_as_they_are_written() {
    let rows: [(&str, &[&str]); 5] = [
        ("see [a](b.md#c), [`d`](e) and ![f](g.png \"title\")", &["b.md#c", "e", "g.png"]),
        ("in code: `[a](b)`, after it [c](d)", &["d"]),
        ("[1.0]: https://example.org", &["https://example.org"]),
        ("a call(x) and a list[1]", &[]),
        ("[![a](b)](c)", &["b", "c"]),
    ];
    for (line, expected) in rows {
        assert_eq!(targets(line), expected, "{line}");
    }
    let text = "# What it `survives`, 0.2\n```sh\n# no heading\n```\n## A\n## A\n";
    assert_eq!(anchors(text), ["a", "a-1", "what-it-survives-02"].map(str::to_owned).into());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    for (target, expected) in [
        ("#a", None),
        ("#b", Some("no such heading")),
        ("nowhere.md", Some("no such file")),
        ("tests/README.md#nowhere", Some("no such heading")),
        ("https://nowhere.invalid/", None),
    ] {
        assert_eq!(fault(&file, text, target), expected, "{target}");
    }
}
