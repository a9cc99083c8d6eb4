// The commit of the delivered binary. It has a section of its own, so that `make release` (scripts/package-binary) can
// write it into the linked binary: a new commit compiles nothing and links nothing.
#include "CEmbedded.h"

__attribute__((section(".tessera.commit"), used)) static const char commit[64] = "unknown";

const char *tessera_commit(void) { return commit; }
