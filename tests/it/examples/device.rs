//! The examples about the device: its readings, and Termux:API where it is a phone.

use serde_json::Value;

use super::*;

#[test]
fn device_health_prints_readings_and_advice() {
    let run_text = run("device_health", &[]).ends_well();
    run_text.says("Device\n").says("Profile\n").says("Cloud tasks\n").says("Advice\n");
    let json = run("device_health", &["--json"]).ends_well();
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert!(json["device"].is_object() && json["profile"].is_string(), "{json}");
}

/// A `PATH` with recorded commands of Termux:API before all others.
#[cfg(unix)]
fn path_with(commands: &str) -> String {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/device/termux");
    let rest = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    format!("{}:{rest}", recorded.join(commands).display())
}

/// Whether this machine's files report a battery; then nothing else is asked.
#[cfg(unix)]
fn has_battery() -> bool {
    let has_battery = automation_assistant::DeviceReader::new().battery().is_value();
    if has_battery {
        println!("left out: this machine's files report its battery");
    }
    has_battery
}

#[cfg(unix)]
#[test]
fn on_a_phone_the_option_is_named_and_works() {
    if has_battery() {
        return;
    }
    let folder = Folder::new("phone");
    let path = path_with("good");
    let set = [("TERMUX_VERSION", "0.118"), ("PREFIX", ""), ("PATH", path.as_str())];
    for name in ["device_health", "device_maintenance"] {
        run_with(&folder, name, &[], &set)
            .ends_well()
            .says_in_words("run with --termux to ask Termux:API")
            .never_says("DeviceReader");
    }
    run_with(&folder, "device_maintenance", &["--termux"], &set)
        .ends_well()
        .says("  battery  ok       64 % charged");
    run_with(&folder, "device_health", &["--termux"], &set)
        .ends_well()
        .says("  Battery      64 %, at the charger, 31.5 °C")
        .says("--wifi asks Termux:API")
        .never_says("DeviceReader");
    run_with(&folder, "device_health", &["--wifi"], &set)
        .ends_well()
        .says("  Wi-Fi        connected, signal -55 dBm");
}

#[cfg(unix)]
#[test]
fn a_termux_command_that_hangs_is_reported_once_with_advice() {
    if has_battery() {
        return;
    }
    let folder = Folder::new("hang");
    let path = path_with("hangs");
    let set = [("TERMUX_VERSION", "0.118"), ("PREFIX", ""), ("PATH", path.as_str())];
    let run = run_with(&folder, "device_health", &["--termux"], &set).ends_well();
    assert_eq!(run.out.matches("no answer within 2 s").count(), 1, "{}", run.out);
    run.says_in_words("install Termux:API from where Termux came from, and open it once");
}

#[test]
fn device_maintenance_measures_this_device() {
    let run = run("device_maintenance", &[]).ends_well();
    run.says("Measured on this device").says("  load  ").says("Advice, by").says("[canned] ");
}
