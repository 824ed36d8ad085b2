/* A disk that fails on command: LD_PRELOAD this, and the N-th call that changes anything below one folder
 * fails, from then on or once, or kills its process.
 *
 * FAULT_FOLDER names the folder, FAULT_STATE a file of six 64-bit numbers that driver and victims share:
 *   count   calls so far, over all processes
 *   at      the call to fail, counted from 1; 0 fails none
 *   sticky  whether every later call fails too
 *   error   the errno
 *   kill    whether to die by SIGKILL instead
 *   hits    calls that were failed
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct state {
    long count, at, sticky, error, kill, hits;
};

static struct state *state;
static const char *folder;
static size_t folder_length;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("FAULT_STATE");
    folder = getenv("FAULT_FOLDER");
    if (!path || !folder)
        return;
    folder_length = strlen(folder);
    int descriptor = REAL(open)(path, O_RDWR);
    if (descriptor < 0)
        return;
    void *shared = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    REAL(close)(descriptor);
    if (shared != MAP_FAILED)
        state = shared;
}

static int below(const char *path) {
    return path && state && strncmp(path, folder, folder_length) == 0;
}

static int descriptor_below(int descriptor) {
    char link[64], path[4096];
    if (!state)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return below(path);
}

/* Count one call; true if it is to fail, with errno set. Does not return if it is to kill. */
static int fails(void) {
    long number = __atomic_add_fetch(&state->count, 1, __ATOMIC_SEQ_CST);
    if (!state->at || number < state->at || (number > state->at && !state->sticky))
        return 0;
    __atomic_add_fetch(&state->hits, 1, __ATOMIC_SEQ_CST);
    if (state->kill)
        kill(getpid(), SIGKILL);
    errno = (int)state->error;
    return 1;
}

/* A write that fails has written half. */
ssize_t write(int descriptor, const void *data, size_t size) {
    if (descriptor_below(descriptor) && fails()) {
        int code = errno;
        if (size > 1)
            (void)!REAL(write)(descriptor, data, size / 2);
        errno = code;
        return -1;
    }
    return REAL(write)(descriptor, data, size);
}

int fsync(int descriptor) {
    return descriptor_below(descriptor) && fails() ? -1 : REAL(fsync)(descriptor);
}

/* A close that fails has closed. */
int close(int descriptor) {
    if (descriptor_below(descriptor) && fails()) {
        int code = errno;
        REAL(close)(descriptor);
        errno = code;
        return -1;
    }
    return REAL(close)(descriptor);
}

int ftruncate(int descriptor, off_t size) {
    return descriptor_below(descriptor) && fails() ? -1 : REAL(ftruncate)(descriptor, size);
}

int ftruncate64(int descriptor, off64_t size) {
    return descriptor_below(descriptor) && fails() ? -1 : REAL(ftruncate64)(descriptor, size);
}

int rename(const char *from, const char *to) {
    return below(to) && fails() ? -1 : REAL(rename)(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return below(to) && fails() ? -1 : REAL(renameat)(from_folder, from, to_folder, to);
}

int mkdir(const char *path, mode_t mode) {
    return below(path) && fails() ? -1 : REAL(mkdir)(path, mode);
}

int unlink(const char *path) {
    return below(path) && fails() ? -1 : REAL(unlink)(path);
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & O_CREAT ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                                                     \
    int name(const char *path, int flags, ...) {                       \
        va_list rest;                                                  \
        va_start(rest, flags);                                         \
        mode_t mode = mode_of(flags, rest);                            \
        va_end(rest);                                                  \
        if (flags & O_CREAT && below(path) && fails())                 \
            return -1;                                                 \
        return REAL(name)(path, flags, mode);                          \
    }

OPEN(open)
OPEN(open64)
