/* One host from many threads: what is granted together never exceeds the cap, and errors stay with their thread. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluicegate.h"

#define KEY "sk-c-threads-0123456789abcdef0123456789"
#define THREADS 8
#define CALLS 100
/* Each call may need 20 tokens and uses 10: a cap of 4,000 is reached halfway. */
#define CAP 4000

static const char *OPTIONS =
    "{\"environment\": {\"UP\": \"up\", \"KEY\": \"" KEY "\"}, \"config\": \"version: 1\\nchannels:\\n"
    "  - {name: a, provider: openai, url: \\\"http://127.0.0.1:9/v1\\\", credential: \\\"${UP}\\\", models: [m]}\\n"
    "keys:\\n  - {id: c, credential: \\\"${KEY}\\\", limits: {total_tokens: {lifetime: 4000}}}\\n\"}";
static const char *ASK =
    "{\"key\": \"" KEY "\", \"call\": {\"format\": \"openai_chat\", \"model\": \"m\", \"input_bound\": 10, \"max_output\": 10}}";

static void check(int ok, const char *what, const char *seen) {
    if (!ok) {
        fprintf(stderr, "threads.c: not right: %s\n  seen: %s\n  last error: %s\n", what, seen ? seen : "(none)", sluicegate_last_error());
        exit(1);
    }
}

/* One thread's calls. Gives how many were granted. */
static void *calls(void *argument) {
    SluicegateHost *host = argument;
    size_t granted = 0;
    for (int i = 0; i < CALLS; i++) {
        char *answer = NULL;
        char report[256];
        check(sluicegate_decide_json(host, ASK, &answer) == SLUICEGATE_OK, "a decision is answered", answer);
        const char *id = strstr(answer, "\"call\":\"");
        check(id != NULL, "the answer names its call", answer);
        id += strlen("\"call\":\"");
        int length = (int)strcspn(id, "\"");
        if (strstr(answer, "\"try\"") == NULL) {
            /* It is used up, or other threads' calls have reserved the rest of it. */
            int capped = strstr(answer, "\"insufficient_quota\"") != NULL || strstr(answer, "\"busy\":true") != NULL;
            check(capped, "only the cap refuses", answer);
            sluicegate_string_free(answer);
            continue;
        }
        granted++;
        snprintf(report, sizeof report,
                 "{\"call\": \"%.*s\", \"outcome\": {\"status\": 200, \"usage\": {\"input_uncached\": 5, \"output_visible\": 5}}}",
                 length, id);
        sluicegate_string_free(answer);
        check(sluicegate_report_json(host, report, &answer) == SLUICEGATE_OK, "a report ends the call", answer);
        sluicegate_string_free(answer);
    }
    return (void *)granted;
}

/* Errors of this thread are its own. */
static void *mistakes(void *argument) {
    SluicegateHost *host = argument;
    char name[32], request[128];
    snprintf(name, sizeof name, "`call-%p`", (void *)&name);
    snprintf(request, sizeof request, "{\"v\": 1, \"next\": {\"call\": \"call-%p\"}}", (void *)&name);
    for (int i = 0; i < CALLS; i++) {
        char *answer = NULL;
        check(sluicegate_handle_json(host, request, &answer) == SLUICEGATE_NOT_FOUND, "there is no such call", answer);
        check(strstr(sluicegate_last_error(), name) != NULL, "the error is this thread's", answer);
        sluicegate_string_free(answer);
    }
    return NULL;
}

int main(void) {
    SluicegateHost *host = NULL;
    char *answer = NULL, want[64];
    pthread_t callers[THREADS], others[2];
    size_t granted = 0;

    check(sluicegate_new(OPTIONS, &host) == SLUICEGATE_OK, "a host opens", NULL);
    for (int i = 0; i < THREADS; i++) check(pthread_create(&callers[i], NULL, calls, host) == 0, "a thread starts", NULL);
    for (int i = 0; i < 2; i++) check(pthread_create(&others[i], NULL, mistakes, host) == 0, "a thread starts", NULL);
    for (int i = 0; i < THREADS; i++) {
        void *own = NULL;
        pthread_join(callers[i], &own);
        granted += (size_t)own;
    }
    for (int i = 0; i < 2; i++) pthread_join(others[i], NULL);

    /* While others' reservations are open less may be granted than fits in the end; never more. */
    check(granted > 0 && granted * 10 <= CAP, "no more is granted than fits", NULL);
    check(sluicegate_handle_json(host, "{\"v\": 1, \"remaining\": {\"key\": \"" KEY "\"}}", &answer) == SLUICEGATE_OK, "what is left is answered", answer);
    snprintf(want, sizeof want, "\"settled\":%zu,\"reserved\":0,\"held\":0,", granted * 10);
    check(strstr(answer, want) != NULL, "what was granted is what is settled", answer);
    sluicegate_string_free(answer);
    sluicegate_free(host);
    puts("threads.c: all right");
    return 0;
}
