//! Environment variables, and the check that a text is valid in a header.

// Only backends behind HTTP read it.
#![cfg_attr(not(feature = "http"), allow(dead_code))]

use crate::error::Error;
use crate::secret::Secret;

/// The environment, read only while a helper is created.
pub(crate) struct Env<'a> {
    pub(crate) read: &'a dyn Fn(&str) -> Option<String>,
}

impl Env<'static> {
    /// The environment of the process. (Without HTTP nobody reads it: a program does not link it.)
    pub(crate) fn of_process() -> Self {
        Self { read: &|name| if cfg!(feature = "http") { of_process(name) } else { None } }
    }
}

fn of_process(name: &str) -> Option<String> {
    // A value that is not Unicode is no valid one of any variable, and not the same as none.
    Some(std::env::var_os(name)?.to_string_lossy().into_owned())
}

impl Env<'_> {
    /// A variable's value; an empty one counts as unset.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let value = (self.read)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.variable(name).as_deref().map(Secret::new)
    }
}

/// A text that is valid in a header.
pub(crate) fn header_value(what: &str, text: &str) -> Result<String, Error> {
    let fits = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if fits {
        return Ok(text.to_owned());
    }
    Err(Error::InvalidConfig(format!(
        "{what} is empty or has characters that cannot be sent: copy it again, without line \
         breaks or quotation marks"
    )))
}
