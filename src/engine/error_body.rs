//! A provider's error in one shape, whatever shape its server gave it.

use std::time::Duration;

use crate::http::duration;
use crate::lenient::{Code, JsonReader, Label, Lenient, Text, read, read_partly, utf8};

/// Separates the messages of several errors.
const AND: &str = "; ";
/// Codes of MiniMax's `base_resp`, each with the status that says the same.
const BASE_CODES: [(u64, u16); 7] =
    [(1002, 429), (1004, 401), (1008, 402), (1026, 400), (1039, 429), (2013, 400), (2049, 401)];

/// A provider's error, in one shape.
#[derive(Debug, Default)]
pub(crate) struct ErrorBody {
    pub(crate) message: Option<String>,
    /// OpenAI's `type`.
    pub(crate) kind: Option<String>,
    pub(crate) code: Code,
    /// The HTTP status that the body names, whatever it came with.
    pub(crate) status: Option<u16>,
    pub(crate) param: Option<String>,
    /// A finer code than `kind` in the error's details.
    pub(crate) detail_code: Option<String>,
    /// How long to wait before another try.
    pub(crate) wait: Option<Duration>,
    /// A quota of a day is spent. (A wait that is named beside it is of a minute's quota.)
    pub(crate) is_daily: bool,
    /// Nothing but a text: not one of the protocol's own errors.
    pub(crate) is_bare: bool,
    /// It says of itself that it is an error.
    pub(crate) is_error: bool,
}

impl ErrorBody {
    /// Reads an error from a body that is no reply, if there is one in it; one that breaks off
    /// counts as far as it came.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        Self::parse_beside(json, false)
    }

    /// The same beside an answer, where only what names itself an error is one.
    pub(crate) fn parse_beside(json: &[u8], is_answer: bool) -> Option<Self> {
        let text = utf8(json);
        if !matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[')) {
            return None;
        }
        let body: Self = read_partly(&text);
        let is_said = body.message.is_some() || body.code != Code::None;
        (body.is_error || (is_said && !is_answer)).then_some(body)
    }

    /// Reads the inside of an error: what stands after `error:`.
    pub(crate) fn parse_inner(json: &[u8]) -> Option<Self> {
        read::<ErrorField>(&utf8(json)).ok()?.value.error()
    }

    /// Plain text may say something; a web page is noise, and an answer is not shown in errors.
    pub(crate) fn of_text(body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).ok();
        let text = text.filter(|text| !text.trim_start().starts_with('<') && !is_answer(text));
        Self { message: text.map(str::to_owned), ..Self::default() }
    }

    /// An error that is known by a word alone.
    pub(crate) fn of_word(word: &str) -> Self {
        Self { kind: Some(word.to_owned()), is_error: true, ..Self::default() }
    }

    pub(crate) fn code_name(&self) -> Option<&str> {
        match &self.code {
            Code::Name(name) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn numeric_code(&self) -> Option<u16> {
        match self.code {
            Code::Number(number) => u16::try_from(number).ok(),
            _ => None,
        }
    }

    /// Whether the error is about this field of the request.
    pub(crate) fn names(&self, field: &str) -> bool {
        let in_param = self.param.as_deref().is_some_and(|param| param.contains(field));
        in_param || self.message.as_deref().is_some_and(|text| text.contains(field))
    }

    /// Takes from another error what this one does not say.
    fn fill(&mut self, other: Self) {
        self.message = self.message.take().or(other.message);
        self.kind = self.kind.take().or(other.kind);
        if self.code == Code::None {
            self.code = other.code;
        }
        self.status = self.status.or(other.status);
        self.param = self.param.take().or(other.param);
        self.detail_code = self.detail_code.take().or(other.detail_code);
        self.wait = self.wait.or(other.wait);
        self.is_daily |= other.is_daily;
        self.is_bare |= other.is_bare;
        self.is_error |= other.is_error;
    }

    /// The message of one more error in a list.
    fn add(&mut self, other: Self) {
        if let (Some(message), Some(more)) = (&mut self.message, &other.message) {
            message.push_str(AND);
            message.push_str(more);
        }
        self.fill(other);
    }

    fn of_object(from: &mut JsonReader<'_>) -> Self {
        let mut parts = ErrorParts::default();
        from.object(&mut |from, key| parts.take(key, from));
        parts.join()
    }
}

impl Lenient for ErrorBody {
    fn fits(_: u8) -> bool {
        true
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        *self = match from.peek() {
            b'{' | b'[' if from.is_deep() => return from.skip_odd(),
            b'{' => Self::of_object(from),
            b'[' => {
                let mut all = Self::default();
                from.list(|from| all.add(Self::read(from)));
                all
            }
            b'"' => {
                let message = Text::read(from).whole().filter(|text| !text.is_empty());
                Self { message, is_bare: true, ..Self::default() }
            }
            b'-' | b'0'..=b'9' => Self { code: Code::read(from), ..Self::default() },
            _ => {
                let is_true = from.raw() == "true";
                Self { is_error: is_true, is_bare: is_true, ..Self::default() }
            }
        };
    }
}

/// The field `error`: whatever is in it that is not nothing.
#[derive(Debug, Default)]
pub(crate) struct ErrorField(Option<Box<ErrorBody>>);

impl ErrorField {
    pub(crate) fn error(self) -> Option<ErrorBody> {
        self.0.map(|error| *error)
    }
}

impl Lenient for ErrorField {
    fn fits(_: u8) -> bool {
        true
    }

    fn read_into(&mut self, from: &mut JsonReader<'_>) {
        let value = from.raw();
        let is_nothing = matches!(value, "false" | "0" | "\"\"" | "{}" | "[]");
        let error = || ErrorBody { is_error: true, ..ErrorBody::read(&mut from.within(value)) };
        self.0 = (!is_nothing).then(|| Box::new(error()));
    }
}

/// The members of an object that is an error, or holds one.
#[derive(Default)]
struct ErrorParts {
    own: ErrorBody,
    error: ErrorField,
    errors: ErrorBody,
    detail: ErrorBody,
    base: ErrorBody,
    place: Option<String>,
}

impl ErrorParts {
    fn take(&mut self, key: &str, from: &mut JsonReader<'_>) {
        let own = &mut self.own;
        match key {
            _ if from.null() => {}
            "message" | "msg" | "error_msg" | "status_msg" | "error_message" => match from.peek() {
                // An error within it, or somebody else's object.
                b'{' => own.fill(ErrorBody::read(from)),
                _ => own.message = own.message.take().or(Text::read(from).whole()),
            },
            "type" => own.kind = Label::read(from).0.filter(|kind| !is_no_type(kind)),
            "code" | "error_code" | "errorCode" => own.code = Code::read(from),
            "status" | "http_status_code" | "status_code" | "statusCode" | "http_status"
            | "StatusCode" => self.take_status(from),
            "param" => own.param = Label::read(from).0,
            "reason" => own.detail_code = Label::read(from).0,
            "loc" => self.place = place(from),
            "error" => self.error = ErrorField::read(from),
            "errors" => self.errors = ErrorBody::read(from),
            "quotaId" => own.is_daily = Label::read(from).as_str().contains("PerDay"),
            "detail" | "details" | "metadata" | "violations" => {
                self.detail.fill(ErrorBody::read(from))
            }
            "base_resp" => self.base = ErrorBody::read(from),
            "retryDelay" | "retry_delay" | "retry_after" | "retryAfter" | "retry_after_seconds" => {
                own.wait = Text::read(from).0.as_deref().and_then(duration);
            }
            _ => from.skip(),
        }
    }

    /// A status is HTTP's, a code of the server's own, or a word.
    fn take_status(&mut self, from: &mut JsonReader<'_>) {
        let own = &mut self.own;
        match Code::read(from) {
            Code::Number(number) => match u16::try_from(number) {
                Ok(status @ 400..=599) => own.status = Some(status),
                _ if own.code == Code::None => own.code = Code::Number(number),
                _ => {}
            },
            Code::Name(name) => own.kind = own.kind.take().or(Some(name)),
            Code::None => {}
        }
    }

    /// All in one: an error within goes first, details last.
    fn join(self) -> ErrorBody {
        let Self { mut own, error, mut errors, mut detail, mut base, place } = self;
        if let (Some(place), Some(message)) = (place, &mut own.message) {
            *message = format!("{place}: {message}");
            own.param = own.param.take().or(Some(place));
        }
        let is_own = own.message.is_some();
        let mut body = error.error().unwrap_or_default();
        // The members beside a text are not of the protocol's own form.
        let is_bare = body.is_bare;
        body.fill(own);
        errors.is_bare = false;
        body.fill(errors);
        // A code in the details is more precise than the error's own.
        detail.is_bare = false;
        if body.kind.is_some() || body.code != Code::None || body.is_error {
            let code = match std::mem::take(&mut detail.code) {
                Code::Name(name) => Some(name),
                _ => None,
            };
            detail.detail_code = detail.detail_code.or(code);
            detail.kind = None;
        }
        body.fill(detail);
        if let Code::Number(number @ 1..) = base.code {
            let known = BASE_CODES.iter().find(|(code, _)| *code == number);
            base.status = known.map(|(_, status)| *status);
            base.is_error = true;
            body.fill(base);
        }
        body.is_bare = is_bare && !is_own;
        body
    }
}

/// Whether the first object in a text is a model's answer in any protocol, or begins a stream of
/// one.
fn is_answer(text: &str) -> bool {
    let Some((_, object)) = text.find('{').and_then(|at| text.split_at_checked(at)) else {
        return false;
    };
    let mut found = false;
    JsonReader::new(object).object(&mut |from, key| {
        let is_part =
            matches!(key, "choices" | "output" | "content" | "message" | "response" | "candidates");
        found |= is_part && matches!(from.peek(), b'[' | b'{');
        from.skip();
    });
    found
}

/// Types that say nothing more than that it is an error, or a part of one.
fn is_no_type(kind: &str) -> bool {
    kind.is_empty() || kind == "error" || kind.starts_with("type.googleapis.com/")
}

/// Where in a request something is wrong, as in `["body", "stream_options"]`.
fn place(from: &mut JsonReader<'_>) -> Option<String> {
    if from.peek() != b'[' {
        return Label::read(from).0;
    }
    let mut place = String::new();
    from.list(|from| {
        let step = Label::read(from);
        if !place.is_empty() {
            place.push('.');
        }
        place.push_str(step.as_str());
    });
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_error_is_found() {
        for (json, message, code) in [
            (r#"{"error":{"message":"m","code":"c"}}"#, Some("m"), Some("c")),
            (r#"{"error":"m"}"#, Some("m"), None),
            (r#"{"code":500,"message":"m"}"#, Some("m"), None),
            (r#"{"errors":["m","n"]}"#, Some("m; n"), None),
            (r#"{"detail":"m"}"#, Some("m"), None),
            (r#"{"error":true,"message":"m"}"#, Some("m"), None),
            (r#"{"success":false,"errors":[{"code":10000,"message":"m"}]}"#, Some("m"), None),
            (r#"{"error":[{"message":"m","code":"c"}]}"#, Some("m"), Some("c")),
            (r#"[{"error":{"code":400,"message":"m","status":"INVALID"}}]"#, Some("m"), None),
            (
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","x",0],"msg":"m"}]}"#,
                Some("body.x.0: m"),
                None,
            ),
            (r#"{"message":{"detail":[{"loc":["x"],"msg":"m"}]},"code":null}"#, Some("x: m"), None),
            (r#"{"error":{"msg":"m"}}"#, Some("m"), None),
            (r#"{"error":{"error":{"message":"m","code":"c"}}}"#, Some("m"), Some("c")),
            (r#"{"error":{"error":"m"}}"#, Some("m"), None),
            (r#"{"base_resp":{"status_code":1004,"status_msg":"m"}}"#, Some("m"), None),
            (r#"{"code":401,"message":"m","details":"more"}"#, Some("m"), None),
            // One that breaks off.
            (r#"{"error":{"code":"c","message":"m"#, Some("m"), Some("c")),
        ] {
            let body = ErrorBody::parse(json.as_bytes()).unwrap_or_else(|| panic!("{json}"));
            assert_eq!(body.message.as_deref(), message, "{json}");
            assert_eq!(body.code_name(), code, "{json}");
        }
        for none in [
            r#"{"choices":[],"code":null}"#,
            "{}",
            "[]",
            "ping",
            r#"{"error":null}"#,
            r#"{"error":{}}"#,
            r#"{"model":"m","message":{"role":"assistant","content":"no error"}}"#,
            r#"{"base_resp":{"status_code":0,"status_msg":""}}"#,
        ] {
            assert!(ErrorBody::parse(none.as_bytes()).is_none(), "{none}");
        }
    }

    #[test]
    fn what_follows_from_an_error_is_found_in_it() {
        let parse = |json: &str| ErrorBody::parse(json.as_bytes()).unwrap();
        assert_eq!(parse(r#"{"error":{"message":"m","http_status_code":429}}"#).status, Some(429));
        assert_eq!(parse(r#"{"base_resp":{"status_code":1008}}"#).status, Some(402));
        let google = r#"{"error":{"code":429,"message":"m","details":[
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"45.8s"}]}}"#;
        assert_eq!(parse(google).wait, Some(Duration::from_millis(45_800)));
        assert!(parse(r#"{"error":"m"}"#).is_bare && !parse(r#"{"message":"m"}"#).is_bare);
        let detailed = r#"{"error":{"type":"t","details":{"error_code":"fine"}}}"#;
        assert_eq!(parse(detailed).detail_code.as_deref(), Some("fine"));
        assert!(
            parse(r#"{"detail":[{"loc":["body","stream_options"],"msg":"no"}]}"#)
                .names("stream_options")
        );
    }
}
