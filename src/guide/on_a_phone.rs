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
//!   says what is reachable. **Offline?** `Fallback` with a Local helper last answers at once.
//!   **Low on charge, hot?** `AdmissionControl` lets cloud tasks wait, rejects them, or gives them
//!   to Local. `Together` and `Fallback` do not apply it by themselves: pass them the helpers that
//!   `AdmissionControl::admitted` returns. **Out of memory?** Fewer helpers, lower `max_results`
//!   and `max_result_bytes`, no second model.
//!
//! ```
//! use automation_assistant::HelperConfig;
//! use automation_assistant::device::DeviceProfile;
//!
//! // Bounds that suit this device: results kept, waiting tasks, limits in time.
//! let config = DeviceProfile::detect().apply(HelperConfig::local());
//! # let _ = config;
//! ```
