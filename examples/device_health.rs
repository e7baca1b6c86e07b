//! Readings of this device and its fitness for AI helpers, offline.
//!
//! ```text
//! cargo run --release --no-default-features --example device_health -- [--termux] [--json]
//!     --termux   may run termux-battery-status (Termux:API), 2 s at most
//!     --wifi     may run termux-wifi-connectioninfo too, which wants the permission for the
//!                location
//!     --json     the same as one JSON object
//! ```
//!
//! Add `--features rustix` for storage, the boot clock, and the load on Android.
#![allow(clippy::print_stderr, reason = "a program prints for its user")]

#[path = "common/device.rs"]
mod hints;
#[path = "common/say.rs"]
mod say;
#[path = "common/wrap.rs"]
mod wrap;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use automation_assistant::device::{
    Admission, BatterySource, ClockGap, ClockReading, DeviceProfile, DeviceReader, DeviceSnapshot,
    SuspendWatch,
};
use serde_json::json;

/// Columns of a line's name in a snapshot's text, the space after it included.
const NAME_WIDTH: usize = 13;
/// The indent of a wrapped line: the name's columns.
const HANG: &str = "               ";
const WIFI_NOT_ASKED: &str = "not asked for; --wifi asks Termux:API";
/// Free storage below which the advice mentions it (500 MiB).
const LOW_STORAGE_BYTES: u64 = 500 << 20;
/// Load per core above which the advice mentions it.
const HIGH_LOAD_PER_CORE: f64 = 1.5;

const USAGE: &str = "usage: device_health [--termux] [--wifi] [--json]
  --termux   may ask Termux:API for the battery
  --wifi     may ask Termux:API for the Wi-Fi, which wants
             Android's permission for the location
  --json     the same as one JSON object
";

/// The command line's options.
#[derive(Clone, Copy, Default)]
struct Asked {
    termux: bool,
    wifi: bool,
}

fn main() -> ExitCode {
    let mut asked = Asked::default();
    let mut as_json = false;
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some(hints::TERMUX_OPTION) => asked.termux = true,
            Some("--wifi") => asked.wifi = true,
            Some("--json") => as_json = true,
            Some("--help" | "-h") => return print(USAGE),
            _ => {
                eprint!("device_health: unknown argument {argument:?}\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let mut watch = SuspendWatch::new();
    let reader = DeviceReader::new().termux(asked.termux).termux_wifi(asked.wifi);
    let device = reader.read();
    let profile = DeviceProfile::detect();
    let admission = profile.admission().decide(&device);
    let advice = advice(&device, &profile, &admission, asked);
    let text = if as_json {
        let report = json!({
            "device": device,
            "profile": profile.name(),
            "admission": admission.as_str(),
            "advice": advice,
        });
        format!("{report:#}\n")
    } else {
        let gap = watch.check();
        report(&device, &profile, &admission, gap, &advice, asked)
    };
    print(&text)
}

fn print(text: &str) -> ExitCode {
    // A reader that closes the pipe (`| head`) is no failure.
    match std::io::stdout().write_all(say::harmless(text).as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("cannot write the report: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn report(
    device: &DeviceSnapshot,
    profile: &DeviceProfile,
    admission: &Admission,
    gap: Option<ClockGap>,
    advice: &[String],
    asked: Asked,
) -> String {
    let mut text = "Device\n".to_owned();
    // Missing readings have a block of their own.
    let known = device.to_string();
    let is_known = |line: &&str| {
        let value = line.get(NAME_WIDTH..).unwrap_or_default();
        !value.starts_with("unavailable: ") && !value.starts_with("no answer within ")
    };
    for line in known.lines().filter(is_known) {
        let (name, value) = line.split_at_checked(NAME_WIDTH).unwrap_or((line, ""));
        text += &format!("{}\n", wrap::wrap(value, &format!("  {name}"), HANG));
    }
    let missing = device.unavailable();
    if !missing.is_empty() {
        text += "\nUnknown\n";
    }
    for (name, why) in missing {
        let why = match name {
            "battery" => hints::battery_why_not(&device.battery, asked.termux).unwrap_or(why),
            "wifi" if !asked.wifi => WIFI_NOT_ASKED.to_owned(),
            _ => why,
        };
        text += &format!("{}\n", wrap::wrap(&why, &format!("  {name:<12} "), HANG));
    }
    let (profile, admission) = (profile.to_string(), admission.to_string());
    for (heading, said) in [("Profile", profile), ("Cloud tasks", admission)] {
        text += &format!("\n{heading}\n{}\n", wrap::wrap(&said, "  ", "  "));
    }
    text += "\nSleep\n";
    let clock = ClockReading::now().source();
    let how = if clock.is_exact() { "exact" } else { "estimated" };
    let suspended = match gap {
        Some(gap) => gap.to_string(),
        None => format!("not suspended during this run (suspended time is {how} here, by {clock})"),
    };
    text += &format!("{}\n", wrap::wrap(&suspended, "  ", "  "));
    text += "\nAdvice\n";
    if advice.is_empty() {
        text += "  none: fit for work\n";
    }
    for (number, line) in advice.iter().enumerate() {
        text += &format!("{}\n", wrap::wrap(line, &format!("  {}. ", number + 1), "     "));
    }
    text
}

/// Advice for the user, most pressing first.
fn advice(
    device: &DeviceSnapshot,
    profile: &DeviceProfile,
    admission: &Admission,
    asked: Asked,
) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(pressure) = admission.pressure() {
        advice.push(format!("{pressure}: hold cloud work back until that is better"));
    }
    if let Some(storage) = device.storage.value() {
        if storage.available_bytes < LOW_STORAGE_BYTES {
            advice.push("storage is nearly full: audit files need space, so free some".to_owned());
        }
    }
    if let (Some(load), Some(&cores)) = (device.load.value(), device.cores.value()) {
        let per_core = load.five_minutes / cores.max(1) as f64;
        if per_core > HIGH_LOAD_PER_CORE {
            advice.push(format!(
                "{per_core:.1} tasks wait for each core: keep to {} helpers or fewer",
                profile.max_helpers()
            ));
        }
    }
    if device.network.value().and_then(|network| network.has_route) == Some(false) {
        advice
            .push("no route to the internet: use the Local backend until there is one".to_owned());
    }
    let battery = device.battery.value();
    let on_a_phone = hints::on_a_phone();
    if battery.is_none() && on_a_phone && !asked.termux {
        advice.push("run this with --termux to read the battery through Termux:API".to_owned());
    }
    let read_by_termux = battery.is_some_and(|b| b.source == BatterySource::Termux);
    if on_a_phone || read_by_termux {
        advice.push("for long work on the phone run termux-wake-lock first".to_owned());
    }
    if !device.storage.is_value() && !cfg!(feature = "rustix") {
        advice.push("build with --features rustix to see storage and exact sleep".to_owned());
    }
    advice
}
