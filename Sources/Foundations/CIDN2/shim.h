// The only door to libidn2's headers: `DomainNames` is the sole importer.
#pragma once
#include <idn2.h>
