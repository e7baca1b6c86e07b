//! The places where providers are listed by hand, one test each.

use std::path::Path;

use automation_assistant::Provider;

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn each_provider_stands_where_providers_are_listed() {
    let (readme, gate) = (text("README.md"), text(".ci/run"));
    // Up to the end of the command: what the environment offers must not decide what tests see.
    let unset = gate.split("\nunset ").nth(1).unwrap().replace("\\\n", " ");
    let unset: Vec<_> = unset.lines().next().unwrap().split_whitespace().collect();
    let mut missing = Vec::new();
    for provider in Provider::all() {
        let (label, name) = (provider.label(), provider.name());
        for variable in provider.key_variables().iter().copied().chain(provider.endpoint_variable())
        {
            if !unset.contains(&variable) {
                missing.push(format!("{label}: {variable} in the `unset` of .ci/run"));
            }
            if !readme.contains(variable) {
                missing.push(format!("{label}: {variable} in README.md"));
            }
        }
        // A backend of the user's own has neither a key nor a short form.
        if name != "custom" && !readme.contains(&format!("HelperConfig::{name}()")) {
            missing.push(format!("{label}: HelperConfig::{name}() in README.md"));
        }
    }
    super::assert_none(&missing);
}

/// Each protocol is among those that the fuzz targets run.
#[test]
fn each_protocol_is_fuzzed() {
    let fuzzed = text("src/providers/fuzzing.rs");
    let mut missing = Vec::new();
    let sources = super::source::read("src/providers");
    // The recipe is a test.
    for source in sources.iter().filter(|source| source.path != "recipe.rs") {
        let lines = source.text.lines().map(str::trim_start);
        let names = lines.filter_map(|line| line.strip_prefix("impl Protocol for "));
        for name in names.filter_map(|rest| rest.split_whitespace().next()) {
            if !fuzzed.contains(&format!("Box::new({name}")) {
                missing.push(format!("{}: {name} in fuzzing::protocols", source.path));
            }
        }
    }
    super::assert_none(&missing);
}
