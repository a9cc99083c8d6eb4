// The only door to libpq's headers: `StoragePostgres` is the sole importer.
#pragma once
#include <libpq-fe.h>
