/* Sluicegate: one policy engine for LLM API traffic, behind a C ABI.
 *
 * Texts are UTF-8 JSON that ends in a zero byte; docs/c.md describes them. Every function may be called from any thread.
 * Functions that return int32_t give 0, or a code below; sluicegate_last_error() then says what is wrong. */
#ifndef SLUICEGATE_H
#define SLUICEGATE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

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
    SLUICEGATE_INTERNAL = 21
};

/* A gateway. */
typedef struct SluicegateHost SluicegateHost;

/* Opens a host. You own *host: free it with sluicegate_free. */
int32_t sluicegate_new(const char *options_json, SluicegateHost **host);

/* Handles one whole request of the envelope. You own *answer: free it with sluicegate_string_free. It is set whenever there
 * is an answer, also one that tells of an error. */
int32_t sluicegate_handle_json(const SluicegateHost *host, const char *request_json, char **answer);

/* May this call go ahead, and where? You own *answer: free it with sluicegate_string_free. */
int32_t sluicegate_decide_json(const SluicegateHost *host, const char *ask_json, char **answer);

/* How the attempt went. You own *answer: free it with sluicegate_string_free. */
int32_t sluicegate_report_json(const SluicegateHost *host, const char *report_json, char **answer);

/* Why would this call go where? Nothing is reserved. You own *answer: free it with sluicegate_string_free. */
int32_t sluicegate_explain_json(const SluicegateHost *host, const char *ask_json, char **answer);

/* Frees an answer that you own. NULL is ignored. */
void sluicegate_string_free(char *text);

/* Closes and frees a host that you own; nobody may be using it. NULL is ignored. */
void sluicegate_free(SluicegateHost *host);

/* What is wrong: of this thread's last call that failed. The library owns it until this thread's next call that fails. */
const char *sluicegate_last_error(void);

/* The word for a code, such as "insufficient_quota". The library owns it as long as this thread lives. */
const char *sluicegate_error_name(int32_t code);

/* The library's version. The library owns it. */
const char *sluicegate_version(void);

#ifdef __cplusplus
}
#endif
#endif
