//! Maintenance of this device: battery, apps and resources are measured, judged and ordered.
//!
//! `cargo run --release --example device_maintenance -- [--termux]`
//!
//! Measures and judgements are the program's own, of this device. The helper gets them
//! as context (without names of apps, which are private) and says what to do first.
//! Nothing is changed, and no process is started unless `--termux` allows
//! `termux-battery-status` (Termux:API), 2 s at most: phones report their battery in no other way.

#[macro_use]
mod common;
#[path = "common/device.rs"]
mod hints;

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

use automation_assistant::device::{DeviceProfile, DeviceReader, DeviceSnapshot};
use automation_assistant::{AutomationAssistantManager, TaskRequest};

const NAME: &str = "device_maintenance";
/// Most processes that are looked at.
const PROCESSES_MAX: usize = 4096;
/// The indent of a wrapped line: the columns of name and mark.
const HANG: &str = "                    ";
/// Most apps that are shown.
const APPS_SHOWN: usize = 5;
const MIB: u64 = 1 << 20;
/// Limits of what is fine, in percent, or as they are named.
const BATTERY_PERCENT_MIN: u8 = 30;
const MEMORY_PERCENT_MIN: u64 = 15;
const STORAGE_PERCENT_MIN: u64 = 10;
const CELSIUS_MAX: f64 = 45.0;
const LOAD_PER_CORE_MAX: f64 = 1.5;
const APP_MEMORY_PERCENT_MAX: u64 = 25;

fn main() -> ExitCode {
    let mut termux = false;
    for argument in std::env::args_os().skip(1) {
        if argument == hints::TERMUX_OPTION {
            termux = true;
        } else {
            return common::other_argument(&argument, NAME, "device_maintenance [--termux]");
        }
    }
    common::end(NAME, run(termux))
}

/// Programs that this one may see, with the memory of all their processes: the largest first.
/// On Android that is this app's own alone; elsewhere usually all.
fn apps() -> Vec<(String, u64)> {
    let mut apps: HashMap<String, u64> = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let processes = entries.flatten().filter(|entry| {
        entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())
    });
    for process in processes.take(PROCESSES_MAX) {
        // It may have ended since, or be another user's.
        let Ok(status) = fs::read_to_string(process.path().join("status")) else { continue };
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let kib = field("VmRSS:").and_then(|size| size.trim_end_matches("kB").trim().parse().ok());
        let (Some(name), Some(kib)) = (field("Name:"), kib) else { continue };
        let bytes: u64 = kib;
        *apps.entry(name.to_owned()).or_default() += bytes << 10;
    }
    let mut apps: Vec<_> = apps.into_iter().collect();
    apps.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    apps
}

/// One thing that was judged: fine or not, and what was found.
struct Check {
    name: &'static str,
    /// `None` if the device does not report it.
    fine: Option<bool>,
    found: String,
}

fn check(name: &'static str, judged: Option<(bool, String)>, why_not: Option<String>) -> Check {
    match judged {
        Some((fine, found)) => Check { name, fine: Some(fine), found },
        None => Check { name, fine: None, found: why_not.unwrap_or_default() },
    }
}

fn checks(device: &DeviceSnapshot, apps: &[(String, u64)], termux: bool) -> Vec<Check> {
    let share = |part: u64, all: u64| part.saturating_mul(100) / all.max(1);
    let battery = device.battery.value().map(|battery| {
        let fine = battery.percent >= BATTERY_PERCENT_MIN || battery.on_external_power();
        (fine, format!("{} % charged", battery.percent))
    });
    let memory = device.memory.value().map(|memory| {
        let percent = share(memory.available_bytes, memory.total_bytes);
        (percent >= MEMORY_PERCENT_MIN, format!("{percent} % of memory available"))
    });
    let storage = device.storage.value().map(|storage| {
        let percent = share(storage.available_bytes, storage.total_bytes);
        (percent >= STORAGE_PERCENT_MIN, format!("{percent} % of storage free"))
    });
    let heat = device
        .hottest_celsius()
        .map(|celsius| (celsius <= CELSIUS_MAX, format!("{celsius:.1} °C at the hottest place")));
    let load = device.load.value().zip(device.cores.value()).map(|(load, cores)| {
        let per_core = load.five_minutes / (*cores).max(1) as f64;
        (per_core <= LOAD_PER_CORE_MAX, format!("{per_core:.2} tasks a core wait or run"))
    });
    let largest = apps.first().zip(device.memory.value()).map(|((_, bytes), memory)| {
        let percent = share(*bytes, memory.total_bytes);
        (percent <= APP_MEMORY_PERCENT_MAX, format!("the largest holds {percent} % of memory"))
    });
    vec![
        check("battery", battery, hints::battery_why_not(&device.battery, termux)),
        check("memory", memory, device.memory.why_not()),
        check("storage", storage, device.storage.why_not()),
        check("heat", heat, device.temperature.why_not()),
        check("load", load, device.load.why_not()),
        check("apps", largest, Some("no list of processes".to_owned())),
    ]
}

fn run(termux: bool) -> Result<(), Box<dyn Error>> {
    let device = DeviceReader::new().termux(termux).read();
    let apps = apps();
    let checks = checks(&device, &apps, termux);
    say!("Measured on this device");
    for Check { name, fine, found } in &checks {
        let mark = match fine {
            Some(true) => "ok",
            Some(false) => "CARE",
            None => "unknown",
        };
        say!("{}", common::wrap(found, &format!("  {name:<8} {mark:<8} "), HANG));
    }
    say!("\nApps by memory");
    for (name, bytes) in apps.iter().take(APPS_SHOWN) {
        say!("  {:>6} MiB  {name}", bytes / MIB);
    }
    let profile = DeviceProfile::detect().to_string();
    say!("\nHelpers that fit here\n{}\n", common::indent(&profile));

    let answers = common::Answers::find(canned)?;
    answers.print_source("Answers");
    say!();
    let manager = AutomationAssistantManager::new(1);
    let helper = answers.spawn(&manager, |config| {
        config
            .name("caretaker")
            .system_prompt("You look after a device. Use only the facts given. Be brief.")
            .custom_param("max_tokens", 120)
    })?;
    let measured = checks.iter().filter(|check| check.fine.is_some());
    let measured: Vec<_> =
        measured.map(|check| format!("{}: {}", check.name, check.found)).collect();
    let care: Vec<_> =
        checks.iter().filter(|check| check.fine == Some(false)).map(|check| check.name).collect();
    let prompt = if care.is_empty() {
        "Everything measured is fine. Name one habit that keeps the device so.".to_owned()
    } else {
        format!("These need care: {}. What should be done first, and why?", care.join(", "))
    };
    let request =
        TaskRequest::new(prompt).context_map(device.to_context()).context("checks", measured);
    let task = manager.submit_task(helper, request)?;
    let task = common::wait(&manager, helper, task)?;
    if let Some(error) = task.error {
        return Err(format!("no advice: {error}").into());
    }
    say!("Advice, by {}", task.model.as_deref().unwrap_or("the helper"));
    let text = task.result.unwrap_or_default();
    say!("{}", common::indent(&format!("{}{text}", answers.mark())));
    Ok(())
}

/// The canned advice for each thing that may need care, the most pressing first.
const PREPARED: [(&str, &str); 6] = [
    ("heat", "Let it cool before anything else: heat slows all and ages the battery."),
    ("battery", "Charge it first: what is cut off in the middle has to be done again."),
    ("storage", "Free storage first, downloads and old videos: full storage slows every app."),
    ("memory", "Close the largest app first: too little memory gets programs killed."),
    ("load", "Wait or stop what runs in the background: more work than cores helps nobody."),
    ("apps", "Restart the largest app: what grows for days often shrinks so."),
];

fn canned(_model: &str, prompt: &str) -> String {
    let list = prompt.split('.').next().unwrap_or_default();
    let found = PREPARED.iter().find(|(name, _)| list.contains(name));
    let fine = "Once a month look at what fills the storage: updates need space too.";
    found.map_or(fine, |(_, advice)| advice).to_owned()
}
