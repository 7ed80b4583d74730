/* Feeds lines to the C ABI: the first is the host's options, each further one a request. Answers each with a line: a
 * request with its answer, the options with `open`, or `CODE NAME MESSAGE` when they can't be opened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluicegate.h"

/* The next line without its end; NULL after the last. It is overwritten by the one after. */
static char *line(void) {
    static char *text = NULL;
    static size_t room = 0;
    size_t length = 0;
    int next;
    while ((next = getchar()) != EOF && next != '\n') {
        if (length + 2 > room) {
            room = room ? room * 2 : 4096;
            text = realloc(text, room);
            if (text == NULL) abort();
        }
        text[length++] = (char)next;
    }
    if (next == EOF && length == 0) {
        free(text);
        return NULL;
    }
    text[length] = 0;
    return text;
}

/* A message may have several lines; ours has one. */
static void put_in_one_line(const char *text) {
    for (; *text; text++) putchar(*text == '\n' ? '\x1f' : *text);
    putchar('\n');
}

int main(void) {
    SluicegateHost *host = NULL;
    const char *text = line();
    if (text == NULL) {
        fputs("feed: the first line is the host's options\n", stderr);
        return 2;
    }
    int32_t code = sluicegate_new(text, &host);
    if (code != SLUICEGATE_OK) {
        printf("%d %s ", code, sluicegate_error_name(code));
        put_in_one_line(sluicegate_last_error());
        fflush(stdout);
        while (line() != NULL) {}
        return 0;
    }
    puts("open");
    fflush(stdout);
    while ((text = line()) != NULL) {
        char *answer = NULL;
        code = sluicegate_handle_json(host, text, &answer);
        if (answer == NULL) {
            fprintf(stderr, "feed: no answer: %d %s\n", code, sluicegate_last_error());
            return 1;
        }
        /* The code and the answer say the same. */
        if ((code != SLUICEGATE_OK) != (strstr(answer, "{\"v\":1,\"error\":") == answer)) {
            fprintf(stderr, "feed: code %d for %s\n", code, answer);
            return 1;
        }
        puts(answer);
        fflush(stdout);
        sluicegate_string_free(answer);
    }
    sluicegate_free(host);
    return 0;
}
