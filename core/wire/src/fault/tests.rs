use super::*;

#[test]
fn known_errors_have_their_class() {
    use FaultClass::*;
    let cases: &[(u16, &str, FaultClass)] = &[
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            ContextLength,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 250000 tokens > 200000 maximum"}}"#,
            ContextLength,
        ),
        (
            413,
            r#"{"error":{"message":"Request too large for model on tokens per minute","type":"tokens","code":"rate_limit_exceeded"}}"#,
            RateLimit,
        ),
        (
            413,
            r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
            TooLarge,
        ),
        (
            400,
            r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","code":"content_filter"}}"#,
            ContentPolicy,
        ),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Quota,
        ),
        (
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"limit","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
            Quota,
        ),
        (
            429,
            r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#,
            RateLimit,
        ),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#, Quota),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API"}}"#,
            Quota,
        ),
        // What a caller wrote and the upstream quotes says nothing of the account.
        (
            400,
            r#"{"error":{"message":"Invalid value: 'insufficient balance'. Supported values are: 'system', 'user'.","type":"invalid_request_error"}}"#,
            BadRequest,
        ),
        (401, r#"{"error":{"message":"Incorrect API key"}}"#, Auth),
        // Google's: limits sound like an empty account, and a wrong key like a wrong request.
        (
            429,
            r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED"}}"#,
            RateLimit,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#,
            Auth,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
            ContextLength,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#,
            Auth,
        ),
        (400, r#"{"error":{"code":400,"message":"Unknown name","status":"INVALID_ARGUMENT"}}"#, BadRequest),
        (404, r#"{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}"#, NotFound),
        (503, r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#, Overloaded),
        (0, r#"{"error":{"code":504,"message":"too late","status":"DEADLINE_EXCEEDED"}}"#, Timeout),
        (0, r#"{"error":{"code":500,"message":"boom","status":"INTERNAL"}}"#, Server),
        (403, "forbidden", Auth),
        (404, r#"{"error":{"message":"no such model","code":"model_not_found"}}"#, NotFound),
        (422, r#"{"detail":"Extra inputs are not permitted"}"#, BadRequest),
        (400, r#"[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]"#, BadRequest),
        (500, r#"{"error":{"message":"boom: context window"}}"#, Server),
        (502, "<html>bad gateway</html>", Server),
        (503, "", Overloaded),
        (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Overloaded),
        (504, "", Timeout),
        (0, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Overloaded),
        (0, r#"{"error":{"message":"x","type":"server_error"}}"#, Server),
        (0, r#"{"base_resp":{"status_code":1008,"status_msg":"no money"}}"#, Quota),
        (0, r#"{"base_resp":{"status_code":1002,"status_msg":"limit"}}"#, RateLimit),
        (0, r#"{"error":{"code":"1113","message":"arrears"}}"#, Quota),
    ];
    for (status, body, class) in cases {
        assert_eq!(Fault::classify(*status, body.as_bytes()).class, *class, "{status} {body}");
    }
}

#[test]
fn the_message_is_short_plain_and_without_credentials() {
    let body = format!(
        r#"{{"error":{{"message":"key \"sk-abcdef\"\nBearer topsecret task-list {}"}}}}"#,
        "x".repeat(2000)
    );
    let fault = Fault::classify(400, body.as_bytes());
    assert!(
        fault.message.starts_with("key \"[redacted] Bearer [redacted] task-list xxx"),
        "{}",
        fault.message
    );
    assert!(fault.message.chars().count() <= MESSAGE_MAX);
    assert_eq!(Fault::classify(502, b"<html>no</html>").message, "the upstream answered with status 502");
    assert_eq!(Fault::classify(418, b"plain words").message, "plain words");
    assert_eq!(Fault::classify(400, b"\xff\xfe").message, "\u{fffd}\u{fffd}");
}

#[test]
fn an_error_in_a_200_is_found_and_a_real_answer_is_not() {
    let find = |body: &str| Fault::in_ok_body(Format::OpenaiChat, body.as_bytes()).map(|fault| fault.class);
    assert_eq!(find(r#"{"choices":[],"usage":null}"#), None);
    assert_eq!(find(r#"{"choices":[],"error":null,"base_resp":{"status_code":0}}"#), None);
    assert_eq!(
        find(r#"{"choices":null,"base_resp":{"status_code":1004,"status_msg":"auth"}}"#),
        Some(FaultClass::Auth)
    );
    assert_eq!(
        find(r#"{"error":{"message":"late","code":429,"type":"rate_limit_error"}}"#),
        Some(FaultClass::RateLimit)
    );
    assert_eq!(find(r#"{"code":1113,"msg":"arrears","success":false}"#), Some(FaultClass::Quota));
    for nonsense in ["", "null", "[]", "<html>", "{}", r#"{"choices":"x"}"#] {
        assert_eq!(find(nonsense), Some(FaultClass::Server), "{nonsense}");
    }
}

#[test]
fn googles_pause_is_read_from_its_details() {
    for (delay, ms) in [("17s", Some(17_000)), ("0.25s", Some(250)), ("-1s", None), ("soon", None)] {
        let body = format!(
            r#"{{"error":{{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{{"@type":"type.googleapis.com/google.rpc.QuotaFailure"}},{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}]}}}}"#
        );
        let fault = Fault::classify(429, body.as_bytes());
        assert_eq!(
            (fault.retry_after_ms, fault.code.as_deref()),
            (ms, Some("RESOURCE_EXHAUSTED")),
            "{delay}"
        );
    }
}
