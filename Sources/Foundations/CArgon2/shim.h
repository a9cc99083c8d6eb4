// The only door to libargon2's headers: `PasswordHashing` is the sole importer.
#pragma once
#include <argon2.h>
