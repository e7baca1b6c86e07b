//! Readings of devices: recorded trees, malformed files, tools.

mod clocks;
mod policy;
mod sensors;
mod termux;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use automation_assistant::{
    BatterySource, ClockReading, ClockSource, DeviceProfile, DeviceReader, DeviceSnapshot,
    DeviceWatch, Reading, TaskRequest, device_tools,
};
use serde_json::{Value, json};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/device").join(name)
}

fn recorded(name: &str) -> DeviceReader {
    DeviceReader::new().root(data(name))
}

/// A reader of a phone without battery files, with these commands.
fn phone_with(commands: &str) -> DeviceReader {
    recorded("phone_denied")
        .termux(true)
        .termux_wifi(true)
        .termux_path(data("termux").join(commands))
}

/// A folder of this test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("device-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn why<T>(reading: &Reading<T>) -> String {
    reading.why_not().expect("no value is expected here")
}

#[test]
fn a_linux_box_has_every_reading() {
    let device = recorded("linux_box").read();
    assert_eq!(device.cores, Reading::Value(5));
    let memory = device.memory.value().unwrap();
    assert_eq!(memory.total_bytes, 24_684_084 << 10);
    assert_eq!(memory.available_bytes, 24_439_048 << 10);
    assert_eq!(memory.swap_total_bytes, 2_097_148 << 10);
    assert_eq!(memory.swap_free_bytes, 2_000_000 << 10);
    assert_eq!(memory.limit_bytes, None);
    let process = device.process.value().unwrap();
    assert_eq!(process.resident_bytes, 1708 << 10);
    assert_eq!(process.proportional_bytes, Reading::Value(439 << 10));
    assert_eq!((process.threads, process.open_files.value()), (Some(3), Some(&5)));
    let load = device.load.value().unwrap();
    assert_eq!((load.one_minute, load.fifteen_minutes), (0.52, 0.41));
    assert_eq!(device.uptime, Reading::Value(Duration::from_millis(1_674_690)));
    let battery = device.battery.value().unwrap();
    // Two batteries of the machine; the mouse's does not count.
    assert_eq!((battery.percent, battery.charging), (70, Some(false)));
    assert_eq!((battery.plugged, battery.temperature_celsius), (Some(false), Some(31.2)));
    assert_eq!(battery.source, BatterySource::Sysfs);
    let network = device.network.value().unwrap();
    assert_eq!(network.has_route, Some(true));
    assert_eq!(network.interfaces_up, ["tun0", "wlan0"]);
    assert!(why(&device.wifi).contains("termux_wifi"));
}

#[test]
fn a_phone_that_denies_most_still_has_its_memory() {
    let device = recorded("phone_denied").read();
    assert_eq!(device.memory.value().unwrap().available_bytes, 1 << 30);
    let process = device.process.value().unwrap();
    assert_eq!(process.resident_bytes, 8 << 20);
    assert!(why(&process.proportional_bytes).contains("/proc/self/smaps_rollup"));
    assert!(why(&process.open_files).contains("/proc/self/fd"));
    assert!(why(&device.load).contains("/proc/loadavg is not a file"));
    assert!(why(&device.uptime).contains("/proc/uptime"));
    assert!(why(&device.temperature).contains("/sys/class/thermal does not exist"));
    assert!(why(&device.battery).contains("in Termux its API can"));
    assert!(why(&device.network).contains("/sys/class/net"));
    let text = device.to_string();
    assert!(text.contains("Memory       1.0 GiB available of 3.5 GiB; swap 2.0 GiB free of"));
    assert!(text.contains("Load         unavailable: /proc/loadavg"), "{text}");
    assert_eq!(text.lines().count(), 10, "{text}");
}

#[test]
fn a_container_counts_its_own_limit() {
    let device = recorded("container").read();
    let memory = device.memory.value().unwrap();
    assert_eq!(memory.limit_bytes, Some(512 << 20));
    // 300 MiB are used, of which 100 are cache that goes first.
    assert_eq!(memory.available_bytes, 312 << 20);
    assert_eq!(memory.usable_bytes(), 512 << 20);
    assert_eq!(device.cores, Reading::Value(32));
    let network = device.network.value().unwrap();
    assert_eq!((network.has_route, network.interfaces_up.len()), (Some(false), 1));
    assert!(why(&device.battery).contains("/sys/class/power_supply"));
}

#[test]
fn the_tightest_limit_of_nested_groups_counts() {
    let folder = Folder::new("groups");
    let put = |path: &str, text: &str| {
        let file = folder.0.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    put("proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 900000 kB\n");
    put("proc/self/cgroup", "0::/a/b/../../../etc\n");
    for (group, limit, used) in [("a", "104857600", "41943040"), ("a/b", "max", "1048576")] {
        put(&format!("sys/fs/cgroup/{group}/memory.max"), limit);
        put(&format!("sys/fs/cgroup/{group}/memory.current"), used);
    }
    put("etc/memory.max", "1");
    put("etc/memory.current", "1");
    let memory = DeviceReader::new().root(&folder.0).memory().into_value().unwrap();
    assert_eq!(memory.limit_bytes, Some(100 << 20));
    assert_eq!(memory.available_bytes, 60 << 20);
}

#[test]
fn this_machine_is_read_without_an_error() {
    let device = DeviceSnapshot::read();
    assert!(device.cores.value().is_some_and(|cores| *cores > 0));
    if cfg!(target_os = "linux") {
        assert!(device.memory.value().unwrap().total_bytes > 1 << 20);
        assert!(device.process.value().unwrap().threads.unwrap() >= 1);
    }
    let is_linux = cfg!(any(target_os = "linux", target_os = "android"));
    if cfg!(feature = "rustix") && is_linux {
        assert!(device.storage.value().unwrap().total_bytes > 0);
        assert!(device.load.is_value() && device.uptime.is_value());
        assert_eq!(ClockReading::now().source(), ClockSource::BootClock);
    } else {
        assert!(why(&device.storage).contains("cargo feature \"rustix\""));
        assert!(!ClockReading::now().source().is_exact());
    }
}

#[test]
fn the_context_holds_what_is_known_and_fits_a_request() {
    let context = recorded("phone_denied").read().to_context();
    let device = &context["device"];
    assert_eq!(device["memory"]["available_bytes"], 1 << 30);
    assert!(device.get("battery").is_none());
    let missing = device["unavailable"].as_array().unwrap();
    assert!(missing.contains(&json!("battery")) && missing.contains(&json!("load")));
    let _ = TaskRequest::new("Is it fit?").context_map(context);
    let rich = recorded("linux_box").read();
    let context = Value::Object(rich.to_context());
    assert_eq!(context["device"]["temperature"]["zones"].as_array().unwrap().len(), 4);
    assert_eq!(context["device"]["uptime_seconds"], 1674);
    assert!(context.to_string().len() < 2048, "{context}");
    let whole = serde_json::to_value(&rich).unwrap();
    assert_eq!(whole["battery"]["source"], "sysfs");
    assert_eq!(whole["uptime_seconds"], 1674.69);
    assert!(whole["wifi"]["unavailable"].is_string());
}

#[cfg(unix)]
#[test]
fn no_time_means_timed_out() {
    let reader = recorded("linux_box").probe_limit(Duration::ZERO);
    assert_eq!(reader.memory(), Reading::TimedOut(Duration::ZERO));
    assert_eq!(reader.temperature(), Reading::TimedOut(Duration::ZERO));
}

#[cfg(unix)]
#[test]
fn a_pipe_in_place_of_a_file_does_not_hang() {
    let folder = Folder::new("pipe");
    fs::create_dir_all(folder.0.join("proc")).unwrap();
    let pipe = folder.0.join("proc/meminfo");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(why(&DeviceReader::new().root(&folder.0).memory()).contains("not a file"));
}

/// A small generator (xorshift), so that a failure can be repeated by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            files_below(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

/// Noise, or the file with a few bytes changed, cut or repeated.
fn spoilt(original: &[u8], random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => (0..random.below(300)).map(|_| random.next() as u8).collect(),
        1 => original[..random.below(original.len() + 1)].to_vec(),
        2 => original.repeat(random.below(2000)),
        _ => {
            let mut bytes = original.to_vec();
            for _ in 0..1 + random.below(4) {
                let odd = *b"9-\0\xff \n:.".get(random.below(8)).unwrap();
                let at = random.below(bytes.len() + 1);
                bytes.insert(at, odd);
            }
            bytes
        }
    }
}

#[test]
fn spoilt_files_never_panic_and_never_lie_about_bounds() {
    let seed = std::env::var("DEVICE_SEED").ok().and_then(|seed| seed.parse().ok());
    let clock = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed: u64 = seed.unwrap_or(clock | 1);
    #[allow(clippy::print_stdout, reason = "the harness shows it when the test fails")]
    {
        println!("repeat with DEVICE_SEED={seed}");
    }
    let mut random = Random(seed);
    let mut files = Vec::new();
    files_below(&data("linux_box"), &mut files);
    let folder = Folder::new("spoilt");
    for round in 0..16 {
        let root = folder.0.join(round.to_string());
        for file in &files {
            let copy = root.join(file.strip_prefix(data("linux_box")).unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::write(&copy, spoilt(&fs::read(file).unwrap(), &mut random)).unwrap();
        }
        let device = DeviceReader::new().root(&root).read();
        let text = format!("{device} {device:?} {:?}", device.to_context());
        assert!(!text.contains('\0') && text.len() < 100_000, "seed {seed}: {text}");
        assert!(serde_json::to_string(&device).is_ok(), "seed {seed}");
        if let Some(battery) = device.battery.value() {
            assert!(battery.percent <= 100, "seed {seed}");
        }
        if let Some(temperature) = device.temperature.value() {
            assert!((-40.0..=150.0).contains(&temperature.max_celsius), "seed {seed}");
        }
        if let Some(memory) = device.memory.value() {
            assert!(memory.available_bytes <= memory.total_bytes, "seed {seed}");
        }
        let _ = DeviceProfile::for_device(1, None).admission().decide(&device);
    }
}

#[test]
fn a_watch_reads_again_only_when_the_last_is_too_old() {
    let watch = DeviceWatch::new(recorded("linux_box")).max_age(Duration::from_secs(3600));
    let first = watch.snapshot();
    assert!(Arc::ptr_eq(&first, &watch.clone().snapshot()));
    let eager = DeviceWatch::new(recorded("linux_box")).max_age(Duration::ZERO);
    assert!(!Arc::ptr_eq(&eager.snapshot(), &eager.snapshot()));
}

#[test]
fn tools_answer_a_model_in_json_or_say_why_not() {
    let tools = recorded("linux_box").tools();
    let names: Vec<_> = tools.iter().map(|tool| tool.name()).collect();
    let expected = ["snapshot", "battery", "memory", "storage", "temperature", "network"];
    assert_eq!(names, expected.map(|name| format!("device_{name}")));
    for tool in &tools {
        assert_eq!(tool.parameters()["additionalProperties"], false);
        assert!(!tool.description().is_empty());
    }
    let call = |tools: &[Arc<dyn automation_assistant::Tool>], name: &str| {
        let tool = tools.iter().find(|tool| tool.name() == name).unwrap();
        // A model may send anything.
        tool.call(&json!(["odd", {"path": "/etc"}]))
    };
    let battery: Value = serde_json::from_str(&call(&tools, "device_battery").unwrap()).unwrap();
    assert_eq!(battery["percent"], 70);
    let whole: Value = serde_json::from_str(&call(&tools, "device_snapshot").unwrap()).unwrap();
    assert_eq!(whole["device"]["cores"], 5);
    let denied = recorded("phone_denied").tools();
    assert!(call(&denied, "device_temperature").unwrap_err().contains("/sys/class/thermal"));
    assert_eq!(device_tools().len(), expected.len());
}
