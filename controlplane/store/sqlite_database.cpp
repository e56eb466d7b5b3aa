// Thin: each function is one call of SQLite's and the check of its result.
#include "controlplane/store/sqlite_database.h"

namespace shoal::store {

namespace {

void check(int code, sqlite3* handle) {
    if (code != SQLITE_OK) {
        throw SqliteError{code & 0xff, std::string{"SQLite: "} + sqlite3_errmsg(handle)};
    }
}

}  // namespace

SqliteDatabase::SqliteDatabase(const std::string& path) {
    sqlite3* handle = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
    handle_.reset(handle);
    check(code, handle);
}

void SqliteDatabase::execute(const char* sql) {
    check(sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr), handle_.get());
}

std::int64_t SqliteDatabase::number(const char* sql) {
    SqliteStatement statement{*this, sql};
    return statement.step() ? statement.number(0) : 0;
}

std::string SqliteDatabase::text(const char* sql) {
    SqliteStatement statement{*this, sql};
    return statement.step() ? statement.text(0) : std::string{};
}

bool SqliteDatabase::is_in_transaction() const noexcept {
    return sqlite3_get_autocommit(handle_.get()) == 0;
}

SqliteStatement::SqliteStatement(SqliteDatabase& database, std::string_view sql)
    : database_{database} {
    sqlite3_stmt* handle = nullptr;
    check(sqlite3_prepare_v3(database.get(), sql.data(), static_cast<int>(sql.size()),
                             SQLITE_PREPARE_PERSISTENT, &handle, nullptr));
    handle_.reset(handle);
}

void SqliteStatement::check(int code) {
    store::check(code, database_.get());
}

SqliteStatement& SqliteStatement::bind(int idx, std::int64_t value) {
    check(sqlite3_bind_int64(handle_.get(), idx, value));
    return *this;
}

SqliteStatement& SqliteStatement::bind(int idx, std::string_view text) {
    // Not a null pointer, which would be NULL.
    const char* data = text.empty() ? "" : text.data();
    check(sqlite3_bind_blob64(handle_.get(), idx, data, text.size(), SQLITE_STATIC));
    return *this;
}

SqliteStatement& SqliteStatement::bind_null(int idx) {
    check(sqlite3_bind_null(handle_.get(), idx));
    return *this;
}

bool SqliteStatement::step() {
    const int code = sqlite3_step(handle_.get());
    if (code == SQLITE_ROW) {
        return true;
    }
    check(sqlite3_reset(handle_.get()));
    return false;
}

void SqliteStatement::run() {
    while (step()) {
    }
}

std::int64_t SqliteStatement::number(int column) noexcept {
    return sqlite3_column_int64(handle_.get(), column);
}

std::string SqliteStatement::text(int column) {
    // SAFETY: a blob's bytes are read as the characters they were bound from.
    const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
    return size == 0 ? std::string{} : std::string{data, size};
}

bool SqliteStatement::is_null(int column) noexcept {
    return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

}  // namespace shoal::store
