//! Tools with which a model acts on the device, if the program allows it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::reader::DeviceReader;
use super::reading::Reading;
use super::termux::{MAX_INPUT_BYTES, Order, TermuxCommand};
use crate::tool::{FnTool, Tool};

/// Title of every notification. A model cannot choose it, so that its text does not look like
/// another program's.
const TITLE: &str = "Automation Assistant";
/// Longest text of a notification, in characters, of at most four bytes each.
const NOTE_CHARS_MAX: usize = 1000;
const _: () = assert!(NOTE_CHARS_MAX * 4 <= MAX_INPUT_BYTES);
/// Longest vibration, in milliseconds.
const VIBRATE_MILLIS_MAX: u64 = 2000;

impl DeviceReader {
    /// Tools that let a model act on this device through Termux:API: `device_notify` (a
    /// notification of at most 1,000 characters), `device_vibrate` (2 s at most),
    /// `device_torch`.
    ///
    /// They are not among the [`tools`](Self::tools), which only read: a request that is given
    /// them allows the model to act. Each call starts one command, within the probe limit and
    /// without the environment's API keys, even if [`termux`](Self::termux) is `false`. No call
    /// can name a file, a program or an address. A model's text passes through no shell and is
    /// not a command-line argument.
    ///
    /// ```
    /// use automation_assistant::TaskRequest;
    /// use automation_assistant::device::DeviceReader;
    ///
    /// let mut request = TaskRequest::new("Notify me on my phone when the battery is low.");
    /// let reader = DeviceReader::new().termux(true);
    /// for tool in reader.tools().into_iter().chain(reader.acting_tools()) {
    ///     request = request.shared_tool(tool);
    /// }
    /// ```
    pub fn acting_tools(&self) -> Vec<Arc<dyn Tool>> {
        vec![
            tool(
                "device_notify",
                "Shows a notification on this device, for its user to read. Call it only to report \
                 what the user asked for.",
                ("text", json!({"type": "string", "description": "At most 1000 characters."})),
                self,
                notify,
            ),
            tool(
                "device_vibrate",
                "Lets this device vibrate once, for at most 2000 milliseconds. Call it only if \
                 the user asked for it.",
                ("milliseconds", json!({"type": "integer"})),
                self,
                vibrate,
            ),
            tool(
                "device_torch",
                "Switches this device's torch (flashlight) on or off. Call it only if the user \
                 asked for it.",
                ("on", json!({"type": "boolean"})),
                self,
                torch,
            ),
        ]
    }
}

type Act = fn(&DeviceReader, &Value) -> Result<&'static str, String>;

fn tool(
    name: &str,
    description: &str,
    (argument, schema): (&'static str, Value),
    reader: &DeviceReader,
    act: Act,
) -> Arc<dyn Tool> {
    let reader = reader.clone();
    let parameters = json!({
        "type": "object",
        "properties": {argument: schema},
        "required": [argument],
        "additionalProperties": false,
    });
    Arc::new(FnTool::new(name, description, parameters, move |arguments: &Value| {
        let value = arguments.get(argument).unwrap_or(&Value::Null);
        act(&reader, value).map(str::to_owned)
    }))
}

fn done(reader: &DeviceReader, order: &Order<'_>) -> Result<&'static str, String> {
    match Reading::from(reader.act(order)).why_not() {
        None => Ok("done"),
        Some(why) => Err(why),
    }
}

fn notify(reader: &DeviceReader, text: &Value) -> Result<&'static str, String> {
    let text = text.as_str().map(str::trim).filter(|text| !text.is_empty());
    let text = text.ok_or("text must be a string that is not empty")?;
    if text.chars().count() > NOTE_CHARS_MAX {
        return Err(format!("text must have at most {NOTE_CHARS_MAX} characters"));
    }
    let fit = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    let text: String = text.chars().map(fit).collect();
    done(
        reader,
        &Order {
            command: TermuxCommand { script: "termux-notification", method: "Notification" },
            for_client: &["--es", "title", TITLE],
            for_script: &["--title", TITLE],
            input: &text,
        },
    )
}

fn vibrate(reader: &DeviceReader, milliseconds: &Value) -> Result<&'static str, String> {
    let millis = milliseconds.as_u64().filter(|millis| (1..=VIBRATE_MILLIS_MAX).contains(millis));
    let millis = millis.ok_or_else(|| {
        format!("milliseconds must be a whole number from 1 to {VIBRATE_MILLIS_MAX}")
    })?;
    let millis = millis.to_string();
    done(
        reader,
        &Order {
            command: TermuxCommand { script: "termux-vibrate", method: "Vibrate" },
            for_client: &["--ei", "duration_ms", &millis],
            for_script: &["-d", &millis],
            input: "",
        },
    )
}

fn torch(reader: &DeviceReader, on: &Value) -> Result<&'static str, String> {
    let on = on.as_bool().ok_or("on must be true or false")?;
    let (enabled, word) = if on { ("true", "on") } else { ("false", "off") };
    done(
        reader,
        &Order {
            command: TermuxCommand { script: "termux-torch", method: "Torch" },
            for_client: &["--ez", "enabled", enabled],
            for_script: &[word],
            input: "",
        },
    )
}
