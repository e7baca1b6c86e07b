//! On a phone: building, running and keeping it running under Termux.
//!
//! Written for Termux on Android, with a Samsung Galaxy A16 in mind. The whole suite runs on
//! aarch64 under emulation with each change (`.ci/run aarch64`; tests that would measure the
//! emulator are left out: the soak's memory, the trace sink's wake-ups). For Android's own target
//! library, examples and tests are type-checked (`.ci/run android`), not linked and not run: that
//! needs Google's NDK, or a phone. Termux's commands were answered by recorded replies. Its authors
//! have not run it on a phone yet, so reports are welcome.
//!
//! From nothing to the demo. Not run by the gate: `pkg` is a command of Termux.
//!
//! ```text
//! pkg update && pkg install rust git clang  # Termux from F-Droid or GitHub, not the Play Store
//! pkg install termux-api                    # and the app Termux:API, from the same place
//! git clone <this repository> && cd automation-assistant
//! cargo run --profile phone -j 1 --example demo -- --debrief
//! cargo run --profile phone -j 1 --example doctor          # what is wrong, and what to do
//! cargo run --profile phone -j 1 --features rustix --example device_health -- --termux
//! ```
//!
//! The profile `phone` uses thin LTO and one job at a time keeps the build within the memory: fat
//! LTO of the TLS stack wants gigabytes. `--no-default-features` builds in a fraction of the time
//! and memory where the embedded engine is enough.
//!
//! # Rehearsed, without a phone
//!
//! `tests/termux.sh` (`.ci/run termux`) runs these commands in a Debian root for aarch64 under
//! emulation: Rust 1.96, git, clang and lld as packages, a clone, and crates that lie beside it, so
//! that the build needs no network. On 2026-11-26, on two cores that others kept busy:
//!
//! | step | time | downloaded |
//! |---|---|---|
//! | packages | 2.3 min | 205 MB (974 MB installed; Debian's, Termux's differ) |
//! | clone | 2 s | 2.5 MB |
//! | 32 crates for `quick_start` | | 4.7 MB |
//! | `cargo build --profile phone -j 1 --example quick_start` | 32 min, on less than half a core | |
//!
//! These are the emulator's: its largest process, compiler and emulator together, had 772 MB (thin
//! LTO of the program 581 MB and 268 s of a core). The same build by the same compiler on x86-64
//! took 76 s of one core, and its largest process 652 MB: one job fits a phone of 4 GB.
//!
//! Static programs can be made on another machine: `rustup target add aarch64-unknown-linux-musl`,
//! then `tests/termux.sh target/termux static` (`rust-lld` links; a C compiler for aarch64 is needed
//! for ring). `demo` has 1.8 MB (profile `size`), and ran in the root, as `doctor` did. But musl
//! looks names up by `/etc/resolv.conf`, which Android does not have: without that file `doctor`
//! said "no answer about deb.debian.org within 5 s", with it the same program found the host. On a
//! phone such a program has the embedded engine and servers by their address, such as one on
//! 127.0.0.1; for cloud models build under Termux, whose C library asks Android.
//!
//! # On the device
//!
//! - **Readings of the phone.** Unrooted phones deny a program the files of battery, load and
//!   storage. The battery comes through Termux:API: open its app once, run the examples with
//!   `--termux`, in a program `DeviceReader::new().termux(true)`. Storage, load and exact sleep
//!   come with `--features rustix`. A command of Termux:API that hangs (its app is missing, or came
//!   from elsewhere than Termux) is given up after 2 s.
//! - **Tools for a model.** `device_tools()` only read. `DeviceReader::acting_tools()` lets a
//!   model show a notification, vibrate and switch the torch through Termux:API; its text passes no
//!   shell.
//! - **Keep it running.** `termux-wake-lock` before long work, `termux-wake-unlock` after; run it
//!   in `tmux` (`pkg install tmux`) so that it survives the window; in Android's settings set
//!   Termux's battery use to "unrestricted". Doze slows network and processor even so: time in which the
//!   device was suspended counts against a task's `deadline`, and the debrief says so.
//! - **A model on the phone.** Any server that speaks the OpenAI protocol, such as llama.cpp's
//!   `llama-server` (`pkg install llama-cpp`), then
//!   `HelperConfig::local().api_endpoint("http://127.0.0.1:8080/v1")`. A Local server gets 300 s a
//!   task; raise `timeout` for long prompts. One thread a helper, with a `DeviceProfile` too: a
//!   phone decodes one answer at a time. The examples and `doctor` find the server by `export
//!   DEMO_LOCAL_ENDPOINT=http://127.0.0.1:8080/v1`.
//! - **Certificates.** The bundled roots work without Java. For a company's own, point
//!   `SSL_CERT_FILE` at a PEM file (Termux has `$PREFIX/etc/tls/cert.pem`).
//! - **Slow?** `DeviceProfile::detect().apply(config)` sets bounds that suit the device; `doctor`
//!   says what is reachable.
//! - **Offline?** `Fallback` with a Local helper last answers at once.
//! - **Low on charge, hot?** `AdmissionControl` lets cloud tasks wait, rejects them, or gives them
//!   to Local. `Together` and `Fallback` do not apply it by themselves: pass them the helpers that
//!   `AdmissionControl::admitted` returns.
//! - **Out of memory?** Fewer helpers, lower `max_results` and `max_result_bytes`, no second model.
//!
//! ```
//! use automation_assistant::HelperConfig;
//! use automation_assistant::device::DeviceProfile;
//!
//! // Bounds that suit this device: results kept, waiting tasks, limits in time.
//! let config = DeviceProfile::detect().apply(HelperConfig::local());
//! # let _ = config;
//! ```
