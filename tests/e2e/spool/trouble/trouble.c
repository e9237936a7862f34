/* Trouble for one process, loaded before its libraries (LD_PRELOAD): a wall clock that is
 * set, and a disk that fails below one folder. What happens now stands in a file that the
 * test writes and this maps. Never changes what a call means to any other file. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* As `trouble.rs` writes it. */
struct control {
    int64_t clock_ms;  /* added to the wall clock */
    uint32_t faults;   /* which there are now */
    uint32_t of_256;   /* how many calls of 256 meet one */
    uint64_t drawn;    /* calls that drew lots: the next number of the sequence */
    uint64_t seed;
    uint64_t dealt;    /* faults so far */
};

enum { WRITE_EIO = 1, WRITE_FULL = 2, WRITE_SHORT = 4, SYNC_EIO = 8, READ_EIO = 16 };

static struct control *control;
static char folder[4096];

/* The function behind ours, looked up once. */
#define REAL(name)                                                                  \
    ({                                                                              \
        static __typeof__(&name) real;                                              \
        if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);               \
        real;                                                                       \
    })

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("TROUBLE_FILE");
    const char *below = getenv("TROUBLE_FOLDER");
    if (!file || !below || strlen(below) >= sizeof folder) return;
    strcpy(folder, below);
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *at = mmap(0, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED) control = at;
}

/* Whether this call on this file meets one of these faults. */
static int meets(int fd, uint32_t faults) {
    struct control *now = control;
    if (!now || !(__atomic_load_n(&now->faults, __ATOMIC_RELAXED) & faults)) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder))) return 0;
    /* splitmix64 of the call's number: one seed, one sequence. */
    uint64_t lot = now->seed + 0x9e3779b97f4a7c15u * __atomic_add_fetch(&now->drawn, 1, __ATOMIC_RELAXED);
    lot = (lot ^ (lot >> 30)) * 0xbf58476d1ce4e5b9u;
    lot = (lot ^ (lot >> 27)) * 0x94d049bb133111ebu;
    if (((lot ^ (lot >> 31)) & 255) >= now->of_256) return 0;
    __atomic_add_fetch(&now->dealt, 1, __ATOMIC_RELAXED);
    return 1;
}

/* How much of `count` bytes is written; -1: nothing, with the reason in `errno`. */
static ssize_t may_write(int fd, size_t count) {
    if (meets(fd, WRITE_EIO)) return errno = EIO, -1;
    if (meets(fd, WRITE_FULL)) return errno = ENOSPC, -1;
    if (count > 1 && meets(fd, WRITE_SHORT)) return (ssize_t)(count / 2);
    return (ssize_t)count;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    ssize_t may = may_write(fd, count);
    return may < 0 ? may : REAL(write)(fd, bytes, (size_t)may);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    ssize_t may = may_write(fd, count);
    return may < 0 ? may : REAL(pwrite64)(fd, bytes, (size_t)may, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return pwrite64(fd, bytes, count, at);
}

ssize_t writev(int fd, const struct iovec *all, int count) {
    ssize_t first = count > 0 ? (ssize_t)all[0].iov_len : 0;
    ssize_t may = may_write(fd, (size_t)first);
    if (may < 0) return may;
    if (may < first) return REAL(write)(fd, all[0].iov_base, (size_t)may);
    return REAL(writev)(fd, all, count);
}

ssize_t pwritev64(int fd, const struct iovec *all, int count, off64_t at) {
    ssize_t first = count > 0 ? (ssize_t)all[0].iov_len : 0;
    ssize_t may = may_write(fd, (size_t)first);
    if (may < 0) return may;
    if (may < first) return REAL(pwrite64)(fd, all[0].iov_base, (size_t)may, at);
    return REAL(pwritev64)(fd, all, count, at);
}

ssize_t pwritev(int fd, const struct iovec *all, int count, off_t at) {
    return pwritev64(fd, all, count, at);
}

int fdatasync(int fd) {
    if (meets(fd, SYNC_EIO)) return errno = EIO, -1;
    return REAL(fdatasync)(fd);
}

int fsync(int fd) {
    if (meets(fd, SYNC_EIO)) return errno = EIO, -1;
    return REAL(fsync)(fd);
}

ssize_t read(int fd, void *into, size_t count) {
    if (meets(fd, READ_EIO)) return errno = EIO, -1;
    return REAL(read)(fd, into, count);
}

ssize_t pread64(int fd, void *into, size_t count, off64_t at) {
    if (meets(fd, READ_EIO)) return errno = EIO, -1;
    return REAL(pread64)(fd, into, count, at);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = REAL(clock_gettime)(clock, now);
    if (!done && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ms = __atomic_load_n(&control->clock_ms, __ATOMIC_RELAXED);
        int64_t ns = now->tv_nsec + ms % 1000 * 1000000;
        now->tv_sec += ms / 1000;
        if (ns >= 1000000000) ns -= 1000000000, now->tv_sec++;
        if (ns < 0) ns += 1000000000, now->tv_sec--;
        now->tv_nsec = ns;
    }
    return done;
}

time_t time(time_t *into) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict into, void *restrict zone) {
    (void)zone;
    struct timespec now = {0};
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    into->tv_sec = now.tv_sec;
    into->tv_usec = now.tv_nsec / 1000;
    return 0;
}
