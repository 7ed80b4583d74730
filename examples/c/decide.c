/* Sluicegate in a program with an HTTP client of its own: it asks where a call may go, sends it there, and reports.
 *
 *     make -C examples/c run
 *
 * Nothing is sent here: `send_it` stands for your HTTP client and says what it would send. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluicegate.h"

/* 300 tokens a day, so that this example sees its cap. A real program names a file instead: {"config_path": "gateway.yaml"}. */
static const char *OPTIONS =
    "{\"environment\": {\"OPENAI_API_KEY\": \"sk-yours\", \"APP_KEY\": \"sk-app-1f3d5b79c2e4a6088642e0c9\"}, \"config\":"
    " \"version: 1\\n"
    "channels: [{name: main, provider: openai, models: [gpt-4o-mini]}]\\n"
    "keys: [{id: app, credential: \\\"${APP_KEY}\\\", limits: {total_tokens: {day: 300}}}]\\n\"}";

static const char *ASK =
    "{\"key\": \"sk-app-1f3d5b79c2e4a6088642e0c9\","
    " \"body\": \"{\\\"model\\\": \\\"gpt-4o-mini\\\", \\\"max_tokens\\\": 100,"
    " \\\"messages\\\": [{\\\"role\\\": \\\"user\\\", \\\"content\\\": \\\"Hello!\\\"}]}\"}";

/* What upstreams answer, as JSON within JSON: the report takes the body as it came. */
static const char *UPSTREAM_BODY =
    "\"{\\\"choices\\\": [{\\\"index\\\": 0, \\\"message\\\": {\\\"role\\\": \\\"assistant\\\", \\\"content\\\": \\\"Hello to you!\\\"},"
    " \\\"finish_reason\\\": \\\"stop\\\"}], \\\"usage\\\": {\\\"prompt_tokens\\\": 9, \\\"completion_tokens\\\": 91}}\"";

/* The text behind `"name":"` in an answer; a real program has a JSON library for this. */
static int text_of(const char *answer, const char *name, char *into, size_t size) {
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\"%s\":\"", name);
    const char *at = strstr(answer, pattern);
    if (at == NULL) return 0;
    at += strlen(pattern);
    size_t length = strcspn(at, "\"");
    if (length >= size) return 0;
    memcpy(into, at, length);
    into[length] = 0;
    return 1;
}

static void fail(const char *what, int32_t code) {
    fprintf(stderr, "%s: %s: %s\n", what, sluicegate_error_name(code), sluicegate_last_error());
    exit(1);
}

static void send_it(const char *step) {
    char url[256] = "";
    text_of(step, "url", url, sizeof url);
    printf("POST %s\n", url);
}

int main(void) {
    SluicegateHost *host = NULL;
    int32_t code = sluicegate_new(OPTIONS, &host);
    if (code != SLUICEGATE_OK) fail("open", code);

    for (int i = 0; i < 5; i++) {
        char *answer = NULL, call[128], kind[64];
        code = sluicegate_decide_json(host, ASK, &answer);
        if (code != SLUICEGATE_OK) fail("decide", code);

        /* The step is `try` (send this), `wait` (ask again then), `done` or `failed`. */
        while (strstr(answer, "\"step\":{\"try\":") != NULL && text_of(answer, "call", call, sizeof call)) {
            send_it(answer);
            sluicegate_string_free(answer);
            char report[1024];
            snprintf(report, sizeof report, "{\"call\": \"%s\", \"outcome\": {\"status\": 200, \"body\": %s}}", call, UPSTREAM_BODY);
            code = sluicegate_report_json(host, report, &answer);
            if (code != SLUICEGATE_OK) fail("report", code);
        }
        if (strstr(answer, "\"step\":{\"failed\":") != NULL && text_of(answer, "kind", kind, sizeof kind)) {
            char message[512] = "";
            text_of(answer, "message", message, sizeof message);
            printf("refused: %s: %s\n", kind, message);
        }
        sluicegate_string_free(answer);
    }
    sluicegate_free(host);
    return 0;
}
