// SqliteDatabase and SqliteStatement: SQLite's handles, owned. Errors are exceptions.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace shoal::store {

class SqliteError final : public std::runtime_error {
public:
    SqliteError(int code, const std::string& what) : std::runtime_error{what}, code_{code} {}

    // The primary result code: SQLITE_FULL, SQLITE_IOERR, ...
    [[nodiscard]] int code() const noexcept { return code_; }

private:
    int code_;
};

// One thread at a time.
class SqliteDatabase {
public:
    // Opens or creates the file.
    explicit SqliteDatabase(const std::string& path);

    void execute(const char* sql);
    [[nodiscard]] std::int64_t number(const char* sql);
    [[nodiscard]] std::string text(const char* sql);
    [[nodiscard]] bool is_in_transaction() const noexcept;
    [[nodiscard]] sqlite3* get() const noexcept { return handle_.get(); }

private:
    struct Close {
        void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
    };

    std::unique_ptr<sqlite3, Close> handle_;
};

// A prepared statement. Bound text must outlive the last step;
// reset() after the last row that is read.
class SqliteStatement {
public:
    SqliteStatement(SqliteDatabase& database, std::string_view sql);

    SqliteStatement& bind(int idx, std::int64_t value);
    SqliteStatement& bind(int idx, std::string_view text);
    SqliteStatement& bind_null(int idx);

    // True: a row is there. False: done, and ready to be bound again.
    [[nodiscard]] bool step();
    // For what returns no rows.
    void run();
    void reset() noexcept { sqlite3_reset(handle_.get()); }

    [[nodiscard]] std::int64_t number(int column) noexcept;
    [[nodiscard]] std::string text(int column);
    [[nodiscard]] bool is_null(int column) noexcept;

private:
    struct Finalize {
        void operator()(sqlite3_stmt* handle) const noexcept { sqlite3_finalize(handle); }
    };

    void check(int code);

    SqliteDatabase& database_;
    std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

}  // namespace shoal::store
