// The SQLite file: opened, checked, and brought to this program's schema.
#pragma once

#include "controlplane/store/sqlite_engine.h"

namespace shoal::store {

inline constexpr std::int64_t schema_version = 1;

// Throws std::runtime_error with one sentence.
[[nodiscard]] SqliteDatabase open_database(const SqliteOptions& options);

// Copies the file while it is open: to a name of its own first, which is then renamed.
void copy_database(SqliteDatabase& database, const std::string& path);

}  // namespace shoal::store
