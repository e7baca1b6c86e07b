//! The files of a device: the first byte chooses one, the rest is its content. Reading
//! never panics, and its values are plausible.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use automation_assistant::DeviceReader;

const FILES: &[&str] = &[
    "proc/meminfo",
    "proc/loadavg",
    "proc/uptime",
    "proc/self/status",
    "proc/self/smaps_rollup",
    "proc/self/cgroup",
    "proc/net/route",
    "proc/net/ipv6_route",
    "sys/devices/system/cpu/online",
    "sys/class/power_supply/BAT0/capacity",
    "sys/class/power_supply/BAT0/status",
    "sys/class/power_supply/BAT0/type",
    "sys/class/power_supply/BAT0/temp",
    "sys/class/thermal/thermal_zone0/temp",
    "sys/class/thermal/thermal_zone0/type",
    "sys/class/net/wlan0/operstate",
    "sys/class/net/wlan0/flags",
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/memory.current",
    "sys/fs/cgroup/memory.stat",
];

/// A folder in memory where there is one, made once.
fn root() -> &'static PathBuf {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let root = base.join(format!("aa-fuzz-device-{}", std::process::id()));
        for file in FILES {
            let folder = root.join(file);
            let folder = folder.parent().expect("files stand in folders");
            std::fs::create_dir_all(folder).expect("a folder for recorded files");
        }
        root
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first() else { return };
    let file = root().join(FILES[usize::from(*choice) % FILES.len()]);
    std::fs::write(&file, text).expect("a recorded file is written");
    let snapshot = DeviceReader::new().root(root()).read();
    assert!(!format!("{snapshot:?} {snapshot}").is_empty());
    assert!(serde_json::to_value(&snapshot).is_ok());
    if let Some(battery) = snapshot.battery.value() {
        assert!(battery.percent <= 100);
    }
});
