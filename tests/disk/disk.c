/*
 * Stands between a program and the files below one directory (LD_PRELOAD; Linux with glibc, 64 bit).
 *
 * POSTERN_DISK_BELOW    the directory, as an absolute path without links
 * POSTERN_DISK_JOURNAL  write down every change below it, in order, across threads; syncs then cost nothing
 * POSTERN_DISK_FAULTS   a directory of faults, looked into at each call: `write`, `sync` and `names` (what is opened
 *                       for writing, created, renamed and removed). Such a file holds
 *                         <errno>       the call fails so
 *                         <errno> <n>   only the n-th call of the process does; a sync that failed fails once more for
 *                                       each other descriptor of its file, as Linux has it
 *                         hold          the call waits until the file says otherwise or is gone
 *
 * A record of the journal is a line, what was written follows those that end in a length:
 *
 *   C <file> <path>               created        M <path>                directory made
 *   W <file> <offset> <length>    written        T <file> <length>       cut or grown
 *   R <from>\t<to>                renamed        L <from>\t<to>          linked
 *   U <path>                      removed        X <path>                directory removed
 *   S <number> F <file>           an fsync of a file begins
 *   S <number> f <file>           an fdatasync of a file begins
 *   S <number> D <path>           a sync of a directory begins
 *   E <number> <errno>            it ended
 *   A <length>                    the program said something on its standard output
 *
 * `sync_file_range` is not in it: it makes nothing durable.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *below, *faults;
static size_t below_length;
static int journal = -1;
static unsigned long syncs;
/* Held while something changes and is written down, so that the journal has the order in which things happened. */
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

enum kind { WRITE, SYNC, NAMES, KINDS };
static const char *const kind_names[KINDS] = { "write", "sync", "names" };
static atomic_ulong calls[KINDS];

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("POSTERN_DISK_JOURNAL");
    below = getenv("POSTERN_DISK_BELOW");
    faults = getenv("POSTERN_DISK_FAULTS");
    below_length = below ? strlen(below) : 0;
    if (path && below)
        journal = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void record(const void *bytes, size_t length, const char *format, ...) {
    char line[2 * PATH_MAX + 64];
    va_list arguments;
    va_start(arguments, format);
    int head = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    struct iovec parts[2] = { { line, (size_t)head }, { (void *)bytes, length } };
    size_t whole = (size_t)head + length;
    if (syscall(SYS_writev, journal, parts, 2) != (ssize_t)whole)
        abort();
}

/* The part of a path that is below the directory; NULL if it is elsewhere. */
static const char *part_below(const char *path) {
    if (!below || strncmp(path, below, below_length) || (path[below_length] && path[below_length] != '/'))
        return NULL;
    return path[below_length] ? path + below_length + 1 : "";
}

static const char *at(int directory, const char *path, char *whole) {
    if (path[0] == '/' || directory == AT_FDCWD)
        return part_below(path);
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, whole, PATH_MAX - 1);
    if (length < 0)
        return NULL;
    snprintf(whole + length, (size_t)(PATH_MAX - length), "/%s", path);
    return part_below(whole);
}

/* What an open file is, if it is below the directory. */
static const char *of(int file, struct stat *found, char *whole) {
    char link[64];
    int before = errno;
    const char *part = NULL;
    if (below && fstat(file, found) == 0 && (S_ISREG(found->st_mode) || S_ISDIR(found->st_mode))) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, whole, PATH_MAX - 1);
        if (length > 0) {
            whole[length] = 0;
            part = part_below(whole);
        }
    }
    errno = before;
    return part;
}

/* Does to a call what its fault says: nothing, waiting, or failing, which is told by -1. */
static int meet(enum kind kind) {
    if (!faults)
        return 0;
    unsigned long number = atomic_fetch_add(&calls[kind], 1) + 1;
    char path[PATH_MAX], text[32];
    snprintf(path, sizeof path, "%s/%s", faults, kind_names[kind]);
    for (;;) {
        int before = errno;
        long file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        errno = before;
        if (file < 0)
            return 0;
        ssize_t length = syscall(SYS_read, file, text, sizeof text - 1);
        syscall(SYS_close, file);
        text[length > 0 ? length : 0] = 0;
        if (strncmp(text, "hold", 4)) {
            int code = 0;
            unsigned long only = 0;
            if (sscanf(text, "%d %lu", &code, &only) < 1 || (only && only != number))
                return 0;
            errno = code;
            return -1;
        }
        usleep(5000);
    }
}

/* ---- what files hold ---- */

static ssize_t change(int file, const struct iovec *parts, int count, off_t offset, int in_place) {
    struct stat found;
    char whole[PATH_MAX];
    const char *part = of(file, &found, whole);
    int told = journal >= 0 && file == STDOUT_FILENO;
    if (part && meet(WRITE))
        return -1;
    int noted = journal >= 0 && (part || told);
    if (noted)
        pthread_mutex_lock(&order);
    if (noted && part && !in_place) {
        int append = fcntl(file, F_GETFL) & O_APPEND;
        fstat(file, &found);
        offset = append ? found.st_size : lseek(file, 0, SEEK_CUR);
    }
    ssize_t done = in_place ? syscall(SYS_pwritev, file, parts, count, (unsigned long)offset, 0UL)
                            : syscall(SYS_writev, file, parts, count);
    if (noted && done > 0) {
        char *bytes = malloc((size_t)done);
        size_t length = 0;
        if (!bytes)
            abort();
        for (int each = 0; each < count && length < (size_t)done; each++) {
            size_t more = parts[each].iov_len;
            if (more > (size_t)done - length)
                more = (size_t)done - length;
            memcpy(bytes + length, parts[each].iov_base, more);
            length += more;
        }
        if (told)
            record(bytes, length, "A %zu\n", length);
        else
            record(bytes, length, "W %lu %ld %zu\n", (unsigned long)found.st_ino, (long)offset, length);
        free(bytes);
    }
    if (noted)
        pthread_mutex_unlock(&order);
    return done;
}

ssize_t write(int file, const void *bytes, size_t length) {
    struct iovec part = { (void *)bytes, length };
    return change(file, &part, 1, 0, 0);
}

ssize_t writev(int file, const struct iovec *parts, int count) { return change(file, parts, count, 0, 0); }

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset) {
    struct iovec part = { (void *)bytes, length };
    return change(file, &part, 1, offset, 1);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset) {
    return pwrite64(file, bytes, length, offset);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t offset) {
    return change(file, parts, count, offset, 1);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset) {
    return change(file, parts, count, offset, 1);
}

int ftruncate64(int file, off64_t length) {
    struct stat found;
    char whole[PATH_MAX];
    const char *part = of(file, &found, whole);
    if (part && meet(WRITE))
        return -1;
    int noted = journal >= 0 && part;
    if (noted)
        pthread_mutex_lock(&order);
    int done = (int)syscall(SYS_ftruncate, file, length);
    if (noted && done == 0)
        record(NULL, 0, "T %lu %ld\n", (unsigned long)found.st_ino, (long)length);
    if (noted)
        pthread_mutex_unlock(&order);
    return done;
}

int ftruncate(int file, off_t length) { return ftruncate64(file, length); }

/* ---- names ---- */

static int open_at(int directory, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    const char *part = at(directory, path, whole);
    int changes = (flags & (O_CREAT | O_TRUNC)) != 0, before = errno;
    /* Linux looks first whether it is there. */
    int found_or_made = (flags & O_CREAT) || syscall(SYS_faccessat, directory, path, F_OK) == 0;
    errno = before;
    if (part && found_or_made && (changes || (flags & O_ACCMODE) != O_RDONLY) && meet(NAMES))
        return -1;
    int noted = journal >= 0 && part && changes;
    if (!noted)
        return (int)syscall(SYS_openat, directory, path, flags, mode);
    pthread_mutex_lock(&order);
    struct stat found;
    int was_there = fstatat(directory, path, &found, 0) == 0;
    errno = before;
    int file = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (file >= 0 && fstat(file, &found) == 0) {
        if (!was_there)
            record(NULL, 0, "C %lu %s\n", (unsigned long)found.st_ino, part);
        else if (flags & O_TRUNC)
            record(NULL, 0, "T %lu 0\n", (unsigned long)found.st_ino);
    }
    pthread_mutex_unlock(&order);
    return file;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPENS(name, before, directory, path)                                                                           \
    int name before {                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        mode_t mode = mode_of(flags, arguments);                                                                       \
        va_end(arguments);                                                                                             \
        return open_at(directory, path, flags, mode);                                                                  \
    }

OPENS(open, (const char *path, int flags, ...), AT_FDCWD, path)
OPENS(open64, (const char *path, int flags, ...), AT_FDCWD, path)
OPENS(openat, (int directory, const char *path, int flags, ...), directory, path)
OPENS(openat64, (int directory, const char *path, int flags, ...), directory, path)

/* Makes one change of names and writes it down. */
#define NAMES_CHANGE(part, call, ...)                                                                                  \
    if ((part) && meet(NAMES))                                                                                         \
        return -1;                                                                                                     \
    if (journal < 0 || !(part))                                                                                        \
        return (int)(call);                                                                                            \
    pthread_mutex_lock(&order);                                                                                        \
    int done = (int)(call);                                                                                            \
    if (done == 0)                                                                                                     \
        record(NULL, 0, __VA_ARGS__);                                                                                  \
    pthread_mutex_unlock(&order);                                                                                      \
    return done

int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    char one[PATH_MAX], other[PATH_MAX];
    const char *source = at(from, old, one), *target = at(to, new, other);
    NAMES_CHANGE(target, syscall(SYS_renameat2, from, old, to, new, flags), "R %s\t%s\n", source ? source : "?", target);
}

int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

int renameat(int from, const char *old, int to, const char *new) { return renameat2(from, old, to, new, 0); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
    char one[PATH_MAX], other[PATH_MAX];
    const char *source = at(from, old, one), *target = at(to, new, other);
    NAMES_CHANGE(target, syscall(SYS_linkat, from, old, to, new, flags), "L %s\t%s\n", source ? source : "?", target);
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int unlinkat(int directory, const char *path, int flags) {
    char whole[PATH_MAX];
    const char *part = at(directory, path, whole);
    NAMES_CHANGE(part, syscall(SYS_unlinkat, directory, path, flags), "%c %s\n", flags & AT_REMOVEDIR ? 'X' : 'U', part);
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int directory, const char *path, mode_t mode) {
    char whole[PATH_MAX];
    const char *part = at(directory, path, whole);
    NAMES_CHANGE(part, syscall(SYS_mkdirat, directory, path, mode), "M %s\n", part);
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* ---- syncs ---- */

/* Files whose sync failed, and of each descriptor how much of that it was told. */
#define DESCRIPTORS 1024
static atomic_ulong failures, told_of[DESCRIPTORS];
static atomic_ulong failed_file;

static int meet_sync(int file, const struct stat *found) {
    int known = file >= 0 && file < DESCRIPTORS && S_ISREG(found->st_mode);
    int failed = meet(SYNC);
    if (failed && known) {
        failed_file = found->st_ino;
        told_of[file] = ++failures;
    } else if (known && failed_file == found->st_ino && told_of[file] < failures) {
        told_of[file] = failures;
        errno = EIO;
        failed = -1;
    }
    return failed;
}

static int sync_one(int file, long number) {
    struct stat found;
    char whole[PATH_MAX];
    const char *part = of(file, &found, whole);
    if (!part)
        return (int)syscall(number, file);
    unsigned long id = 0;
    if (journal >= 0) {
        pthread_mutex_lock(&order);
        id = ++syncs;
        if (S_ISDIR(found.st_mode))
            record(NULL, 0, "S %lu D %s\n", id, part);
        else
            record(NULL, 0, "S %lu %c %lu\n", id, number == SYS_fsync ? 'F' : 'f', (unsigned long)found.st_ino);
        pthread_mutex_unlock(&order);
    }
    int failed = meet_sync(file, &found), code = failed ? errno : 0;
    if (journal < 0)
        return failed ? -1 : (int)syscall(number, file);
    /* The journal is the disk; others may write meanwhile. */
    usleep(200);
    pthread_mutex_lock(&order);
    record(NULL, 0, "E %lu %d\n", id, code);
    pthread_mutex_unlock(&order);
    errno = code;
    return failed;
}

int fsync(int file) { return sync_one(file, SYS_fsync); }

int fdatasync(int file) { return sync_one(file, SYS_fdatasync); }
