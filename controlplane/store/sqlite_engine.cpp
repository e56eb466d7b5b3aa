// Reads and changes the table of changes.
#include "controlplane/store/sqlite_engine.h"

#include <algorithm>
#include <tuple>

#include "controlplane/store/limits.h"
#include "controlplane/store/sqlite_schema.h"

namespace shoal::store {

namespace {

constexpr std::string_view columns_sql =
    "SELECT key, value, created, revision, lease FROM changes ";

std::string select(std::string_view rest) {
    return std::string{columns_sql} + std::string{rest};
}

Entry entry_of(SqliteStatement& row) {
    return {row.text(0), row.text(1), row.number(2), row.number(3), row.number(4)};
}

Event event_of(SqliteStatement& row) {
    return {row.is_null(1) ? Event::Kind::deleted : Event::Kind::put, entry_of(row)};
}

}  // namespace

SqliteEngine::SqliteEngine(const SqliteOptions& options)
    : database_{open_database(options)},
      find_{database_, select("WHERE key = ? AND revision <= ? ORDER BY revision DESC LIMIT 1")},
      next_key_{database_,
                "SELECT key FROM changes WHERE key >= ? AND key < ? ORDER BY key LIMIT 1"},
      insert_{database_,
              "INSERT INTO changes (key, revision, created, lease, value) VALUES (?, ?, ?, ?, ?)"},
      changes_{database_, select("WHERE revision >= ? ORDER BY revision, seq")},
      lease_{database_, "SELECT 1 FROM leases WHERE id = ?"},
      keys_of_lease_{database_, "SELECT DISTINCT key FROM changes WHERE lease = ?"} {
    load();
}

void SqliteEngine::load() {
    compacted_ = database_.number("SELECT revision FROM compaction");
    const Revision newest = database_.number("SELECT max(revision) FROM changes");
    revision_ = std::max({newest, compacted_, Revision{1}});
}

void SqliteEngine::begin() {
    before_ = {revision_, compacted_};
    database_.execute("BEGIN");
}

void SqliteEngine::commit() {
    database_.execute("COMMIT");
    before_ = {revision_, compacted_};  // What fails from now on does not undo this.
}

void SqliteEngine::rollback() noexcept {
    // SQLite has already rolled back after some errors.
    if (database_.is_in_transaction()) {
        sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    std::tie(revision_, compacted_) = before_;
}

std::optional<Entry> SqliteEngine::find(const std::string& key, Revision at) {
    std::optional<Entry> entry;
    if (find_.bind(1, key).bind(2, at).step()) {
        if (!find_.is_null(1)) {
            entry = entry_of(find_);
        }
        find_.reset();
    }
    return entry;
}

Lookup SqliteEngine::get(const std::string& key) {
    return {find(key, revision_), revision_};
}

Result<Page> SqliteEngine::list(const ListRequest& request) {
    const Revision at = request.revision == 0 ? revision_ : request.revision;
    if (at > revision_) {
        return std::unexpected{future_error(at, revision_)};
    }
    if (at < compacted_) {
        return std::unexpected{compacted_error(at, compacted_)};
    }
    Page page{{}, at, false};
    std::string from = begin_of_page(request);
    const std::string end = end_of_prefix(request.prefix);
    std::size_t size_bytes = 0;
    // From key to key, not through the versions of each.
    while (next_key_.bind(1, from).bind(2, end).step()) {
        std::string key = next_key_.text(0);
        next_key_.reset();
        auto entry = find(key, at);
        from = std::move(key) + '\0';
        if (!entry) {
            continue;
        }
        if (page.entries.size() == page_keys(request) || size_bytes > max_page_bytes) {
            page.has_more = true;
            break;
        }
        size_bytes += entry->value.size();
        page.entries.push_back(std::move(*entry));
    }
    return page;
}

bool SqliteEngine::holds(const Condition& condition) {
    const auto entry = find(condition.key, revision_);
    return (entry ? entry->mod_revision : 0) == condition.mod_revision;
}

bool SqliteEngine::has_lease(LeaseId lease) {
    const bool is_there = lease_.bind(1, lease).step();
    lease_.reset();
    return is_there;
}

Result<Revision> SqliteEngine::apply(const Transaction& transaction) {
    for (const Condition& condition : transaction.conditions) {
        if (!holds(condition)) {
            return std::unexpected{Error{Failure::conflict, condition.key + " has changed"}};
        }
    }
    for (const Operation& operation : transaction.operations) {
        const auto* put = std::get_if<Put>(&operation);
        if (put != nullptr && put->lease != 0 && !has_lease(put->lease)) {
            return std::unexpected{Error{Failure::lease_gone, "there is no such lease"}};
        }
    }
    const Revision next = revision_ + 1;
    bool is_changed = false;
    for (const Operation& operation : transaction.operations) {
        const auto before = find(key_of(operation), revision_);
        if (const auto* put = std::get_if<Put>(&operation)) {
            const Revision created = before ? before->create_revision : next;
            change({Event::Kind::put, {put->key, put->value, created, next, put->lease}});
            is_changed = true;
        } else if (before) {
            change({Event::Kind::deleted, {key_of(operation), {}, 0, next, 0}});
            is_changed = true;
        }
    }
    revision_ += is_changed ? 1 : 0;
    return revision_;
}

void SqliteEngine::change(const Event& event) {
    const Entry& entry = event.entry;
    insert_.bind(1, entry.key).bind(2, entry.mod_revision).bind(3, entry.create_revision);
    insert_.bind(4, entry.lease);
    if (event.kind == Event::Kind::put) {
        insert_.bind(5, entry.value);
    } else {
        insert_.bind_null(5);
    }
    insert_.run();
}

LeaseId SqliteEngine::grant(std::chrono::seconds ttl) {
    SqliteStatement statement{database_, "INSERT INTO leases (ttl_s) VALUES (?)"};
    statement.bind(1, ttl.count()).run();
    return sqlite3_last_insert_rowid(database_.get());
}

Result<LeaseId> SqliteEngine::revoke(LeaseId lease) {
    if (!has_lease(lease)) {
        return std::unexpected{Error{Failure::lease_gone, "there is no such lease"}};
    }
    std::vector<std::string> keys;
    keys_of_lease_.bind(1, lease);
    while (keys_of_lease_.step()) {
        keys.push_back(keys_of_lease_.text(0));
    }
    const Revision next = revision_ + 1;
    bool is_changed = false;
    for (const std::string& key : keys) {
        const auto entry = find(key, revision_);
        if (entry && entry->lease == lease) {
            change({Event::Kind::deleted, {key, {}, 0, next, 0}});
            is_changed = true;
        }
    }
    SqliteStatement statement{database_, "DELETE FROM leases WHERE id = ?"};
    statement.bind(1, lease).run();
    revision_ += is_changed ? 1 : 0;
    return lease;
}

Result<Revision> SqliteEngine::compact(Revision revision) {
    if (revision > revision_) {
        return std::unexpected{future_error(revision, revision_)};
    }
    if (revision <= compacted_) {
        return std::unexpected{compacted_error(revision, compacted_)};
    }
    // What a deletion hides goes before the deletion does.
    SqliteStatement superseded{database_,
                               "DELETE FROM changes WHERE revision <= ?1 AND EXISTS (SELECT 1 "
                               "FROM changes AS newer WHERE newer.key = changes.key AND "
                               "newer.revision > changes.revision AND newer.revision <= ?1)"};
    superseded.bind(1, revision).run();
    SqliteStatement deleted{database_, "DELETE FROM changes WHERE revision <= ? AND value IS NULL"};
    deleted.bind(1, revision).run();
    SqliteStatement remember{database_, "UPDATE compaction SET revision = ?"};
    remember.bind(1, revision).run();
    compacted_ = revision;
    return revision;
}

std::vector<Event> SqliteEngine::changes(Revision from, std::size_t limit) {
    std::vector<Event> events;
    changes_.bind(1, from);
    while (changes_.step()) {
        Event event = event_of(changes_);
        if (events.size() >= limit &&
            event.entry.mod_revision != events.back().entry.mod_revision) {
            break;
        }
        events.push_back(std::move(event));
    }
    changes_.reset();
    return events;
}

std::vector<std::pair<LeaseId, std::chrono::seconds>> SqliteEngine::leases() {
    std::vector<std::pair<LeaseId, std::chrono::seconds>> leases;
    SqliteStatement statement{database_, "SELECT id, ttl_s FROM leases"};
    while (statement.step()) {
        leases.emplace_back(statement.number(0), statement.number(1));
    }
    return leases;
}

Revision SqliteEngine::backup(const std::string& path) {
    copy_database(database_, path);
    return revision_;
}

}  // namespace shoal::store
