/*
 * Stands before all libraries in a daemon under test (LD_PRELOAD) and lets one call fail, once.
 * Which one is said in a file that both the test and the daemon have mapped (FAULTS_FILE): while
 * `until` is n, the n-th call of the kind from now on fails as its line below says.
 * tests/system/faults.py reads the kinds from these lines.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <link.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define KINDS_MAX 128

/* As faults.py unpacks it. */
struct shared {
    atomic_uint kind, until, failed, threads;
    char caller[112]; /* the object and the offset of the call that failed */
    atomic_uint counts[KINDS_MAX];
};

static struct shared *shared;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static void note_caller(const void *address) {
    Dl_info info = {.dli_fname = "?", .dli_fbase = NULL};
    if (address != NULL)
        dladdr(address, &info);
    const char *file = strrchr(info.dli_fname, '/');
    snprintf(shared->caller, sizeof shared->caller, "%s+%#tx", file == NULL ? "?" : file + 1,
             (const char *)address - (const char *)info.dli_fbase - 1);
}

static uintptr_t program_first, program_end;

/* The first object is the program. */
static int find_program(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size, (void)context;
    program_first = UINTPTR_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t first = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD)
            continue;
        program_first = first < program_first ? first : program_first;
        program_end = first + segment->p_memsz;
    }
    return 1;
}

enum whose { OF_THE_PROGRAM, OF_ANYBODY };

static bool is_of(enum whose whose, const void *caller) {
    uintptr_t address = (uintptr_t)caller;
    return whose == OF_ANYBODY || (address >= program_first && address < program_end);
}

static bool fails_now(unsigned kind, enum whose whose, int error, const void *caller) {
    if (shared == NULL || !is_of(whose, caller))
        return false;
    atomic_fetch_add(&shared->counts[kind], 1);
    if (atomic_load(&shared->kind) != kind || atomic_load(&shared->until) == 0 ||
        atomic_fetch_sub(&shared->until, 1) != 1)
        return false;
    note_caller(caller);
    atomic_store(&shared->failed, 1);
    if (error != 0)
        errno = error;
    return true;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *mapped =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        abort();
    close(fd);
    dl_iterate_phdr(find_program, NULL);
    shared = mapped;
    unsetenv("LD_PRELOAD"); /* programs that the daemon starts have nothing to do with it */
    unsetenv("FAULTS_FILE");
}

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

/* The kinds are numbered by the lines that name them, from 1. */
enum { FIRST_KIND = __COUNTER__ };
#define KIND (__COUNTER__ - FIRST_KIND)

#define WORDS long a, long b, long c, long d, long e, long f, long g, long h, long i, long j
typedef long any_function(WORDS);

/* Calls of any function whose arguments are up to ten words: they are passed on as they came, and
 * of a function that has fewer, so is what stands behind them. */
#define FAILS(name, result, error) FAILS_AS(name, KIND, OF_THE_PROGRAM, result, error)
#define FAILS_ANYWHERE(name, result, error) FAILS_AS(name, KIND, OF_ANYBODY, result, error)
#define FAILS_AS(name, number, whose, result, error)                                               \
    enum { kind_##name = number };                                                                 \
    long fault_##name(WORDS) __asm__(#name);                                                       \
    long fault_##name(WORDS) {                                                                     \
        static any_function *function;                                                             \
        if (fails_now(kind_##name, whose, error, __builtin_return_address(0)))                     \
            return result;                                                                         \
        if (function == NULL) {                                                                    \
            void *found = real(#name);                                                             \
            memcpy(&function, &found, sizeof function);                                            \
        }                                                                                          \
        return function(a, b, c, d, e, f, g, h, i, j);                                             \
    }

/* clang-format off */
FAILS(socket, -1, EMFILE)
FAILS(accept4, -1, EMFILE)
FAILS(bind, -1, EADDRINUSE)
FAILS(listen, -1, EADDRINUSE)
FAILS(connect, -1, EADDRNOTAVAIL)
FAILS(setsockopt, -1, ENOBUFS)
FAILS(getsockopt, -1, ENOBUFS)
FAILS(getsockname, -1, ENOBUFS)
FAILS(getnameinfo, EAI_MEMORY, 0)
FAILS(getaddrinfo, EAI_MEMORY, 0)
FAILS(getifaddrs, -1, ENOBUFS)
FAILS(ioctl, -1, ENOTTY)
FAILS(fcntl, -1, EMFILE)
FAILS(pipe2, -1, EMFILE)
FAILS(eventfd, -1, EMFILE)
FAILS_ANYWHERE(epoll_ctl, -1, ENOSPC)
FAILS(poll, -1, ENOMEM)
FAILS(send, -1, ENOBUFS)
FAILS(recv, -1, ENOBUFS)
FAILS(splice, -1, ENOMEM)
FAILS(shutdown, -1, ENOBUFS)
FAILS(read, -1, EIO)
FAILS(open, -1, EMFILE)
FAILS(openat, -1, EMFILE)
FAILS(fsync, -1, EIO)
FAILS(renameat, -1, EIO)
FAILS(posix_spawn, ENOMEM, 0)
FAILS(pthread_create, EAGAIN, 0)
FAILS(getentropy, -1, EIO)
FAILS(getrlimit, -1, EINVAL)
FAILS(__asprintf_chk, -1, ENOMEM)
FAILS(strdup, 0, ENOMEM)
FAILS(strndup, 0, ENOMEM)
FAILS(event_new, 0, ENOMEM)
FAILS(event_add, -1, ENOMEM)
FAILS(evbuffer_new, 0, ENOMEM)
FAILS(evbuffer_add, -1, ENOMEM)
FAILS(evbuffer_pullup, 0, ENOMEM)
FAILS(evbuffer_drain, -1, ENOMEM)
FAILS(evbuffer_write, -1, ENOBUFS)
FAILS(evbuffer_freeze, -1, ENOMEM)
FAILS(evbuffer_unfreeze, -1, ENOMEM)
FAILS(bufferevent_socket_new, 0, ENOMEM)
FAILS(bufferevent_enable, -1, ENOMEM)
FAILS(bufferevent_disable, -1, ENOMEM)
FAILS(bufferevent_write, -1, ENOMEM)
FAILS(RAND_bytes, 0, 0)
FAILS(BIO_new, 0, 0)
FAILS(BIO_write, -1, 0)
FAILS(BIO_ctrl, 0, 0)
FAILS(SSL_new, 0, 0)
FAILS(SSL_do_handshake, -1, 0)
FAILS(SSL_read_ex, 0, 0)
FAILS(SSL_write_ex, 0, 0)
FAILS(SSL_set_ex_data, 0, 0)
FAILS(SSL_SESSION_new, 0, 0)
FAILS(SSL_SESSION_set_cipher, 0, 0)
FAILS(SSL_SESSION_set_protocol_version, 0, 0)
FAILS(SSL_SESSION_set1_master_key, 0, 0)
FAILS(SSL_SESSION_set1_id_context, 0, 0)
FAILS(SSL_CIPHER_find, 0, 0)
FAILS(SSL_CTX_new, 0, 0)
FAILS(SSL_CTX_set_ciphersuites, 0, 0)
FAILS(SSL_CTX_set_alpn_protos, 1, 0)
FAILS(SSL_CTX_set_num_tickets, 0, 0)
FAILS(SSL_CTX_set_max_early_data, 0, 0)
FAILS(SSL_CTX_set_session_id_context, 0, 0)
FAILS(EVP_PBE_scrypt, 0, 0)
FAILS(EVP_KDF_fetch, 0, 0)
FAILS(EVP_KDF_CTX_new, 0, 0)
FAILS(EVP_KDF_derive, 0, 0)
FAILS(EVP_Digest, 0, 0)
FAILS(event_base_new, 0, ENOMEM)
FAILS(json_object, 0, ENOMEM)
FAILS(json_array, 0, ENOMEM)
FAILS(json_string, 0, ENOMEM)
FAILS(json_stringn, 0, ENOMEM)
FAILS(json_integer, 0, ENOMEM)
FAILS(json_dumps, 0, ENOMEM)
FAILS(json_dumpb, 0, ENOMEM)
FAILS(json_loadb, 0, ENOMEM)
FAILS(json_object_update, -1, ENOMEM)
/* clang-format on */

/* --- what takes over something even when it fails, or is not for words alone --- */

#define SPECIAL(name)                                                                              \
    enum { kind_##name = KIND };                                                                   \
    __attribute__((unused)) static bool name##_fails(int error, const void *caller) {              \
        return fails_now(kind_##name, OF_ANYBODY, error, caller);                                  \
    }

SPECIAL(write)
SPECIAL(json_object_set_new)
SPECIAL(json_array_append_new)
SPECIAL(json_pack)
SPECIAL(malloc)
SPECIAL(calloc)
SPECIAL(realloc)

/* To a file, which a disk is behind: an eventfd takes each. */
ssize_t write(int fd, const void *data, size_t len) {
    ssize_t (*function)(int, const void *, size_t);
    void *found = real("write");
    struct stat file;
    memcpy(&function, &found, sizeof function);
    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) &&
        write_fails(ENOSPC, __builtin_return_address(0)))
        return -1;
    return function(fd, data, len);
}

int json_object_set_new(json_t *object, const char *key, json_t *value) {
    int (*function)(json_t *, const char *, json_t *);
    void *found = real("json_object_set_new");
    memcpy(&function, &found, sizeof function);
    if (!json_object_set_new_fails(ENOMEM, __builtin_return_address(0)))
        return function(object, key, value);
    json_decref(value);
    return -1;
}

int json_array_append_new(json_t *array, json_t *value) {
    int (*function)(json_t *, json_t *);
    void *found = real("json_array_append_new");
    memcpy(&function, &found, sizeof function);
    if (!json_array_append_new_fails(ENOMEM, __builtin_return_address(0)))
        return function(array, value);
    json_decref(value);
    return -1;
}

json_t *json_pack(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    json_t *packed = json_vpack_ex(NULL, 0, format, arguments);
    va_end(arguments);
    if (!json_pack_fails(ENOMEM, __builtin_return_address(0)))
        return packed;
    json_decref(packed);
    return NULL;
}

#ifndef WITHOUT_MEMORY /* a sanitizer's runtime has these */
void *malloc(size_t size) {
    return malloc_fails(ENOMEM, __builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return calloc_fails(ENOMEM, __builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return realloc_fails(ENOMEM, __builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
#endif
