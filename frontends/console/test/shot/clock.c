// A clock that goes before or after, for processes that are told so: CLOCK_SHIFT_S seconds. Loaded by LD_PRELOAD; without dlsym, since
// the gateway's allocator asks for the time before there is one.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t which, struct timespec *now) {
    int done = (int)syscall(SYS_clock_gettime, which, now);
    const char *shift = getenv("CLOCK_SHIFT_S");
    if (done == 0 && which == CLOCK_REALTIME && shift) now->tv_sec += atol(shift);
    return done;
}
