//! `--api`: the same story over each API, offline and at a server.

use super::*;
#[cfg(feature = "http")]
use crate::support::side_by_side;

#[cfg(feature = "http")]
#[test]
fn tools_and_streaming_print_the_same_over_each_api() {
    let rows = [
        ("chat", "API: Chat Completions."),
        ("responses", "API: Responses."),
        ("anthropic", "API: Anthropic's Messages."),
    ];
    side_by_side(rows, |(api, printed)| {
        run("tools", &["--api", api])
            .ends_well()
            .says_in_words(printed)
            .says("  -> the model calls stock({\"item\":\"aa_battery\"}) and gets")
            .says_in_words("[canned] The tool returned: {\"count\":4,\"item\":\"aa_battery\"}")
            .says("  (2 calls of the model)");
        run("streaming", &["--api", api])
            .ends_well()
            .says_in_words(printed)
            .says_in_words("it is quick again. 49 deltas;")
            .says("; 49 tokens written")
            .says("[canned] Flash storage writes to empty …")
            .says("  cancelled: ");
    });
}

#[cfg(feature = "http")]
#[test]
fn the_api_chosen_is_the_one_a_server_is_asked_over() {
    let answer = "HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (api, variable, path) in [
        ("chat", "OPENAI_BASE_URL", "POST /v1/chat/completions "),
        ("responses", "OPENAI_BASE_URL", "POST /v1/responses "),
        ("anthropic", "ANTHROPIC_BASE_URL", "POST /v1/messages "),
        // The other two ask such a server for its models first.
        ("anthropic", "DEMO_LOCAL_ENDPOINT", "POST /v1/messages "),
    ] {
        let (url, server) = one_answer(answer);
        let folder = Folder::new("api");
        let set = [(variable, url.as_str())];
        let run = run_with(&folder, "streaming", &["--live", "--api", api], &set);
        assert_eq!(run.code, Some(1), "{}", run.out);
        let asked = server.join().unwrap();
        assert!(asked.starts_with(path), "{api}, {variable}: {asked}");
    }
}

#[test]
fn what_cannot_be_chosen_is_refused() {
    for name in ["tools", "streaming"] {
        for arguments in [&["--api"][..], &["--api", "telegraph"], &["--faster"]] {
            let run = run(name, arguments);
            assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.out);
            assert!(run.err.contains("[--api chat|responses|anthropic] [--live]"), "{}", run.err);
        }
        for arguments in [&["--live"][..], &["--live", "--api", "anthropic"]] {
            let run = run(name, arguments);
            assert_eq!(run.code, Some(1), "{arguments:?}: {}", run.out);
            assert!(run.err.contains("--live need"), "{}", run.err);
        }
    }
}
