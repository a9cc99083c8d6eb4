// A disk that fails on request, below SQLite: see faulty_disk.c.
#ifndef CFAULTYDISK_H
#define CFAULTYDISK_H

/// What SQLite asks of a disk and may be refused.
enum faulty_disk_operation {
    FAULTY_DISK_WRITE = 0,
    FAULTY_DISK_SYNC = 1,
    /// To make the shared memory of a WAL larger.
    FAULTY_DISK_GROW_SHARED_MEMORY = 2
};

/// Puts the faulty disk below every SQLite file that this process opens from now on. Idempotent; returns a result
/// code of SQLite.
int faulty_disk_install(void);

/// From now on, `operation` on files whose path ends in `suffix` fails with the result code `code`, after it has
/// worked `after` times more, and goes on failing until `faulty_disk_mend`. One fault at a time in the whole process.
void faulty_disk_fail(const char *suffix, enum faulty_disk_operation operation, int after, int code);

/// Everything works again. Returns how often something was refused since `faulty_disk_fail`.
int faulty_disk_mend(void);

#endif
