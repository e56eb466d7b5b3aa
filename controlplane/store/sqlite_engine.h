// SqliteEngine: what a store does, as statements on one SQLite file. One thread at a time.
//
// The table of changes holds every version of every key, so that a list has a revision and a watch
// a past; what is current is the newest version of a key. Functions that answer with a Result
// throw SqliteError for what the file or the disk does: the caller then rolls back.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "controlplane/store/sqlite_database.h"
#include "controlplane/store/types.h"

namespace shoal::store {

struct SqliteOptions {
    std::string path;
    // The file's limit, beyond which it is "full": 4 GiB, in pages of 4 KiB.
    std::int64_t max_pages = std::int64_t{1} << 20;
    // How many revisions a late watch or list may go back: older ones are compacted.
    Revision kept_revisions = 10'000;
};

class SqliteEngine {
public:
    // Checks the file; throws std::runtime_error with one sentence when it is damaged, newer than
    // this program or in use.
    explicit SqliteEngine(const SqliteOptions& options);
    SqliteEngine(const SqliteEngine&) = delete;
    SqliteEngine& operator=(const SqliteEngine&) = delete;
    ~SqliteEngine() = default;

    void begin();
    void commit();
    void rollback() noexcept;

    [[nodiscard]] Revision revision() const noexcept { return revision_; }
    [[nodiscard]] Revision compacted() const noexcept { return compacted_; }

    [[nodiscard]] Lookup get(const std::string& key);
    [[nodiscard]] Result<Page> list(const ListRequest& request);
    [[nodiscard]] Result<Revision> apply(const Transaction& transaction);
    [[nodiscard]] LeaseId grant(std::chrono::seconds ttl);
    [[nodiscard]] Result<LeaseId> revoke(LeaseId lease);
    [[nodiscard]] Result<Revision> compact(Revision revision);

    // Changes from `from` on, oldest first: about `limit`, but all of the last one's revision.
    [[nodiscard]] std::vector<Event> changes(Revision from, std::size_t limit);
    [[nodiscard]] std::vector<std::pair<LeaseId, std::chrono::seconds>> leases();

    // A copy of the whole store that can be opened, complete or not there at all. Not within a
    // transaction.
    [[nodiscard]] Revision backup(const std::string& path);

private:
    void load();
    [[nodiscard]] bool holds(const Condition& condition);
    [[nodiscard]] bool has_lease(LeaseId lease);
    void change(const Event& event);
    [[nodiscard]] std::optional<Entry> find(const std::string& key, Revision at);

    SqliteDatabase database_;
    SqliteStatement find_;
    SqliteStatement next_key_;
    SqliteStatement insert_;
    SqliteStatement changes_;
    SqliteStatement lease_;
    SqliteStatement keys_of_lease_;
    Revision revision_ = 0;
    Revision compacted_ = 0;
    std::pair<Revision, Revision> before_{0, 0};  // both, when the transaction began
};

}  // namespace shoal::store
