/* Decide, report and errors through the C ABI. Ends with a status other than 0 at the first thing that isn't right. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluicegate.h"

#define OPTIONS                                                                                                        \
    "{\"manual_clock_ms\": 1795000000000, \"environment\": {\"UP\": \"up\", \"KEY\": \"sk-c-test-0123456789abcdef0123456789\"}," \
    " \"config\": \"version: 1\\nchannels:\\n  - name: a\\n    provider: openai\\n    url: http://127.0.0.1:9/v1\\n"        \
    "    credential: ${UP}\\n    models: [gpt-4o-mini]\\nkeys:\\n  - id: c\\n    credential: ${KEY}\\n"                     \
    "    limits: {total_tokens: {day: 400}}\\n\"}"
#define ASK                                                                                                            \
    "{\"key\": \"sk-c-test-0123456789abcdef0123456789\", \"call\": {\"format\": \"openai_chat\","                          \
    " \"model\": \"gpt-4o-mini\", \"input_bound\": 100, \"max_output\": 100}}"

static void check(int ok, const char *what, const char *seen) {
    if (!ok) {
        fprintf(stderr, "not right: %s\n  seen: %s\n  last error: %s\n", what, seen ? seen : "(none)", sluicegate_last_error());
        exit(1);
    }
}

/* The call's id: what stands behind "call":" at the start of an answer. */
static void call_id(const char *answer, char *id, size_t size) {
    const char *at = strstr(answer, "\"call\":\"");
    check(at != NULL, "the answer names its call", answer);
    at += strlen("\"call\":\"");
    size_t n = strcspn(at, "\"");
    check(n < size, "the id fits", answer);
    memcpy(id, at, n);
    id[n] = 0;
}

static int32_t decide_and_report(SluicegateHost *host, const char *usage) {
    char *answer = NULL;
    char id[128], report[512];
    int32_t code = sluicegate_decide_json(host, ASK, &answer);
    check(code == SLUICEGATE_OK && answer, "a decision is answered", answer);
    if (!strstr(answer, "\"try\"")) {
        check(strstr(answer, "insufficient_quota") != NULL, "only the cap refuses", answer);
        sluicegate_string_free(answer);
        return SLUICEGATE_INSUFFICIENT_QUOTA;
    }
    check(strstr(answer, "Bearer up") != NULL, "the credential is among the headers", answer);
    call_id(answer, id, sizeof id);
    sluicegate_string_free(answer);
    snprintf(report, sizeof report, "{\"call\": \"%s\", \"outcome\": {\"status\": 200, \"usage\": %s}}", id, usage);
    code = sluicegate_report_json(host, report, &answer);
    check(code == SLUICEGATE_OK && strstr(answer, "\"done\""), "a report ends the call", answer);
    sluicegate_string_free(answer);
    code = sluicegate_report_json(host, report, &answer);
    check(code == SLUICEGATE_NOT_FOUND, "a call ends once", answer);
    sluicegate_string_free(answer);
    return SLUICEGATE_OK;
}

static void *thread(void *host) {
    for (int i = 0; i < 50; i++) {
        char *answer = NULL;
        int32_t code = sluicegate_explain_json(host, ASK, &answer);
        check(code == SLUICEGATE_OK && strstr(answer, "\"explained\""), "explaining from a thread", answer);
        sluicegate_string_free(answer);
    }
    return NULL;
}

int main(void) {
    SluicegateHost *host = NULL;
    char *answer = NULL;

    check(sluicegate_new(NULL, &host) == SLUICEGATE_INVALID_REQUEST && !host, "null options are refused", NULL);
    check(sluicegate_new("{", &host) == SLUICEGATE_INVALID_REQUEST && !host, "broken options are refused", NULL);
    check(sluicegate_new("{\"config\": \"version: 1\\nchanels: []\\n\"}", &host) == SLUICEGATE_CONFIG_INVALID, "a typing error is refused", NULL);
    check(strstr(sluicegate_last_error(), "chanels") != NULL, "and named", NULL);
    check(sluicegate_new("\xff", &host) == SLUICEGATE_INVALID_REQUEST, "what isn't UTF-8 is refused", NULL);

    check(sluicegate_new(OPTIONS, &host) == SLUICEGATE_OK && host, "a host opens", NULL);
    check(sluicegate_decide_json(NULL, ASK, &answer) == SLUICEGATE_INVALID_REQUEST, "a null host is refused", answer);
    check(sluicegate_decide_json(host, NULL, &answer) == SLUICEGATE_INVALID_REQUEST, "a null request is refused", answer);
    check(sluicegate_decide_json(host, ASK, NULL) == SLUICEGATE_INVALID_REQUEST, "a null answer is refused", NULL);
    check(sluicegate_decide_json(host, "{}, \"x\": {}", &answer) == SLUICEGATE_INVALID_REQUEST, "the envelope can't be broken out of", answer);
    check(sluicegate_decide_json(host, "{\"key\": \"sk-nobody\", \"call\": {\"format\": \"openai_chat\", \"model\": \"m\"}}", &answer)
              == SLUICEGATE_UNAUTHENTICATED,
          "an unknown key is refused", answer);
    check(answer && strstr(answer, "unauthenticated"), "with an answer", answer);
    sluicegate_string_free(answer);

    /* 400 tokens a day: two calls of 150 fit, a third may need 200. */
    const char *usage = "{\"input_uncached\": 100, \"output_visible\": 50}";
    check(decide_and_report(host, usage) == SLUICEGATE_OK, "the first call fits", NULL);
    check(decide_and_report(host, usage) == SLUICEGATE_OK, "the second call fits", NULL);
    check(decide_and_report(host, usage) == SLUICEGATE_INSUFFICIENT_QUOTA, "the third is over the cap", NULL);

    check(sluicegate_handle_json(host, "{\"v\": 1, \"remaining\": {\"key\": \"sk-c-test-0123456789abcdef0123456789\"}}", &answer) == SLUICEGATE_OK,
          "what is left is answered", answer);
    check(strstr(answer, "\"settled\":300") && strstr(answer, "\"remaining\":100"), "300 of 400 are used", answer);
    sluicegate_string_free(answer);

    pthread_t threads[4];
    for (int i = 0; i < 4; i++) check(pthread_create(&threads[i], NULL, thread, host) == 0, "a thread starts", NULL);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);

    check(strcmp(sluicegate_error_name(SLUICEGATE_INSUFFICIENT_QUOTA), "insufficient_quota") == 0, "codes have names", NULL);
    check(strcmp(sluicegate_error_name(0), "ok") == 0 && strcmp(sluicegate_error_name(9999), "unknown") == 0, "all of them", NULL);
    check(strlen(sluicegate_version()) > 0, "there is a version", NULL);
    sluicegate_string_free(NULL);
    sluicegate_free(NULL);
    sluicegate_free(host);
    puts("decide.c: all right");
    return 0;
}
