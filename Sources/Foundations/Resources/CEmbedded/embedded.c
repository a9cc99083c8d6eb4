// A new file needs one EMBED line here and one line in the registry; a test compares the registry with the folder.
// `#embed` is C23, which clang accepts in earlier modes with a warning that is of no use here.
#include "CEmbedded.h"
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char auth_0001_init[] = {
#embed "../../../../migrations/auth_0001_init.sql"
};
static const unsigned char auth_0002_list_and_cleanup_indexes[] = {
#embed "../../../../migrations/auth_0002_list_and_cleanup_indexes.sql"
};
static const unsigned char auth_0003_clients[] = {
#embed "../../../../migrations/auth_0003_clients.sql"
};
static const unsigned char auth_0004_client_tokens_postgres[] = {
#embed "../../../../migrations/auth_0004_client_tokens.postgres.sql"
};
static const unsigned char auth_0004_client_tokens_sqlite[] = {
#embed "../../../../migrations/auth_0004_client_tokens.sqlite.sql"
};
static const unsigned char auth_0005_email_keys[] = {
#embed "../../../../migrations/auth_0005_email_keys.sql"
};
static const unsigned char auth_0006_ring[] = {
#embed "../../../../migrations/auth_0006_ring.sql"
};
static const unsigned char auth_0007_client_ends[] = {
#embed "../../../../migrations/auth_0007_client_ends.sql"
};
static const unsigned char auth_0008_devices[] = {
#embed "../../../../migrations/auth_0008_devices.sql"
};
static const unsigned char auth_0009_retry_keys[] = {
#embed "../../../../migrations/auth_0009_retry_keys.sql"
};
static const unsigned char auth_0010_idempotency_keys[] = {
#embed "../../../../migrations/auth_0010_idempotency_keys.sql"
};
static const unsigned char chat_0001_init[] = {
#embed "../../../../migrations/chat_0001_init.sql"
};
static const unsigned char chat_0002_principals[] = {
#embed "../../../../migrations/chat_0002_principals.sql"
};
static const unsigned char chat_0003_tags_votes_keys[] = {
#embed "../../../../migrations/chat_0003_tags_votes_keys.sql"
};
static const unsigned char chat_0004_live_messages[] = {
#embed "../../../../migrations/chat_0004_live_messages.sql"
};
static const unsigned char chat_0005_usage[] = {
#embed "../../../../migrations/chat_0005_usage.sql"
};
static const unsigned char chat_0006_changes_postgres[] = {
#embed "../../../../migrations/chat_0006_changes.postgres.sql"
};
static const unsigned char chat_0006_changes_sqlite[] = {
#embed "../../../../migrations/chat_0006_changes.sqlite.sql"
};
static const unsigned char chat_0007_search_postgres[] = {
#embed "../../../../migrations/chat_0007_search.postgres.sql"
};
static const unsigned char chat_0007_search_sqlite[] = {
#embed "../../../../migrations/chat_0007_search.sqlite.sql"
};
static const unsigned char chat_0008_tag_counts_postgres[] = {
#embed "../../../../migrations/chat_0008_tag_counts.postgres.sql"
};
static const unsigned char chat_0008_tag_counts_sqlite[] = {
#embed "../../../../migrations/chat_0008_tag_counts.sqlite.sql"
};
static const unsigned char chat_0009_search_index_sqlite[] = {
#embed "../../../../migrations/chat_0009_search_index.sqlite.sql"
};
static const unsigned char chat_0010_returned_tokens[] = {
#embed "../../../../migrations/chat_0010_returned_tokens.sql"
};
static const unsigned char chat_0011_live_siblings[] = {
#embed "../../../../migrations/chat_0011_live_siblings.sql"
};
static const unsigned char chat_0012_siblings_with_tombstones[] = {
#embed "../../../../migrations/chat_0012_siblings_with_tombstones.sql"
};
static const unsigned char chat_0013_votes_of_user[] = {
#embed "../../../../migrations/chat_0013_votes_of_user.sql"
};
static const unsigned char chat_0014_votes_user[] = {
#embed "../../../../migrations/chat_0014_votes_user.sql"
};
static const unsigned char chat_0015_reading_postgres[] = {
#embed "../../../../migrations/chat_0015_reading.postgres.sql"
};
static const unsigned char chat_0015_reading_sqlite[] = {
#embed "../../../../migrations/chat_0015_reading.sqlite.sql"
};
static const unsigned char chat_0016_sidebar[] = {
#embed "../../../../migrations/chat_0016_sidebar.sql"
};
static const unsigned char openapi[] = {
#embed "../../../../openapi.yaml"
};

#define FILE_ENTRY(name, bytes) {name, bytes, sizeof(bytes)}

static const tessera_embedded_file files[] = {
    FILE_ENTRY("migrations/auth_0001_init.sql", auth_0001_init),
    FILE_ENTRY("migrations/auth_0002_list_and_cleanup_indexes.sql", auth_0002_list_and_cleanup_indexes),
    FILE_ENTRY("migrations/auth_0003_clients.sql", auth_0003_clients),
    FILE_ENTRY("migrations/auth_0004_client_tokens.postgres.sql", auth_0004_client_tokens_postgres),
    FILE_ENTRY("migrations/auth_0004_client_tokens.sqlite.sql", auth_0004_client_tokens_sqlite),
    FILE_ENTRY("migrations/auth_0005_email_keys.sql", auth_0005_email_keys),
    FILE_ENTRY("migrations/auth_0006_ring.sql", auth_0006_ring),
    FILE_ENTRY("migrations/auth_0007_client_ends.sql", auth_0007_client_ends),
    FILE_ENTRY("migrations/auth_0008_devices.sql", auth_0008_devices),
    FILE_ENTRY("migrations/auth_0009_retry_keys.sql", auth_0009_retry_keys),
    FILE_ENTRY("migrations/auth_0010_idempotency_keys.sql", auth_0010_idempotency_keys),
    FILE_ENTRY("migrations/chat_0001_init.sql", chat_0001_init),
    FILE_ENTRY("migrations/chat_0002_principals.sql", chat_0002_principals),
    FILE_ENTRY("migrations/chat_0003_tags_votes_keys.sql", chat_0003_tags_votes_keys),
    FILE_ENTRY("migrations/chat_0004_live_messages.sql", chat_0004_live_messages),
    FILE_ENTRY("migrations/chat_0005_usage.sql", chat_0005_usage),
    FILE_ENTRY("migrations/chat_0006_changes.postgres.sql", chat_0006_changes_postgres),
    FILE_ENTRY("migrations/chat_0006_changes.sqlite.sql", chat_0006_changes_sqlite),
    FILE_ENTRY("migrations/chat_0007_search.postgres.sql", chat_0007_search_postgres),
    FILE_ENTRY("migrations/chat_0007_search.sqlite.sql", chat_0007_search_sqlite),
    FILE_ENTRY("migrations/chat_0008_tag_counts.postgres.sql", chat_0008_tag_counts_postgres),
    FILE_ENTRY("migrations/chat_0008_tag_counts.sqlite.sql", chat_0008_tag_counts_sqlite),
    FILE_ENTRY("migrations/chat_0009_search_index.sqlite.sql", chat_0009_search_index_sqlite),
    FILE_ENTRY("migrations/chat_0010_returned_tokens.sql", chat_0010_returned_tokens),
    FILE_ENTRY("migrations/chat_0011_live_siblings.sql", chat_0011_live_siblings),
    FILE_ENTRY("migrations/chat_0012_siblings_with_tombstones.sql", chat_0012_siblings_with_tombstones),
    FILE_ENTRY("migrations/chat_0013_votes_of_user.sql", chat_0013_votes_of_user),
    FILE_ENTRY("migrations/chat_0014_votes_user.sql", chat_0014_votes_user),
    FILE_ENTRY("migrations/chat_0015_reading.postgres.sql", chat_0015_reading_postgres),
    FILE_ENTRY("migrations/chat_0015_reading.sqlite.sql", chat_0015_reading_sqlite),
    FILE_ENTRY("migrations/chat_0016_sidebar.sql", chat_0016_sidebar),
    FILE_ENTRY("openapi.yaml", openapi),
};

size_t tessera_embedded_file_count(void) { return sizeof(files) / sizeof(files[0]); }

tessera_embedded_file tessera_embedded_file_at(size_t index) { return files[index]; }
