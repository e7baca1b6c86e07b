//! The repository's own order: which module may import which, no circles, a true map, files
//! of a readable length, the field's words. `tidy/table.rs` has the allowed exceptions.

mod checks;
mod providers;
mod source;
mod table;
mod words;

use std::sync::LazyLock;

use checks::{circles, folded, lengths, map, names, table as against_table, type_names};
use source::{Source, arrows, code, read};

/// The library's code.
static CODE: LazyLock<Vec<Source>> = LazyLock::new(|| code(&read("src")));

/// Fails with all complaints, one a line.
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn imports_point_up_the_table_only() {
    assert_none(&against_table(&arrows(&CODE), &table::IMPORTS));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    assert_none(&circles(&arrows(&CODE), &table::CIRCLES));
}

/// The folders of a module, each as one: the files that close their circle may be any in them.
#[test]
fn no_folders_import_each_other_in_a_circle() {
    assert_none(&circles(&folded(&arrows(&CODE), 2), &[]));
}

#[test]
fn no_bench_files_import_each_other_in_a_circle() {
    let mut sources = read("benches/footprint");
    sources.iter_mut().filter(|source| source.path == "main.rs").for_each(|main| {
        main.path = "lib.rs".to_owned();
    });
    assert_none(&circles(&arrows(&code(&sources)), &[]));
}

#[test]
fn no_companions_files_import_each_other_in_a_circle() {
    for companion in ["capi", "gguf", "otlp"] {
        let sources = read(&format!("crates/{companion}/src"));
        assert!(sources.len() > 1, "{companion} has no files");
        assert_none(&circles(&arrows(&code(&sources)), &[]));
    }
}

#[test]
fn the_map_in_lib_rs_names_every_module_in_the_order_of_the_table() {
    let sources = read("src");
    let lib = sources.iter().find(|source| source.path == "lib.rs").unwrap();
    assert_none(&map(&lib.text, &CODE, &table::IMPORTS));
}

#[test]
fn a_crate_or_a_part_of_std_is_named_by_its_own_modules_only() {
    assert_none(&names(&CODE, &table::NAMED_BY));
}

#[test]
fn a_name_stands_for_one_type() {
    assert_none(&type_names(&CODE, &table::SHARED_NAMES));
}

#[test]
fn no_file_is_longer_than_can_be_read_in_one_sitting() {
    let folders = ["src", "tests", "benches", "examples"];
    let sources = folders.map(|folder| {
        let below = |mut source: source::Source| {
            source.path = format!("{folder}/{}", source.path);
            source
        };
        read(folder).into_iter().map(below).collect::<Vec<_>>()
    });
    assert_none(&lengths(&sources.concat(), &table::LONG_FILES));
}
