//! The picture that arrives is the one that was sent.

use super::*;
use crate::support::pictures::PNG;

#[test]
fn look_prints_size_and_colours_of_what_arrived() {
    run("look", &[])
        .ends_well()
        .says("> What is on this picture?")
        .says("(a picture drawn here, 9.3 KB)")
        .says_in_words("I see a PNG of 64 x 48 pixels: blue 60 %, green 33 %, yellow 6 %.");
}

#[test]
fn look_reads_a_file_and_names_what_it_cannot_see() {
    let folder = Folder::new("look");
    let place = |name: &str, bytes: &[u8]| fs::write(folder.0.join(name), bytes).unwrap();
    place("small", PNG);
    run_in(&folder, "look", &["small"])
        .ends_well()
        .says("(small, 0.1 KB)")
        .says_in_words("a PNG of 1 x 1 pixels, compressed");
    // One bit of the header.
    let mut damaged = PNG.to_vec();
    damaged[19] ^= 1;
    place("damaged", &damaged);
    run_in(&folder, "look", &["damaged"]).ends_well().says_in_words("or a damaged one");
    place("text", b"no picture");
    for (file, word) in [("text", "no PNG, JPEG, WebP or GIF"), ("none", "reading the picture")] {
        let run = run_in(&folder, "look", &[file]);
        assert_eq!(run.code, Some(1), "{}", run.out);
        assert!(run.err.contains(word) && run.err.contains(file), "{}", run.err);
    }
}

#[test]
fn look_takes_one_picture() {
    let run = run("look", &["one.png", "two.png"]);
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{}", run.err);
    assert!(run.err.contains("\"two.png\"") && run.err.contains("one file at most"), "{}", run.err);
}

#[test]
fn look_asks_nobody_outside_without_a_key() {
    let run = run("look", &["--live"]);
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("--live needs"), "{}", run.err);
}
