//! Texts of models and logs on their way to a terminal: they are shown, and steer nothing.

use super::*;

#[path = "../../../examples/common/say.rs"]
mod say;

#[test]
fn what_a_terminal_obeys_is_shown() {
    for (text, shown) in [
        ("plain text, ä 漢字 שלום\n\tand 👨‍👩‍👧\n", "plain text, ä 漢字 שלום\n\tand 👨‍👩‍👧\n"),
        ("\u{1b}[2J\u{1b}]0;title\u{7}", "�[2J�]0;title�"),
        ("\u{9b}31m\r\u{8}\0\u{7f}\u{85}", "�31m�����"),
        ("\u{200e}\u{200f}\u{61c}\u{202a}\u{202e}\u{2066}\u{2069}", "�������"),
        ("\u{2028}\u{2029}", "��"),
    ] {
        assert_eq!(say::harmless(text), shown, "{text:?}");
    }
}

/// A text for a terminal to obey, and how it is shown.
const HOSTILE: &str = "over \u{1b}[2J\u{1b}]0;PWN\u{7} and \u{9b}31m \u{202e}out";
const SHOWN: &str = "over �[2J�]0;PWN� and �31m �out";

impl Run {
    #[track_caller]
    fn shows_the_hostile_text(self) -> Self {
        for text in [&self.out, &self.err] {
            assert_eq!(say::harmless(text), *text, "{}: {text:?}", self.name);
        }
        self.says_in_words(SHOWN)
    }
}

/// One address that got in, and the command of one whose words are hostile.
fn log() -> String {
    let failed = "sshd[1]: Failed password for backup from 203.0.113.77 port 40 ssh2\n".repeat(6);
    format!("{failed}host sudo: {HOSTILE} : PWD=/ ; USER=root ; COMMAND=/bin/cat {HOSTILE}\n")
}

#[test]
fn a_log_steers_no_terminal() {
    let folder = Folder::new("hostile-log");
    fs::write(folder.0.join("log"), log()).unwrap();
    let run = run_in(&folder, "network_security", &["log"]).ends_well().shows_the_hostile_text();
    run.says(&format!("  command  {SHOWN} ran as root: /bin/cat {SHOWN}\n"));
}

#[cfg(feature = "http")]
#[path = "../../../examples/stand_in/mod.rs"]
mod stand_in;

#[cfg(feature = "http")]
fn answer(_: &str, prompt: &str) -> String {
    match prompt.contains("Rank these notifications") {
        true => serde_json::json!({"order": [1], "summary": HOSTILE}).to_string(),
        false => HOSTILE.to_owned(),
    }
}

#[cfg(feature = "http")]
#[test]
fn a_model_steers_no_terminal() {
    crate::support::loopback::require();
    let server = stand_in::StandIn::start(answer).unwrap();
    let url = server.openai_base();
    let set =
        [("OPENAI_BASE_URL", url.as_str()), ("ANTHROPIC_BASE_URL", url.trim_end_matches("/v1"))];
    let rows: [(&str, &[&str]); 12] = [
        ("demo", &["--live"]),
        ("device_maintenance", &[]),
        ("hybrid", &[]),
        ("look", &["--live"]),
        ("model_comparison", &[]),
        ("network_security", &["log"]),
        ("pipeline", &[]),
        ("smart_notifications", &[]),
        ("streaming", &["--live"]),
        ("streaming", &["--live", "--api", "responses"]),
        ("streaming", &["--live", "--api", "anthropic"]),
        ("tools", &["--live"]),
    ];
    crate::support::side_by_side(rows, |(name, arguments)| {
        let folder = Folder::new("hostile-model");
        fs::write(folder.0.join("log"), log()).unwrap();
        run_with(&folder, name, arguments, &set).ends_well().shows_the_hostile_text();
    });
}
