// WAL with synchronous=FULL: a transaction that was answered is on the disk.
#include "controlplane/store/sqlite_schema.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::store {

namespace {

// Revision 1 is the empty store, as in etcd. A value that is NULL is a deletion.
constexpr const char* schema = R"(
    BEGIN IMMEDIATE;
    CREATE TABLE changes (
        seq INTEGER PRIMARY KEY,
        key BLOB NOT NULL,
        revision INTEGER NOT NULL,
        created INTEGER NOT NULL,
        lease INTEGER NOT NULL,
        value BLOB
    ) STRICT;
    CREATE UNIQUE INDEX changes_by_key ON changes (key, revision);
    CREATE INDEX changes_by_revision ON changes (revision);
    CREATE INDEX changes_by_lease ON changes (lease) WHERE lease != 0;
    CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl_s INTEGER NOT NULL) STRICT;
    CREATE TABLE compaction (only INTEGER PRIMARY KEY, revision INTEGER NOT NULL) STRICT;
    INSERT INTO compaction VALUES (1, 0);
    PRAGMA user_version = 1;
    COMMIT;
)";

void configure(SqliteDatabase& database, const SqliteOptions& options) {
    // Before the first access in WAL mode: no other process may have the file, and none can.
    database.execute("PRAGMA locking_mode = EXCLUSIVE");
    if (database.text("PRAGMA journal_mode = WAL") != "wal") {
        throw std::runtime_error{"its file system cannot do WAL"};
    }
    database.execute("PRAGMA synchronous = FULL");
    database.execute("BEGIN IMMEDIATE; COMMIT");  // Takes the lock now.
    database.execute(("PRAGMA max_page_count = " + std::to_string(options.max_pages)).c_str());
}

void check_contents(SqliteDatabase& database) {
    const std::string verdict = database.text("PRAGMA integrity_check(1)");
    if (verdict != "ok") {
        throw std::runtime_error{"it is damaged: " + verdict};
    }
    const std::int64_t version = database.number("PRAGMA user_version");
    if (version > schema_version) {
        throw std::runtime_error{"its schema is version " + std::to_string(version) +
                                 "; this program knows up to " + std::to_string(schema_version)};
    }
    if (version == 0) {
        database.execute(schema);
    }
}

void sync_folder(const std::filesystem::path& folder) {
    const host::UniqueFd fd{
        ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    host::check_os(fd.get(), "opening the folder of the backup");
    host::check_os(::fsync(fd.get()), "syncing the folder of the backup");
}

void copy_pages(SqliteDatabase& from, SqliteDatabase& to) {
    sqlite3_backup* backup = sqlite3_backup_init(to.get(), "main", from.get(), "main");
    if (backup != nullptr) {
        sqlite3_backup_step(backup, -1);
        sqlite3_backup_finish(backup);
    }
    if (const int code = sqlite3_errcode(to.get()); code != SQLITE_OK) {
        throw SqliteError{code & 0xff, std::string{"SQLite: "} + sqlite3_errmsg(to.get())};
    }
}

}  // namespace

SqliteDatabase open_database(const SqliteOptions& options) {
    try {
        SqliteDatabase database{options.path};
        configure(database, options);
        check_contents(database);
        return database;
    } catch (const std::runtime_error& error) {
        throw std::runtime_error{"cannot open the store " + options.path + ": " + error.what()};
    }
}

// By links too: the store is used through the file that is there now.
void expect_elsewhere(SqliteDatabase& database, const std::string& path) {
    const std::string store = sqlite3_db_filename(database.get(), "main");
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
        std::error_code ignored;
        if (path == store + suffix || std::filesystem::equivalent(path, store + suffix, ignored)) {
            throw SqliteError{SQLITE_MISUSE,
                              path + " is the store itself: a backup needs another path"};
        }
    }
}

void copy_database(SqliteDatabase& database, const std::string& path) {
    const std::string partial = path + ".partial";
    expect_elsewhere(database, path);
    expect_elsewhere(database, partial);
    std::filesystem::remove(partial);
    try {
        SqliteDatabase copy{partial};
        copy_pages(database, copy);
    } catch (...) {
        std::filesystem::remove(partial);
        throw;
    }
    std::filesystem::rename(partial, path);
    sync_folder(std::filesystem::path{path}.parent_path());
}

}  // namespace shoal::store
