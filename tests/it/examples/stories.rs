//! The examples with a story each: what they print.

use super::*;

#[test]
fn network_security_computes_its_facts() {
    run("network_security", &[])
        .ends_well()
        .says("Facts, computed from 17 lines of a sample log")
        .says("CRITICAL 203.0.113.77    6 failed logins")
        .says("got in as backup after 6 failures")
        .says("notice   198.51.100.9    0 failed logins, 5 ports blocked")
        .says("2 of 3 addresses are suspect")
        .says("[canned] 1. 203.0.113.77");
}

#[test]
fn network_security_reads_any_file_and_never_passes_canned_findings_off() {
    let folder = Folder::new("network-log");
    let failed = "sshd[1]: Failed password for invalid user \u{1b}[31m from 192.0.2.5 port 1 ssh2";
    let mut log = format!("{failed}\n").repeat(5).into_bytes();
    log.extend(b"\xff\xfe SRC= DPT= \n sudo: \nFailed password for  from \nSRC=x DPT=99999\n");
    fs::write(folder.0.join("odd.log"), log).unwrap();
    run_in(&folder, "network_security", &["odd.log"])
        .ends_well()
        .says("of your log")
        .says("notice   192.0.2.5       5 failed logins")
        .says("No findings: the canned ones fit the sample log only.")
        .never_says("\u{1b}")
        .never_says("[canned]");
    let missing = run_in(&folder, "network_security", &["missing.log"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("missing.log"), "{}", missing.err);
}

#[test]
fn model_comparison_grades_the_answers() {
    run("model_comparison", &[])
        .ends_well()
        .says("small model            wrong [canned] 17 + 25 is 32.")
        .says("large model               3/3       0")
        .says("small model               2/3       0")
        .says("embedded (echo)           0/3       0");
}

#[test]
fn hybrid_answers_offline_and_finds_the_cloud_again() {
    let run = run("hybrid", &[]).ends_well();
    let run = run
        .says("1. The network is cut off\n  cloud   cannot be reached (")
        .says("  device  answers (")
        .says("2. The same question again\n  cloud   ")
        .says("Local Response: Echo of 'Give one tip")
        .says_in_words("from the embedded engine, which only echoes; ");
    let run = match cfg!(feature = "http") {
        true => run.says_in_words("DEMO_LOCAL_ENDPOINT names a model server."),
        false => run.says_in_words("a model server needs the cargo feature \"http\"."),
    };
    let (offline, online) = run.out.split_once("3. The network is back").unwrap();
    assert!(!offline.contains("[canned]"), "the cloud answers offline:\n{offline}");
    assert!(online.contains("cloud   answers ("), "the cloud stays away:\n{online}");
    assert!(online.contains("[canned] Lower the screen"), "{online}");
    // The stand-in for the cloud is no server on this device: its text does not name that variable.
    let (cloud, _) = run.out.split_once("This device's answers").unwrap();
    assert!(cloud.contains("OPENAI_API_KEY") && !cloud.contains("LOCAL"), "{cloud}");
}

#[cfg(feature = "http")]
#[test]
fn hybrid_suggests_nothing_that_is_set() {
    let folder = Folder::new("hybrid-local");
    let answer = "HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (url, server) = one_answer(answer);
    let set = [("DEMO_LOCAL_ENDPOINT", url.as_str())];
    run_with(&folder, "hybrid", &[], &set)
        .says("This device's answers: from the model server on this device.")
        .says("  device  ")
        .never_says("DEMO_LOCAL_ENDPOINT");
    server.join().unwrap();
}

#[test]
fn smart_notifications_loses_none() {
    let run = run("smart_notifications", &[]).ends_well();
    run.says("10 notifications in 6 groups")
        .says("  1    90  Bank, Security")
        // The helper named three of six; the others follow by the rules.
        .says("Ranked\n  1. Messages, Mum (2)")
        .says("  2. Bank, Security")
        .says("  6. Shop, Deals (2)")
        .says("In short\n  [canned] Call Mum back");
}

#[test]
fn pipeline_keeps_private_numbers_from_the_models() {
    let run = run("pipeline", &[]).ends_well();
    let run = run.says("1. redactor").says("3. writer").says("bytes of the stage before");
    let (_, stages) = run.out.split_once("1. redactor").unwrap();
    let (redacted, after) = stages.split_once("2. analyst").unwrap();
    let words = redacted.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("call [number] or write to [e-mail], my"), "{words}");
    assert!(!redacted.contains("555") && !redacted.contains("j.doe") && !redacted.contains("4401"));
    assert_eq!(after.matches("[canned]").count(), 2);
}

#[test]
fn custom_backend_cancels_and_keeps_deadlines() {
    run("custom_backend", &[])
        .ends_well()
        .says("360 = 2 * 2 * 2 * 3 * 3 * 5")
        .says("600851475143 = 71 * 839 * 1471 * 6857")
        .says("invalid_request: the prompt is no number below 2^64")
        .says("first factor of 6917529027641081853: 3\n  cancelled while it ran: true")
        .says("  cancelled: ")
        .says("  timeout: ")
        .says("1001 = 7 * 11 * 13")
        .says("factoriser (Factoriser): idle, 6 tasks done, 3 of them failed or cancelled")
        .never_says("[canned]");
}

#[test]
fn streaming_prints_deltas_and_stops_in_mid_sentence() {
    let run = run("streaming", &[]).ends_well();
    run.says("[canned] Flash storage writes to empty blocks")
        .says("49 deltas; the first after")
        .says("  [canned] Flash storage writes to empty …\n  cancelled: ");
}

#[test]
fn tools_are_called_by_the_model() {
    let run = run("tools", &[]).ends_well();
    if cfg!(feature = "http") {
        run.says("the model calls stock({\"item\":\"aa_battery\"}) and gets {\"count\":4")
            .says_in_words("[canned] The tool returned: {\"count\":4")
            .says("the model calls device_memory()")
            .says("(2 calls of the model)");
    } else {
        run.says("lacks the cargo feature \"http\"")
            .says("{\"count\":4,\"item\":\"aa_battery\"}")
            .says("device_memory");
    }
}
