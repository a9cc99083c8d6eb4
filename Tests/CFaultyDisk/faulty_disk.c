// A disk that fails on request, below SQLite (https://www.sqlite.org/vfs.html).
//
// A small file system gives a really full disk, but no sync that fails, and no write that fails at one chosen moment of
// a commit. So this stands between SQLite and its own "unix" file system, passes everything on, and refuses the
// chosen operation without doing it.
#include "CFaultyDisk.h"

#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

// A file as SQLite sees it: ours first, the real one behind it in the same allocation.
struct faulty_file {
    sqlite3_file base;
    const char *path;
    sqlite3_file *real;
};

static sqlite3_vfs *unix_vfs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char suffix[512];
    enum faulty_disk_operation operation;
    int after, code, refused;
    int armed;
} fault;

static int ends_in(const char *path, const char *suffix) {
    size_t length = path ? strlen(path) : 0, tail = strlen(suffix);
    return length >= tail && strcmp(path + length - tail, suffix) == 0;
}

// The code to refuse with, or SQLITE_OK.
static int verdict(struct faulty_file *file, enum faulty_disk_operation operation) {
    int code = SQLITE_OK;
    pthread_mutex_lock(&lock);
    if (fault.armed && fault.operation == operation && ends_in(file->path, fault.suffix)) {
        if (fault.after > 0) {
            fault.after--;
        } else {
            fault.refused++;
            code = fault.code;
        }
    }
    pthread_mutex_unlock(&lock);
    return code;
}

#define REAL(file) (((struct faulty_file *)(file))->real)
#define PASS(file, method, ...) REAL(file)->pMethods->method(REAL(file), ##__VA_ARGS__)

static int faulty_close(sqlite3_file *f) { return PASS(f, xClose); }
static int faulty_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) { return PASS(f, xRead, p, n, at); }
static int faulty_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
    int code = verdict((struct faulty_file *)f, FAULTY_DISK_WRITE);
    return code ? code : PASS(f, xWrite, p, n, at);
}
static int faulty_truncate(sqlite3_file *f, sqlite3_int64 size) { return PASS(f, xTruncate, size); }
static int faulty_sync(sqlite3_file *f, int flags) {
    int code = verdict((struct faulty_file *)f, FAULTY_DISK_SYNC);
    return code ? code : PASS(f, xSync, flags);
}
static int faulty_size(sqlite3_file *f, sqlite3_int64 *size) { return PASS(f, xFileSize, size); }
static int faulty_lock(sqlite3_file *f, int level) { return PASS(f, xLock, level); }
static int faulty_unlock(sqlite3_file *f, int level) { return PASS(f, xUnlock, level); }
static int faulty_reserved(sqlite3_file *f, int *result) { return PASS(f, xCheckReservedLock, result); }
static int faulty_control(sqlite3_file *f, int operation, void *p) { return PASS(f, xFileControl, operation, p); }
static int faulty_sector(sqlite3_file *f) { return PASS(f, xSectorSize); }
static int faulty_traits(sqlite3_file *f) { return PASS(f, xDeviceCharacteristics); }
static int faulty_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **p) {
    // Without `extend` SQLite only asks whether the region is there.
    int code = extend ? verdict((struct faulty_file *)f, FAULTY_DISK_GROW_SHARED_MEMORY) : SQLITE_OK;
    return code ? code : PASS(f, xShmMap, region, size, extend, p);
}
static int faulty_shm_lock(sqlite3_file *f, int at, int n, int flags) { return PASS(f, xShmLock, at, n, flags); }
static void faulty_shm_barrier(sqlite3_file *f) { PASS(f, xShmBarrier); }
static int faulty_shm_unmap(sqlite3_file *f, int remove) { return PASS(f, xShmUnmap, remove); }

// Version 2: shared memory, but no memory-mapped reads, which would go past us.
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_reserved,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector,
    .xDeviceCharacteristics = faulty_traits,
    .xShmMap = faulty_shm_map,
    .xShmLock = faulty_shm_lock,
    .xShmBarrier = faulty_shm_barrier,
    .xShmUnmap = faulty_shm_unmap,
};

static int faulty_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out) {
    (void)vfs;
    struct faulty_file *file = (struct faulty_file *)f;
    file->path = path;
    file->real = (sqlite3_file *)(file + 1);
    memset(file->real, 0, unix_vfs->szOsFile);
    int code = unix_vfs->xOpen(unix_vfs, path, file->real, flags, out);
    // Only a file with methods is closed by SQLite.
    file->base.pMethods = file->real->pMethods ? &methods : 0;
    return code;
}

int faulty_disk_install(void) {
    static sqlite3_vfs faulty;
    int code = SQLITE_OK;
    pthread_mutex_lock(&lock);
    if (!unix_vfs) {
        unix_vfs = sqlite3_vfs_find("unix");
        if (!unix_vfs) {
            code = SQLITE_ERROR;
        } else {
            // Everything but opening is the real one's, which finds itself by `pAppData` and not by its address.
            faulty = *unix_vfs;
            faulty.pNext = 0;
            faulty.zName = "faulty-disk";
            faulty.szOsFile = (int)sizeof(struct faulty_file) + unix_vfs->szOsFile;
            faulty.xOpen = faulty_open;
            code = sqlite3_vfs_register(&faulty, 1);
        }
    }
    pthread_mutex_unlock(&lock);
    return code;
}

void faulty_disk_fail(const char *suffix, enum faulty_disk_operation operation, int after, int code) {
    pthread_mutex_lock(&lock);
    strncpy(fault.suffix, suffix, sizeof fault.suffix - 1);
    fault.operation = operation;
    fault.after = after;
    fault.code = code;
    fault.refused = 0;
    fault.armed = 1;
    pthread_mutex_unlock(&lock);
}

int faulty_disk_mend(void) {
    pthread_mutex_lock(&lock);
    int refused = fault.refused;
    fault.armed = 0;
    pthread_mutex_unlock(&lock);
    return refused;
}
