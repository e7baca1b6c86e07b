//! Reads what scripts answer.

use redis::Value;

use crate::error::Error;

/// The parts of an answer, one after the other.
pub(crate) struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    pub(crate) fn new(value: Value) -> Result<Self, Error> {
        match value {
            Value::Array(values) => Ok(Self(values.into_iter())),
            _ => Err(bad("a list")),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn next(&mut self) -> Result<Value, Error> {
        self.0.next().ok_or_else(|| bad("more"))
    }

    pub(crate) fn list(&mut self) -> Result<Self, Error> {
        Self::new(self.next()?)
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        bytes(self.next()?)
    }

    pub(crate) fn text(&mut self) -> Result<String, Error> {
        text(self.next()?)
    }

    /// A text; none where it is empty.
    pub(crate) fn some_text(&mut self) -> Result<Option<String>, Error> {
        Ok(Some(self.text()?).filter(|text| !text.is_empty()))
    }

    /// A number, as one or as text; an empty text is zero.
    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        match self.next()? {
            // A negative number, by a foreign hand, counts as zero.
            Value::Int(number) => Ok(u64::try_from(number).unwrap_or(0)),
            value => {
                let text = text(value)?;
                if text.is_empty() {
                    return Ok(0);
                }
                text.parse::<i64>()
                    .map(|number| u64::try_from(number).unwrap_or(0))
                    .map_err(|_| bad("a number"))
            }
        }
    }

    pub(crate) fn small(&mut self) -> Result<u32, Error> {
        Ok(u32::try_from(self.number()?).unwrap_or(u32::MAX))
    }

    pub(crate) fn parse<T: std::str::FromStr>(&mut self) -> Result<T, Error> {
        self.text()?.parse().map_err(|_| bad("an id or a state"))
    }
}

pub(crate) fn bytes(value: Value) -> Result<Vec<u8>, Error> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::Int(number) => Ok(number.to_string().into_bytes()),
        Value::Okay => Ok(b"OK".to_vec()),
        _ => Err(bad("a text")),
    }
}

pub(crate) fn text(value: Value) -> Result<String, Error> {
    // Names may be anything by a foreign hand; they are shown, not acted on.
    Ok(String::from_utf8_lossy(&bytes(value)?).into_owned())
}

pub(crate) fn bad(wanted: &str) -> Error {
    Error::BadRecord(format!("the server's answer is not {wanted}, as it should be"))
}
