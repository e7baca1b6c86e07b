//! Commands of Termux:API, played by scripts.

use super::*;

#[test]
fn a_good_command_reads_the_battery_and_no_place() {
    let device = phone_with("good").read();
    let battery = device.battery.value().unwrap();
    assert_eq!((battery.percent, battery.charging), (64, Some(false)));
    assert_eq!((battery.plugged, battery.temperature_celsius), (Some(true), Some(31.5)));
    assert_eq!(battery.source, BatterySource::Termux);
    assert!(battery.on_external_power());
    let wifi = device.wifi.value().unwrap();
    assert_eq!((wifi.connected, wifi.signal_dbm), (true, Some(-55)));
    let all = format!("{device:?} {device} {}", serde_json::to_string(&device).unwrap());
    assert!(!all.contains("hidden name") && !all.contains("192.0.2.7"), "{all}");
}

#[test]
fn files_go_before_commands() {
    let commands = data("termux").join("good");
    let reader = recorded("linux_box").termux(true).termux_path(commands);
    assert_eq!(reader.battery().value().unwrap().source, BatterySource::Sysfs);
}

/// Children of this process by this name, dead ones that nobody reaped included.
fn children_named(name: &str) -> usize {
    let own = format!("PPid:\t{}\n", std::process::id());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let status = processes.flat_map(|entry| fs::read_to_string(entry.path().join("status")));
    let named = format!("Name:\t{name}\n");
    status.filter(|text| text.contains(&own) && text.starts_with(&named)).count()
}

fn is_running(command_line: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.flat_map(|entry| fs::read_to_string(entry.path().join("cmdline")));
    lines.any(|line| line == command_line)
}

#[test]
fn a_hanging_command_ends_at_the_limit_and_is_reaped() {
    let limit = Duration::from_millis(200);
    let reader = phone_with("hangs").probe_limit(limit);
    let started = Instant::now();
    assert_eq!(reader.wifi(), Reading::TimedOut(limit));
    // The usual cause, and what to do; the same in the text of a snapshot.
    let todo = "no answer within 200 ms; a termux- command hangs without its app: install";
    assert!(why(&reader.wifi()).starts_with(todo), "{}", why(&reader.wifi()));
    // This one's own child keeps the output open, and would for ten seconds.
    assert_eq!(reader.battery(), Reading::TimedOut(limit));
    let took = started.elapsed();
    assert!(took >= 3 * limit && took < Duration::from_secs(8), "{took:?}");
    if cfg!(target_os = "linux") {
        // The first became `sleep`; no other test here runs one of its own.
        assert_eq!(children_named("sleep"), 0);
    }
    if cfg!(all(target_os = "linux", feature = "rustix")) {
        // The script's children were killed with it; the system reaps them later.
        let until = Instant::now() + Duration::from_secs(5);
        let command_line = format!("sleep\0{}\0", format_args!("10.{}", std::process::id()));
        while is_running(&command_line) {
            assert!(Instant::now() < until, "the script's child lives on");
            std::thread::yield_now();
        }
    }
}

#[test]
fn odd_answers_say_what_is_wrong() {
    let cases = [
        ("garbage", "printed no JSON object"),
        ("flood", "printed more than 65536 bytes"),
        ("silent", "printed nothing"),
        ("refused", "allow what the Termux:API app asks for"),
        ("not here", "pkg install termux-api"),
    ];
    for (commands, expected) in cases {
        let reader = phone_with(commands).probe_limit(Duration::from_secs(20));
        let why = why(&reader.battery());
        assert!(why.contains(expected), "{commands}: {why}");
    }
}

/// As on unrooted phones: the folder can be listed, what is in it cannot be read.
#[test]
fn files_that_are_denied_lead_to_termux() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("denied");
    let battery = folder.0.join("sys/class/power_supply/battery");
    fs::create_dir_all(&battery).unwrap();
    for (name, text) in [("type", "Battery"), ("capacity", "50"), ("status", "Full")] {
        fs::write(battery.join(name), text).unwrap();
        let none = fs::Permissions::from_mode(0o000);
        fs::set_permissions(battery.join(name), none).unwrap();
    }
    let reader = DeviceReader::new().root(&folder.0);
    if fs::read(battery.join("type")).is_ok() {
        println!("left out: file modes do not bind this user; the unit tests deny instead");
        assert_eq!(reader.battery().value().unwrap().percent, 50);
    } else {
        let why = why(&reader.battery());
        assert!(why.contains("/battery/type may not be read by this program"), "{why}");
        assert!(why.contains("in Termux its API can"), "{why}");
    }
    let reader = reader.termux(true).termux_path(data("termux").join("good"));
    assert!(reader.battery().is_value());
}

/// A phone whose acting commands all do so. They are links, since a script that was just
/// written may be held open by a process that another test starts.
fn acting_phone(folder: &Folder, does: &str) -> DeviceReader {
    let script = data("termux").join("acts").join(does);
    for name in ["termux-notification", "termux-vibrate", "termux-torch"] {
        let _ = fs::remove_file(folder.0.join(name));
        std::os::unix::fs::symlink(&script, folder.0.join(name)).unwrap();
    }
    recorded("phone_denied").termux_path(&folder.0).probe_limit(Duration::from_secs(20))
}

fn act(reader: &DeviceReader, tool: &str, arguments: Value) -> Result<String, String> {
    let tools = reader.acting_tools();
    let tool = tools.iter().find(|found| found.name() == tool).unwrap();
    assert_eq!(tool.parameters()["additionalProperties"], false);
    tool.call(&arguments)
}

#[test]
fn a_model_may_act_only_where_it_is_let_and_within_bounds() {
    let folder = Folder::new("acting");
    let reader = acting_phone(&folder, "records");
    let names: Vec<_> = reader.acting_tools().iter().map(|t| t.name().to_owned()).collect();
    assert_eq!(names, ["device_notify", "device_vibrate", "device_torch"]);
    // Tools that read know nothing of those.
    assert!(reader.tools().iter().all(|tool| !names.contains(&tool.name().to_owned())));
    let file = |name: &str| fs::read_to_string(folder.0.join(name)).ok();

    // A model's text is read as text, never as an option, a command or a shell's word.
    let hostile = "--action \"$(touch x)\" `id` \\\" --es action y\u{1b}[2J\nsecond line";
    assert_eq!(act(&reader, "device_notify", json!({"text": hostile})).unwrap(), "done");
    let title = Some("--title\nAutomation Assistant\n".to_owned());
    assert_eq!(file("termux-notification.words"), title);
    assert_eq!(file("termux-notification.text").unwrap(), hostile.replace('\u{1b}', " "));
    let environment = file("termux-notification.env").unwrap();
    assert!(!environment.contains("CARGO_MANIFEST_DIR"), "{environment}");

    act(&reader, "device_vibrate", json!({"milliseconds": 300})).unwrap();
    assert_eq!(file("termux-vibrate.words").unwrap(), "-d\n300\n");
    for on in [true, false] {
        act(&reader, "device_torch", json!({"on": on})).unwrap();
        assert_eq!(file("termux-torch.words").unwrap(), if on { "on\n" } else { "off\n" });
    }
}

#[test]
fn what_a_model_must_not_ask_for_starts_no_command() {
    let folder = Folder::new("acting-odd");
    let reader = acting_phone(&folder, "records");
    let cases = [
        ("device_notify", json!({"text": " \n"}), "not empty"),
        ("device_notify", json!({"text": 7}), "must be a string"),
        ("device_notify", json!({"text": "ü".repeat(1001)}), "at most 1000 characters"),
        ("device_vibrate", json!({"milliseconds": 2001}), "from 1 to 2000"),
        ("device_vibrate", json!({"milliseconds": "300; reboot"}), "from 1 to 2000"),
        ("device_vibrate", json!({"milliseconds": -1}), "from 1 to 2000"),
        ("device_torch", json!({"on": "on"}), "true or false"),
        ("device_torch", json!(["on"]), "true or false"),
    ];
    for (tool, arguments, expected) in cases {
        let why = act(&reader, tool, arguments.clone()).unwrap_err();
        assert!(why.contains(expected), "{tool} {arguments}: {why}");
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 3, "a command ran");
    // The longest text that may be fits into the smallest pipe.
    act(&reader, "device_notify", json!({"text": "🟢".repeat(1000)})).unwrap();
}

#[test]
fn an_act_that_fails_or_hangs_is_reported_to_the_model() {
    let folder = Folder::new("acting-fails");
    let on = || json!({"on": true});
    let reader = acting_phone(&folder, "says");
    let why = act(&reader, "device_torch", on()).unwrap_err();
    assert_eq!(why, "termux-torch said: no torch here");
    let reader = acting_phone(&folder, "fails");
    let why = act(&reader, "device_torch", on()).unwrap_err();
    assert!(why.contains("failed (exit status: 3) and printed nothing"), "{why}");
    let reader = acting_phone(&folder, "refuses");
    let why = act(&reader, "device_torch", on()).unwrap_err();
    assert!(why.contains("allow what the Termux:API app asks for"), "{why}");
    let limit = Duration::from_millis(200);
    let reader = acting_phone(&folder, "hangs").probe_limit(limit);
    let started = Instant::now();
    // It does not read its text either.
    let why = act(&reader, "device_notify", json!({"text": "x".repeat(1000)})).unwrap_err();
    assert!(why.contains("no answer within 200 ms"), "{why}");
    assert!(started.elapsed() < Duration::from_secs(8));
    let why = act(&phone_with("not here"), "device_torch", on()).unwrap_err();
    assert!(why.contains("pkg install termux-api"), "{why}");
}

#[test]
fn nothing_is_run_unasked() {
    let reader = recorded("phone_denied").termux_path(data("termux").join("good"));
    assert!(!reader.battery().is_value() && !reader.wifi().is_value());
}
