/* Sluicegate: one policy engine for LLM API traffic, behind a C ABI. Generated from bindings/c/src/lib.rs; don't edit.
 *
 * Texts are UTF-8 JSON that ends in a zero byte; docs/c.md describes them. Every function may be called from any thread.
 * Functions that return int32_t give 0 or a code of enum sluicegate_code; sluicegate_last_error() then says what is wrong. */

#ifndef SLUICEGATE_H
#define SLUICEGATE_H

#include <stdint.h>

/* Codes. They never change; new ones are only added. */
enum sluicegate_code {
    SLUICEGATE_OK = 0,
    SLUICEGATE_INVALID_REQUEST = 1,
    SLUICEGATE_UNAUTHENTICATED = 2,
    SLUICEGATE_FORBIDDEN = 3,
    SLUICEGATE_POLICY_DENIED = 4,
    SLUICEGATE_NOT_FOUND = 5,
    SLUICEGATE_MODEL_NOT_FOUND = 6,
    SLUICEGATE_CONFLICT = 7,
    SLUICEGATE_PAYLOAD_TOO_LARGE = 8,
    SLUICEGATE_CONTEXT_LENGTH_EXCEEDED = 9,
    SLUICEGATE_INSUFFICIENT_QUOTA = 10,
    SLUICEGATE_RATE_LIMITED = 11,
    SLUICEGATE_UPSTREAM_REJECTED = 12,
    SLUICEGATE_UPSTREAM_AUTH = 13,
    SLUICEGATE_UPSTREAM_UNAVAILABLE = 14,
    SLUICEGATE_UPSTREAM_OVERLOADED = 15,
    SLUICEGATE_UPSTREAM_TIMEOUT = 16,
    SLUICEGATE_NOT_SUPPORTED = 17,
    SLUICEGATE_CONFIG_INVALID = 18,
    SLUICEGATE_STORE_UNAVAILABLE = 19,
    SLUICEGATE_CANCELLED = 20,
    SLUICEGATE_INTERNAL = 21,
    SLUICEGATE_GUARDRAIL_DENIED = 22
};

/*
 A gateway with all that it needs. Opaque.
 */
typedef struct SluicegateHost SluicegateHost;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Opens a host. You own `*host`: free it with `sluicegate_free`.

 `options_json` is a JSON object, `{}` for the defaults. `*host` is null when it fails.

 # Safety
 `options_json` is null or ends in a zero byte; `host` is null or a place for a pointer.
 */
int32_t sluicegate_new(const char *options_json, SluicegateHost **host);

/*
 Decides on a call. You own `*answer`: free it with `sluicegate_string_free`.

 `ask_json` is what stands behind `decide` in a request. A call that is refused for its limits, access or policy is a
 decision: the code is 0, and the answer's step says `failed`.

 # Safety
 As `sluicegate_handle_json`.
 */
int32_t sluicegate_decide_json(const SluicegateHost *host,
                               const char *ask_json,
                               char **answer);

/*
 Reports how an attempt went. You own `*answer`, the next step: free it with `sluicegate_string_free`.

 `report_json` is what stands behind `report` in a request.

 # Safety
 As `sluicegate_handle_json`.
 */
int32_t sluicegate_report_json(const SluicegateHost *host,
                               const char *report_json,
                               char **answer);

/*
 Explains where a call would go, and why. You own `*answer`: free it with `sluicegate_string_free`.

 `ask_json` is what stands behind `explain` in a request. Nothing is reserved.

 # Safety
 As `sluicegate_handle_json`.
 */
int32_t sluicegate_explain_json(const SluicegateHost *host, const char *ask_json, char **answer);

/*
 Sends a request and waits for the whole answer. You own `*answer`: free it with `sluicegate_string_free`.

 `ask_json` is what stands behind `complete` in a request. It blocks as long as upstreams take.

 # Safety
 As `sluicegate_handle_json`.
 */
int32_t sluicegate_complete_json(const SluicegateHost *host,
                                 const char *ask_json,
                                 char **answer);

/*
 Handles any request. You own `*answer`: free it with `sluicegate_string_free`.

 `request_json` is a whole request, such as `{"v": 1, "next": {"call": "call-…"}}`; also `cancel`, `remaining` and all
 of the above. `*answer` is set whenever the request was read, also when the code isn't 0: it then tells of the error.
 Else it is null.

 # Safety
 `host` is null or came from `sluicegate_new` and isn't freed yet; `request_json` is null or ends in a zero byte;
 `answer` is null or a place for a pointer.
 */
int32_t sluicegate_handle_json(const SluicegateHost *host,
                               const char *request_json,
                               char **answer);

/*
 Frees an answer: you give it up. Null is ignored.

 # Safety
 `text` is null or came as an answer from this library and isn't freed yet.
 */
void sluicegate_string_free(char *text);

/*
 Closes and frees a host: you give it up. Null is ignored.

 Attempts that were never reported become held, and what isn't written yet is.

 # Safety
 `host` is null or came from `sluicegate_new`, isn't freed yet, and nobody else uses it.
 */
void sluicegate_free(SluicegateHost *host);

/*
 What is wrong, of this thread's last call that failed; empty before the first. The library owns the text: it lives
 until this thread's next call that fails.
 */
const char *sluicegate_last_error(void);

/*
 The word for a code, such as `insufficient_quota`; `ok` for 0, `unknown` for one that there isn't. The library owns
 the text: it lives for ever.
 */
const char *sluicegate_error_name(int32_t code);

/*
 The library's version, such as `0.1.0`. The library owns the text: it lives for ever.
 */
const char *sluicegate_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SLUICEGATE_H */
