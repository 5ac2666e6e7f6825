/*
 * Stands before the C library in a daemon under test (LD_PRELOAD), and makes a bad day of it:
 *
 *   SHIM_SYNC_MS=N      each fsync, fdatasync and rename takes N milliseconds longer
 *   SHIM_SYNC_FILE=F    … only while the file F exists
 *   SHIM_NO_THREADS=1   no thread can be started
 *   SHIM_MEMORY_FILE=F  while F exists, no memory is given out any more
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static char memory_file[256], sync_file[256];
static long sync_ms;
static bool no_threads;

static void copy(const char *variable, char *out, size_t size) {
    const char *value = getenv(variable);
    snprintf(out, size, "%s", value == NULL ? "" : value);
}

__attribute__((constructor)) static void read_environment(void) {
    const char *ms = getenv("SHIM_SYNC_MS");
    sync_ms = ms == NULL ? 0 : atol(ms);
    no_threads = getenv("SHIM_NO_THREADS") != NULL;
    copy("SHIM_SYNC_FILE", sync_file, sizeof sync_file);
    copy("SHIM_MEMORY_FILE", memory_file, sizeof memory_file);
}

static bool is_out_of_memory(void) {
    int error = errno;
    bool out = memory_file[0] != '\0' && access(memory_file, F_OK) == 0;
    errno = out ? ENOMEM : error;
    return out;
}

void *malloc(size_t size) {
    return is_out_of_memory() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return is_out_of_memory() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return is_out_of_memory() ? NULL : __libc_realloc(old, size);
}

static void take_time(void) {
    struct timespec left = {.tv_sec = sync_ms / 1000, .tv_nsec = sync_ms % 1000 * 1000000};
    if (sync_ms == 0 || (sync_file[0] != '\0' && access(sync_file, F_OK) != 0))
        return;
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

int fsync(int fd) {
    int (*real)(int);
    void *found = next("fsync");
    memcpy(&real, &found, sizeof real);
    take_time();
    return real(fd);
}

int fdatasync(int fd) {
    int (*real)(int);
    void *found = next("fdatasync");
    memcpy(&real, &found, sizeof real);
    take_time();
    return real(fd);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    int (*real)(int, const char *, int, const char *);
    void *found = next("renameat");
    memcpy(&real, &found, sizeof real);
    take_time();
    return real(from_directory, from, to_directory, to);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument) {
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *found = next("pthread_create");
    memcpy(&real, &found, sizeof real);
    return no_threads ? EAGAIN : real(thread, attributes, run, argument);
}
