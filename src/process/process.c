#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

#define PROCESS_READY_MS 60000

void process_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

size_t process_descriptor_limit(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : (size_t)limit.rlim_cur;
}

/* --- what it was started with --- */

static int passed_by_systemd(void) {
#ifdef HAVE_LIBSYSTEMD
    int count = sd_listen_fds(0);
    return count > 0 ? count : 0;
#else
    return 0;
#endif
}

void process_close_inherited(void) {
    unsigned first = STDERR_FILENO + 1u + (unsigned)passed_by_systemd();
    if (close_range(first, UINT_MAX, 0) == 0)
        return;
    /* a kernel older than 5.9 */
    for (size_t fd = first; fd < process_descriptor_limit(); fd++)
        close((int)fd);
}

/* --- to the background --- */

static int ready_pipe = -1; /* where the process that was started waits; -1: none does */

/* Ends with the code that comes from the background, or with 1 when none does. */
static _Noreturn void wait_for_ready(int pipe_end, const char *program) {
    struct pollfd side = {.fd = pipe_end, .events = POLLIN};
    uint8_t code = 1;
    int ready;
    do
        ready = poll(&side, 1, PROCESS_READY_MS);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        fprintf(stderr, "%s: the daemon has not started within %d s; check its log\n", program,
                PROCESS_READY_MS / 1000);
    else if (read(pipe_end, &code, sizeof code) != sizeof code)
        fprintf(stderr, "%s: the daemon exited before it was ready; check its log\n", program);
    _exit(code);
}

/* Forks; what was started waits for the daemon, and may be ended by signals meanwhile. */
static int leave_caller(const char *program) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child < 0) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        return -error;
    }
    close(ends[child > 0 ? 1 : 0]);
    if (child > 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        wait_for_ready(ends[0], program);
    }
    ready_pipe = ends[1];
    return 0;
}

/* Forks and lets the parent go. */
static int leave_parent(void) {
    pid_t child = fork();
    if (child < 0)
        return -errno;
    if (child > 0)
        _exit(0);
    return 0;
}

static int open_null(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    return null < 0 ? -errno : null;
}

int process_detach(const char *program) {
    int null = open_null();
    if (null < 0)
        return null;
    int error = leave_caller(program);
    if (error == 0 && setsid() < 0)
        error = -errno;
    /* no longer a session leader, it can never get a terminal */
    if (error == 0)
        error = leave_parent();
    if (error == 0 &&
        (chdir("/") < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0))
        error = -errno;
    umask(022);
    close(null);
    return error;
}

void process_detached(int exit_code) {
    const uint8_t code = (uint8_t)exit_code;
    if (ready_pipe < 0)
        return;
    int null = open_null();
    if (null >= 0) {
        dup2(null, STDERR_FILENO);
        close(null);
    }
    /* when the caller was killed, nothing reads this any more */
    ssize_t written = write(ready_pipe, &code, sizeof code);
    (void)written;
    close(ready_pipe);
    ready_pipe = -1;
}

#ifdef HAVE_LIBSYSTEMD

void process_notify_ready(void) {
    sd_notify(0, "READY=1");
}

void process_notify_stopping(void) {
    sd_notify(0, "STOPPING=1");
}

#else

void process_notify_ready(void) {
}

void process_notify_stopping(void) {
}

#endif
