//! The index of the examples, and what all of them do with their arguments.

use super::*;
use crate::support::side_by_side;

/// Programs that answer an unknown argument with their usage.
const STRICT: [&str; 15] = [
    "custom_backend",
    "debrief",
    "demo",
    "device_health",
    "device_maintenance",
    "doctor",
    "experiment",
    "hybrid",
    "look",
    "model_comparison",
    "network_security",
    "pipeline",
    "smart_notifications",
    "streaming",
    "tools",
];

#[test]
fn unknown_arguments_are_refused_with_usage() {
    for name in STRICT {
        let run = run(name, &["--frobnicate"]);
        assert_eq!(run.code, Some(2), "{name}: {}", run.err);
        assert!(run.err.contains("usage: "), "{name}: {}", run.err);
        assert_eq!(run.out, "", "{name}");
    }
}

#[test]
fn help_is_no_failure() {
    for name in STRICT {
        for argument in ["--help", "-h"] {
            let run = run(name, &[argument]).ends_well().says(&format!("usage: {name}"));
            assert_eq!(run.err, "", "{name}");
        }
    }
}

/// Runs a program as a shell starts it, with the rest of a command line.
#[cfg(target_os = "linux")]
fn run_by_shell(name: &str, rest: &str) -> Run {
    let folder = Folder::new(name);
    let program = command(program(name));
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$@\" {rest}"), "sh"]);
    shell.arg(program.get_program()).args(program.get_args());
    watch(name, begin(&folder, &mut shell, &[]))
}

#[cfg(target_os = "linux")]
#[test]
fn an_argument_that_is_no_text_is_refused_with_usage() {
    for name in STRICT {
        // A file's name may have such bytes.
        if ["debrief", "look", "network_security"].contains(&name) {
            continue;
        }
        let run = run_by_shell(name, r#""$(printf '\377')""#);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{name}: {}", run.err);
        assert!(run.err.contains("usage: "), "{name}: {}", run.err);
    }
}

/// Where nothing can be written there is no panic, and each program ends by itself.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_breaks_no_program() {
    let helps = STRICT.map(|name| (name, "--help"));
    let stories = [("quick_start", ""), ("pipeline", ""), ("device_health", "")];
    for (name, arguments) in helps.into_iter().chain(stories) {
        let run = run_by_shell(name, &format!("{arguments} > /dev/full"));
        assert!(matches!(run.code, Some(0 | 1)), "{name} {arguments}: {}", run.err);
    }
}

/// Numbers are the machine's; all else in the index is what the program prints.
#[test]
fn the_index_shows_what_programs_print() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let shape = |text: &str| {
        let mut shape = String::new();
        for c in text.chars() {
            match c {
                '0'..='9' | '.' if shape.ends_with('#') => {}
                '0'..='9' => shape.push('#'),
                c => shape.push(c),
            }
        }
        shape.replace("#ms", "#").replace("#µs", "#").replace("# s", "# ms")
    };
    let runs: [(&str, &[&str]); 8] = [
        ("quick_start", &[]),
        ("doctor", &["--offline"]),
        ("network_security", &[]),
        ("smart_notifications", &[]),
        ("pipeline", &[]),
        ("hybrid", &[]),
        ("tools", &[]),
        ("custom_backend", &[]),
    ];
    side_by_side(runs, |(name, arguments)| {
        if name == "tools" && !cfg!(feature = "http") {
            return;
        }
        let (_, after) = index.split_once(&format!("--example {name}")).unwrap();
        let (_, sample) = after.split_once("```text\n").unwrap();
        let (sample, _) = sample.split_once("```").unwrap();
        let run = run(name, arguments).ends_well();
        let out = shape(&run.out);
        // Whether a pause is over is the machine's too.
        for line in sample.lines().filter(|line| !line.contains("left out for")) {
            assert!(out.contains(&shape(line)), "{name} does not print {line:?}:\n{}", run.out);
        }
    });
}

#[test]
fn the_index_names_every_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(index.contains(&format!("--example {name}")), "{name} is not in the index");
            count += 1;
        }
    }
    assert!(count >= 14, "only {count} examples were found");
}
