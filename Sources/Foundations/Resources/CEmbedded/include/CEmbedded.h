// Files compiled into the binary, so that one binary is all there is to deploy.
#pragma once
#include <stddef.h>

typedef struct {
    const char *_Nonnull path;
    const unsigned char *_Nonnull bytes;
    size_t count;
} tessera_embedded_file;

/// How many files there are.
size_t tessera_embedded_file_count(void);

/// The file at an index below the count; what it points to lives as long as the process.
tessera_embedded_file tessera_embedded_file_at(size_t index);

/// The commit that the binary was made from, or "unknown".
const char *_Nonnull tessera_commit(void);
