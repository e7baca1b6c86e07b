//! Reading the device, with options.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::files::Files;
use super::memory::{self, Memory, ProcessMemory};
use super::network::{self, Network, Wifi};
use super::power::{self, Battery, Temperature};
use super::reading::{NoReading, Probed, Reading};
use super::snapshot::DeviceSnapshot;
use super::system::{self, Load, Storage};
use super::termux::{self, Order, Places};
use crate::sync::{Arc, Mutex, lock};

/// Default limit on each probe (2 s): a working command of Termux:API needs a few tenths of a
/// second on a slow phone.
pub const DEFAULT_PROBE_LIMIT: Duration = Duration::from_secs(2);
/// Default age up to which a [`DeviceWatch`] returns the same snapshot again (10 s).
pub const DEFAULT_SNAPSHOT_AGE: Duration = Duration::from_secs(10);

/// Reads the state of the device, with options.
///
/// ```
/// use automation_assistant::device::DeviceReader;
///
/// let reader = DeviceReader::new().storage_path("/");
/// println!("{}", reader.read());
/// println!("{:?}", reader.battery());
/// ```
#[derive(Debug, Clone)]
pub struct DeviceReader {
    /// A recorded tree instead of the device.
    root: Option<PathBuf>,
    storage_path: PathBuf,
    limit: Duration,
    termux: bool,
    wifi: bool,
    places: Places,
}

impl DeviceReader {
    /// A reader with all defaults.
    pub fn new() -> Self {
        Self {
            root: None,
            storage_path: PathBuf::from("."),
            limit: DEFAULT_PROBE_LIMIT,
            termux: false,
            wifi: false,
            places: Places::default(),
        }
    }

    /// A folder with recorded `proc` and `sys`, instead of the device's. Only the storage and, if
    /// allowed, Termux:API are then read from this device. Defaults to `/`.
    #[must_use]
    pub fn root(mut self, folder: impl Into<PathBuf>) -> Self {
        self.root = Some(folder.into());
        self
    }

    /// The path whose file system is read for `storage`. Defaults to the current folder.
    #[must_use]
    pub fn storage_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.storage_path = path.into();
        self
    }

    /// Limit on each probe. A command that is still running then is killed and reaped. A read of
    /// a file of `/proc` or `/sys` cannot be interrupted: the time is checked between two files
    /// of a probe. With zero every probe times out. Defaults to [`DEFAULT_PROBE_LIMIT`].
    #[must_use]
    pub fn probe_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Whether `termux-battery-status` may be run, if the files have no battery (phones without
    /// root deny them). It takes one child process per reading, which does not get the
    /// environment's API keys. Defaults to `false`.
    #[must_use]
    pub fn termux(mut self, allow: bool) -> Self {
        self.termux = allow;
        self
    }

    /// Whether `termux-wifi-connectioninfo` may be run. It needs Android's permission for the
    /// location; only strength, speed and frequency of its answer are kept. Defaults to `false`.
    #[must_use]
    pub fn termux_wifi(mut self, allow: bool) -> Self {
        self.wifi = allow;
        self
    }

    /// Folders to look for the commands in, written like `PATH`, in place of Termux's own
    /// places. Defaults to `$PREFIX/libexec`, then `PATH`.
    #[must_use]
    pub fn termux_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.places.path = Some(path.into());
        self
    }

    /// Reads everything. It takes as long as its probes: a few milliseconds for the files, and up
    /// to the limit for each allowed Termux command.
    pub fn read(&self) -> DeviceSnapshot {
        DeviceSnapshot {
            taken_at: SystemTime::now(),
            cores: self.cores(),
            memory: self.memory(),
            process: self.process(),
            storage: self.storage(),
            load: self.load(),
            uptime: self.uptime(),
            temperature: self.temperature(),
            battery: self.battery(),
            network: self.network(),
            wifi: self.wifi(),
        }
    }

    fn files(&self) -> Files<'_> {
        Files::new(self.root.as_deref().unwrap_or(Path::new("/")), self.limit)
    }

    fn live(&self) -> bool {
        self.root.is_none()
    }

    /// Processor cores that this process may use (quotas and affinity count); of a recorded
    /// tree, the cores that are online.
    pub fn cores(&self) -> Reading<usize> {
        system::cores(&self.files(), self.live()).into()
    }

    /// Memory of the device.
    pub fn memory(&self) -> Reading<Memory> {
        memory::memory(&self.files()).into()
    }

    /// Memory, threads and files of this process.
    pub fn process(&self) -> Reading<ProcessMemory> {
        memory::process(&self.files(), self.live()).into()
    }

    /// Space of the file system that holds the storage path. Needs the cargo feature
    /// `rustix`.
    #[cfg_attr(docsrs, doc(cfg(feature = "rustix")))]
    pub fn storage(&self) -> Reading<Storage> {
        system::storage(&self.storage_path).into()
    }

    /// Load averages. Android denies the file; the cargo feature `rustix` asks the system.
    pub fn load(&self) -> Reading<Load> {
        system::load(&self.files(), self.live()).into()
    }

    /// Time since the start of the system, suspended time included.
    pub fn uptime(&self) -> Reading<Duration> {
        system::uptime(&self.files(), self.live()).into()
    }

    /// Temperatures of the thermal zones with plausible values.
    pub fn temperature(&self) -> Reading<Temperature> {
        power::temperature(&self.files()).into()
    }

    /// The battery: from the files, or else, if allowed, from Termux:API.
    pub fn battery(&self) -> Reading<Battery> {
        self.probe_battery(&self.files()).into()
    }

    fn probe_battery(&self, files: &Files<'_>) -> Probed<Battery> {
        let why = match power::battery(files) {
            Ok(battery) => return Ok(battery),
            Err(why) => why,
        };
        if self.termux {
            return match termux::ask(&termux::BATTERY, &self.places, self.limit) {
                Ok(printed) => power::battery_of_termux(&printed),
                Err(NoReading::Unavailable(other) | NoReading::Denied(other)) => {
                    Err(joined(why, &other))
                }
                Err(late) => Err(late),
            };
        }
        Err(match why {
            // The files exist and have no battery: a computer without one.
            NoReading::Unavailable(why) if files.names(power::SUPPLIES).is_ok() => {
                NoReading::Unavailable(why)
            }
            why => joined(why, "in Termux its API can, if DeviceReader::termux allows it"),
        })
    }

    /// The state of the network; nothing is sent.
    pub fn network(&self) -> Reading<Network> {
        network::network(&self.files(), self.live()).into()
    }

    /// Runs a Termux:API command that acts on the device.
    pub(crate) fn act(&self, order: &Order<'_>) -> Probed<()> {
        termux::act(order, &self.places, self.limit)
    }

    /// The wireless connection, if [`termux_wifi`](Self::termux_wifi) allows it.
    pub fn wifi(&self) -> Reading<Wifi> {
        if !self.wifi {
            return Reading::unavailable(
                "not read: Termux:API can, if DeviceReader::termux_wifi allows it",
            );
        }
        termux::ask(&termux::WIFI, &self.places, self.limit)
            .and_then(|printed| network::wifi_of_termux(&printed))
            .into()
    }
}

impl Default for DeviceReader {
    fn default() -> Self {
        Self::new()
    }
}

impl DeviceSnapshot {
    /// Reads the device with all defaults: no child process, storage of the current folder.
    pub fn read() -> Self {
        DeviceReader::new().read()
    }

    /// A reader with options.
    pub fn builder() -> DeviceReader {
        DeviceReader::new()
    }
}

fn joined(why: NoReading, more: &str) -> NoReading {
    match why {
        NoReading::Unavailable(why) | NoReading::Denied(why) => {
            NoReading::because(format!("{why}; {more}"))
        }
        late @ NoReading::TimedOut(_) => late,
    }
}

/// Caches snapshots up to an age, for admission and tools.
///
/// It has no thread and no timer: a new snapshot is read on request if the last one is too old.
/// Other callers wait for that reading, at most as long as its probes take.
#[derive(Debug, Clone)]
pub struct DeviceWatch {
    reader: DeviceReader,
    max_age: Duration,
    /// Locked while the device is read: only its files and commands, each with a limit, and no
    /// code of the program.
    last: Arc<Mutex<Option<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    read_at: Instant,
    snapshot: Arc<DeviceSnapshot>,
}

impl DeviceWatch {
    /// Snapshots of this reader, at most [`DEFAULT_SNAPSHOT_AGE`] old.
    pub fn new(reader: DeviceReader) -> Self {
        Self { reader, max_age: DEFAULT_SNAPSHOT_AGE, last: Arc::new(Mutex::new(None)) }
    }

    /// The age up to which a snapshot is returned again; zero reads anew each time. Defaults to
    /// [`DEFAULT_SNAPSHOT_AGE`].
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// The last snapshot, or a new one if that is too old. Clones of a watch share it.
    pub fn snapshot(&self) -> Arc<DeviceSnapshot> {
        let mut last = lock(&self.last);
        if let Some(kept) = last.as_ref().filter(|kept| kept.age() < self.max_age) {
            return Arc::clone(&kept.snapshot);
        }
        let snapshot = Arc::new(self.reader.read());
        *last = Some(Kept { read_at: Instant::now(), snapshot: Arc::clone(&snapshot) });
        snapshot
    }

    /// The reader of the snapshots.
    pub fn reader(&self) -> &DeviceReader {
        &self.reader
    }
}

impl Kept {
    /// By the clock that advanced further: `Instant` does not advance while the device is
    /// suspended, and the wall clock may be set back.
    fn age(&self) -> Duration {
        let wall = SystemTime::now().duration_since(self.snapshot.taken_at).unwrap_or_default();
        wall.max(self.read_at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/device/linux_box");

    /// The reason why the battery of the tree is not available when these paths are denied.
    fn battery_denied(denied: fn(&Path) -> bool) -> Option<String> {
        let files = Files::new(Path::new(TREE), DEFAULT_PROBE_LIMIT).denying(denied);
        Reading::from(DeviceReader::new().probe_battery(&files)).why_not()
    }

    #[test]
    fn a_denied_battery_leads_to_termux_be_it_the_folder_or_the_files() {
        assert_eq!(battery_denied(|_| false), None);
        let folder = battery_denied(|path| path.starts_with("sys/class/power_supply")).unwrap();
        // The folder can be listed, but no file in it can be read.
        let files = battery_denied(|path| path.ends_with("capacity")).unwrap();
        // The last path tried is named; the battery of a mouse does not count.
        for (why, denied) in [(folder, ""), (files, "/BAT1/capacity")] {
            assert_eq!(
                why,
                format!(
                    "/sys/class/power_supply{denied} may not be read by this program; in Termux \
                     its API can, if DeviceReader::termux allows it"
                )
            );
        }
        // The other battery is still reported.
        assert_eq!(battery_denied(|path| path.ends_with("BAT0/capacity")), None);
    }

    #[test]
    fn what_is_denied_says_so() {
        let files = Files::new(Path::new(TREE), DEFAULT_PROBE_LIMIT)
            .denying(|path| path.starts_with("sys"));
        let why = Reading::from(power::temperature(&files)).why_not().unwrap();
        assert_eq!(why, "/sys/class/thermal may not be read by this program");
        let files = Files::new(Path::new(TREE), DEFAULT_PROBE_LIMIT)
            .denying(|path| path.starts_with("proc"));
        let why = Reading::from(memory::memory(&files)).why_not().unwrap();
        assert_eq!(why, "/proc/meminfo may not be read by this program");
        let why = Reading::from(system::uptime(&files, false)).why_not().unwrap();
        assert_eq!(why, "/proc/uptime may not be read by this program");
        let why = Reading::from(system::load(&files, true)).why_not();
        // On a live device the feature asks the system itself; without it the text says so.
        let names_feature =
            why.is_none_or(|why| why.contains("may not be read") && why.contains("rustix"));
        assert!(names_feature);
    }
}
