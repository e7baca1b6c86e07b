//! The error codes, types and fixed phrases of servers and gateways, whichever protocol they
//! speak.

use crate::engine::error_body::ErrorBody;
use crate::task_error::ErrorKind;

/// Codes and types with what they mean, as [`plain`] writes them.
const CODES: &[(ErrorKind, &[&str])] = &[
    (
        ErrorKind::ContextLengthExceeded,
        &["contextlengthexceeded", "contextwindowexceeded", "exceedcontextsize", "prompttoolong"],
    ),
    (ErrorKind::ContentFiltered, &["contentfilter", "contentpolicyviolation"]),
    (
        ErrorKind::Authentication,
        &[
            "apikeyexpired",
            "apikeyinvalid",
            "auth",
            "authentication",
            "expiredapikey",
            "expiredkey",
            "expiredtoken",
            "invalidapikey",
            "invalidauthentication",
            "invalidkey",
            "invalidtoken",
            "keyexpired",
            "tokenexpired",
            "tokennotfoundindb",
            "unauthenticated",
            "unauthorized",
        ],
    ),
    (
        ErrorKind::PermissionDenied,
        &["accessdenied", "keymodelaccessdenied", "permission", "permissiondenied"],
    ),
    (ErrorKind::NotFound, &["modelnotfound", "notfound"]),
    (
        ErrorKind::QuotaExceeded,
        &[
            "arrearage",
            "billing",
            "billinghardlimitreached",
            "billingnotactive",
            "budgetexceeded",
            "creditbalanceexhausted",
            "exceededbudget",
            "exceededcurrentquota",
            "paymentrequired",
            "quotaexceeded",
        ],
    ),
    (
        ErrorKind::RateLimited,
        &[
            "ratelimit",
            "ratelimited",
            "ratelimitreached",
            "resourceexhausted",
            "slowdown",
            "throttled",
            "throttling",
            "toomanyrequests",
        ],
    ),
    (
        ErrorKind::Server,
        &[
            "engineoverloaded",
            "internal",
            "internalserver",
            "overloaded",
            "server",
            "serverisoverloaded",
            "serviceunavailable",
            "unavailable",
        ],
    ),
    (ErrorKind::InvalidRequest, &["badrequest", "invalidargument", "invalidrequest"]),
];
/// Ends of codes that say nothing more than that it is an error.
const NO_MEANING: [&str; 2] = ["error", "exception"];
/// The beginning of codes that say what there is not enough of, and what of that is money.
const SHORT_OF: &str = "insufficient";
const MONEY: [&str; 4] = ["quota", "balance", "credit", "fund"];
/// The end of codes that name a limit that was passed.
const LIMIT_END: &str = "limitexceeded";
/// Parts of codes about a prompt's length, and beginnings of those
/// about rate. The others are about spending.
const LENGTH: [&str; 3] = ["context", "length", "prompt"];
const PACE_STARTS: [&str; 4] = ["rate", "request", "token", "concurren"];

/// Phrases of servers, in lower case, where the quota is spent.
const QUOTA_PHRASES: &[&str] = &[
    "credit balance is too low",
    "insufficient account balance",
    "insufficient balance",
    "insufficient credit",
    "insufficient funds",
    "not enough balance",
    "not enough credit",
    "out of credits",
    "requires more credits",
    "budget has been exceeded",
    "exceeded budget",
    "you have reached your specified api usage limits",
    // OpenAI's, through LiteLLM, which drops its code. Gemini says the same of a minute's limit.
    "openaiexception - you exceeded your current quota",
];
/// The same for a prompt that the model cannot read.
const CONTEXT_PHRASES: &[&str] = &[
    "maximum context length",
    "maximum prompt length",
    "maximum input length",
    "context window exceeds limit",
    "contextwindowexceedederror",
    "exceed context limit",
    "exceeded model token limit",
    "exceeds the context length",
    "exceeds the context window",
    "exceeds the available context size",
    "exceeds the maximum number of tokens allowed",
    "exceeds the model's context",
    "greater than the context length",
    "prompt is too long",
    "input is too long for requested model",
    "reduce the length of the messages",
];

/// The kind that an error's code names, or its details, or its type; where none says more than
/// that the request or the server is bad, fixed phrases do.
pub(super) fn kind_of(status: u16, body: &ErrorBody) -> Option<ErrorKind> {
    if body.is_daily {
        return Some(ErrorKind::QuotaExceeded);
    }
    let codes = [body.code_name(), body.detail_code.as_deref(), body.kind.as_deref()];
    let mut kinds = codes.into_iter().flatten().filter_map(kind_of_code);
    let is_vague = |kind: &ErrorKind| matches!(kind, ErrorKind::InvalidRequest | ErrorKind::Server);
    // Gateways give one type to all that is answered with 429.
    let is_vaguer =
        |kind: &ErrorKind| is_vague(kind) || *kind == ErrorKind::RateLimited && spent(body);
    let precise = kinds.clone().find(|kind| !is_vaguer(kind));
    precise.or_else(|| kind_of_phrase(status, body)).or_else(|| kinds.next())
}

fn kind_of_phrase(status: u16, body: &ErrorBody) -> Option<ErrorKind> {
    // These say by themselves what they are.
    if matches!(status, 401 | 404) {
        return None;
    }
    if spent(body) {
        return Some(ErrorKind::QuotaExceeded);
    }
    // These say that it may work later, whatever else is said.
    let may_pass = matches!(status, 403 | 408 | 409 | 429 | 502..=504);
    let is_long = !may_pass && says(body, CONTEXT_PHRASES);
    is_long.then_some(ErrorKind::ContextLengthExceeded)
}

/// Whether the message says that the money is spent.
fn spent(body: &ErrorBody) -> bool {
    says(body, QUOTA_PHRASES)
}

fn says(body: &ErrorBody, phrases: &[&str]) -> bool {
    let message = body.message.as_deref().map(str::to_ascii_lowercase);
    message.is_some_and(|message| phrases.iter().any(|phrase| message.contains(phrase)))
}

/// A code without what servers write differently: letter case, what stands between words, and
/// an end without meaning. Nothing for what cannot be a code.
fn plain(code: &str) -> Option<String> {
    let is_code = |c: char| c.is_ascii_alphanumeric() || "_-. ".contains(c);
    let code = code.chars().all(is_code).then(|| code.to_ascii_lowercase())?;
    let code = code.replace(|c: char| !c.is_ascii_alphanumeric(), "");
    let meaning = NO_MEANING.iter().find_map(|end| code.strip_suffix(end));
    Some(meaning.map(str::to_owned).unwrap_or(code))
}

/// The kind that a code or type names, if it names one.
pub(super) fn kind_of_code(code: &str) -> Option<ErrorKind> {
    let code = plain(code)?;
    let known = CODES.iter().find(|(_, codes)| codes.contains(&code.as_str()));
    if let Some((kind, _)) = known {
        return Some(*kind);
    }
    let has = |words: &[&str], text: &str| words.iter().any(|word| text.contains(word));
    if let Some(what) = code.strip_prefix(SHORT_OF) {
        return has(&MONEY, what).then_some(ErrorKind::QuotaExceeded);
    }
    let limit = code.strip_suffix(LIMIT_END)?;
    Some(match () {
        () if has(&LENGTH, limit) => ErrorKind::ContextLengthExceeded,
        () if PACE_STARTS.iter().any(|start| limit.starts_with(start)) => ErrorKind::RateLimited,
        () => ErrorKind::QuotaExceeded,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::failure;
    use crate::providers::chat_completions::ChatCompletions;

    fn kind(status: u16, json: &str) -> ErrorKind {
        let body = ErrorBody::parse(json.as_bytes()).unwrap();
        failure::kind_of(status, &body, &ChatCompletions::new())
    }

    #[test]
    fn kinds_come_from_status_and_code() {
        use ErrorKind as K;
        for (status, json, expected) in [
            (
                401,
                r#"{"error":{"type":"invalid_request_error","code":"invalid_api_key"}}"#,
                K::Authentication,
            ),
            (404, r#"{"error":{"type":"invalid_request_error","code":null}}"#, K::NotFound),
            (
                400,
                r#"{"error":{"code":400,"type":"exceed_context_size_error"}}"#,
                K::ContextLengthExceeded,
            ),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","code":"context_length_exceeded"}}"#,
                K::ContextLengthExceeded,
            ),
            (429, r#"{"error":{"code":"rate_limit_exceeded","type":"requests"}}"#, K::RateLimited),
            (429, r#"{"error":{"code":"insufficient_quota"}}"#, K::QuotaExceeded),
            (429, r#"{"error":{"code":"project_spend_limit_exceeded"}}"#, K::QuotaExceeded),
            (429, r#"{"error":{"code":"tokens_limit_exceeded"}}"#, K::RateLimited),
            (429, r#"{"error":{"type":"insufficient_quota","code":null}}"#, K::QuotaExceeded),
            (402, r#"{"code":402,"message":"pay"}"#, K::QuotaExceeded),
            (503, r#"{"error":{"code":503,"type":"unavailable_error"}}"#, K::Server),
            (500, r#"{"error":{"code":500,"type":"invalid_request_error"}}"#, K::InvalidRequest),
            (200, r#"{"code":401,"message":"no","details":"x"}"#, K::Authentication),
            (200, r#"{"error":"Unexpected endpoint or method."}"#, K::Protocol),
            (200, r#"{"error":{"message":"boom"}}"#, K::Server),
            (422, r#"{"errors":["a","b"]}"#, K::InvalidRequest),
            (422, r#"{"error":{"type":"budget_exceeded","message":"x"}}"#, K::QuotaExceeded),
            (400, r#"{"error":{"code":"insufficient_balance_error"}}"#, K::QuotaExceeded),
            (403, r#"{"code":"INSUFFICIENT_BALANCE","message":"x"}"#, K::QuotaExceeded),
            (403, r#"{"error":{"code":"insufficient_user_quota"}}"#, K::QuotaExceeded),
            (403, r#"{"error":{"code":"insufficient_permissions"}}"#, K::PermissionDenied),
            (400, r#"{"error":{"message":"Insufficient Balance"}}"#, K::QuotaExceeded),
            (400, r#"{"error":{"type":"expired_key","message":"x"}}"#, K::Authentication),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 8 tokens.","type":"BadRequestError"}"#,
                K::ContextLengthExceeded,
            ),
            (
                400,
                r#"{"error":{"message":"litellm.ContextWindowExceededError: too long"}}"#,
                K::ContextLengthExceeded,
            ),
            (400, r#"{"error":{"type":"ContextWindowExceededError"}}"#, K::ContextLengthExceeded),
            (400, r#"{"error":{"code":"context_limit_exceeded"}}"#, K::ContextLengthExceeded),
            (
                400,
                r#"{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                K::Authentication,
            ),
            (
                404,
                r#"{"error":{"message":"no model of this maximum context length"}}"#,
                K::NotFound,
            ),
            (413, r#"{"error":{"code":"rate_limit_exceeded"}}"#, K::RateLimited),
        ] {
            assert_eq!(kind(status, json), expected, "{status} {json}");
        }
    }
}
