/* Everything that can be wrong with a call gives a code and a message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluicegate.h"

static void check(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "errors.c: not right: %s\n  last error: %s\n", what, sluicegate_last_error());
        exit(1);
    }
}

/* The code of a request, whose answer must tell of the same error when there is one. */
static int32_t code_of(SluicegateHost *host, const char *request) {
    char *answer = NULL;
    char want[32];
    int32_t code = sluicegate_handle_json(host, request, &answer);
    check(answer != NULL, "what was read is answered");
    snprintf(want, sizeof want, "\"code\":%d,", code);
    check(code == SLUICEGATE_OK || strstr(answer, want) != NULL, "the answer has the same code");
    sluicegate_string_free(answer);
    return code;
}

int main(void) {
    SluicegateHost *host = (SluicegateHost *)&host;
    char *answer = (char *)&answer;

    check(strcmp(sluicegate_last_error(), "") == 0, "there is no error before the first");

    /* Opening. */
    check(sluicegate_new("{}", NULL) == SLUICEGATE_INVALID_REQUEST, "nowhere to put the host");
    check(strstr(sluicegate_last_error(), "`host`") != NULL, "which is named");
    check(sluicegate_new(NULL, &host) == SLUICEGATE_INVALID_REQUEST, "no options");
    check(host == NULL, "and the host is null");
    check(strstr(sluicegate_last_error(), "`options_json` is null") != NULL, "which is named");
    check(sluicegate_new("", &host) == SLUICEGATE_INVALID_REQUEST, "empty options");
    check(sluicegate_new("{\"config\": ", &host) == SLUICEGATE_INVALID_REQUEST, "half of the options");
    check(sluicegate_new("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", &host) == SLUICEGATE_INVALID_REQUEST, "a list");
    check(sluicegate_new("{\"konfig\": \"\"}", &host) == SLUICEGATE_INVALID_REQUEST, "an unknown option");
    check(strstr(sluicegate_last_error(), "konfig") != NULL, "which is named");
    check(sluicegate_new("{\"config\": \"\xc3\x28\"}", &host) == SLUICEGATE_INVALID_REQUEST, "broken UTF-8");
    check(strstr(sluicegate_last_error(), "UTF-8") != NULL, "which is said");
    check(sluicegate_new("{\"config_path\": \"/no/such/file.yaml\"}", &host) == SLUICEGATE_CONFIG_INVALID, "no such file");
    check(strstr(sluicegate_last_error(), "/no/such/file.yaml") != NULL, "which is named");
    check(sluicegate_new("{\"config\": \"version: 1\\nchanels: []\\n\"}", &host) == SLUICEGATE_CONFIG_INVALID, "a typing error");
    check(strstr(sluicegate_last_error(), "chanels") != NULL, "which is named");
    check(host == NULL, "and there is still no host");

    /* Asking. */
    check(sluicegate_new("{\"demo\": true, \"environment\": {}, \"master_key\": \"sk-errors-c-0123456789abcdef\"}", &host) == SLUICEGATE_OK, "a host opens");
    check(sluicegate_handle_json(NULL, "{}", &answer) == SLUICEGATE_INVALID_REQUEST && answer == NULL, "no host");
    check(strstr(sluicegate_last_error(), "`host` is null") != NULL, "which is named");
    check(sluicegate_handle_json(host, NULL, &answer) == SLUICEGATE_INVALID_REQUEST && answer == NULL, "no request");
    check(sluicegate_handle_json(host, "{}", NULL) == SLUICEGATE_INVALID_REQUEST, "nowhere to put the answer");
    check(sluicegate_decide_json(host, "\xff", &answer) == SLUICEGATE_INVALID_REQUEST && answer == NULL, "broken UTF-8");
    check(sluicegate_report_json(host, "{}, \"cancel\": {\"call\": \"x\"}", &answer) == SLUICEGATE_INVALID_REQUEST, "two requests in one");
    check(sluicegate_explain_json(host, "", &answer) == SLUICEGATE_INVALID_REQUEST, "nothing");
    check(sluicegate_complete_json(host, "null", &answer) == SLUICEGATE_INVALID_REQUEST, "null");
    sluicegate_string_free(answer);

    check(code_of(host, "nonsense") == SLUICEGATE_INVALID_REQUEST, "no JSON");
    check(code_of(host, "{\"v\": 1}") == SLUICEGATE_INVALID_REQUEST, "no verb");
    check(code_of(host, "{\"v\": 9, \"next\": {\"call\": \"x\"}}") == SLUICEGATE_NOT_SUPPORTED, "another version");
    check(code_of(host, "{\"v\": 1, \"next\": {\"call\": \"x\"}}") == SLUICEGATE_NOT_FOUND, "no such call");
    check(strstr(sluicegate_last_error(), "`x`") != NULL, "which is named");
    check(code_of(host, "{\"v\": 1, \"remaining\": {\"key\": \"sk-nobody\"}}") == SLUICEGATE_UNAUTHENTICATED, "no such key");
    check(code_of(host, "{\"v\": 1, \"remaining\": {\"key\": \"sk-errors-c-0123456789abcdef\"}}") == SLUICEGATE_OK, "what is right is right");
    check(strstr(sluicegate_last_error(), "key") != NULL, "success leaves the last error");

    /* A request that is deeper than any stack. */
    size_t depth = 200000;
    char *deep = malloc(depth + 1);
    check(deep != NULL, "there is memory");
    memset(deep, '[', depth);
    deep[depth] = 0;
    check(sluicegate_decide_json(host, deep, &answer) == SLUICEGATE_INVALID_REQUEST, "a bottomless request");
    sluicegate_string_free(answer);
    free(deep);

    /* Words. */
    check(strcmp(sluicegate_error_name(SLUICEGATE_OK), "ok") == 0, "0 has a word");
    check(strcmp(sluicegate_error_name(SLUICEGATE_INSUFFICIENT_QUOTA), "insufficient_quota") == 0, "codes have words");
    check(strcmp(sluicegate_error_name(SLUICEGATE_GUARDRAIL_DENIED), "guardrail_denied") == 0, "up to the last");
    check(strcmp(sluicegate_error_name(-1), "unknown") == 0 && strcmp(sluicegate_error_name(9999), "unknown") == 0, "others have none");
    check(strchr(sluicegate_version(), '.') != NULL, "there is a version");

    sluicegate_string_free(NULL);
    sluicegate_free(NULL);
    sluicegate_free(host);
    puts("errors.c: all right");
    return 0;
}
