// FolderFollower: what is under a prefix of the store, and each change of it, from one list and one
// watch. Lists again where a watch may have missed something.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "controlplane/store/event_loop.h"
#include "controlplane/store/store.h"

namespace shoal::failover {

// On the loop's thread. Must not destroy the follower.
class FolderListener {
public:
    virtual ~FolderListener() = default;
    // New or changed. `name` is the key without the prefix.
    virtual void on_entry(const std::string& name, const store::Entry& entry) = 0;
    // Also before on_entry() of another one of this name, whose absence was not seen.
    virtual void on_gone(const std::string& name) = 0;
    // All that was there when it was listed has been told.
    virtual void on_synced() = 0;
};

class FolderFollower final : private store::Watcher {
public:
    // Borrows all but the prefix.
    FolderFollower(store::EventLoop& loop, store::Store& store, std::string prefix,
                   FolderListener& listener)
        : loop_{loop}, store_{store}, prefix_{std::move(prefix)}, listener_{listener} {}
    FolderFollower(const FolderFollower&) = delete;
    FolderFollower& operator=(const FolderFollower&) = delete;
    ~FolderFollower() override = default;

    // Also again, when an answer was lost: everything is listed anew.
    void list();
    [[nodiscard]] bool is_synced() const noexcept { return is_synced_; }
    // 0: it is not there.
    [[nodiscard]] store::Revision revision_of(const std::string& name) const;

private:
    struct Known {
        store::Revision revision = 0;
        store::Revision created = 0;
        std::uint64_t listing = 0;  // in which it was seen last
    };

    void read_page(std::string after, store::Revision at, std::uint64_t listing);
    void on_page(store::Result<store::Page> page, std::uint64_t listing);
    void finish(store::Revision revision);
    void list_later();
    void tell(const store::Entry& entry);

    void on_changes(std::span<const store::Event> events) override;
    void on_compacted(store::Revision) override { list(); }
    void on_reconnected() override { list(); }

    store::EventLoop& loop_;
    store::Store& store_;
    std::string prefix_;
    FolderListener& listener_;
    std::unordered_map<std::string, Known> known_;  // by name
    std::unique_ptr<store::Watch> watch_;
    std::uint64_t listing_ = 0;
    bool is_synced_ = false;
    // What waits in the loop finds the follower gone.
    std::shared_ptr<FolderFollower*> self_ = std::make_shared<FolderFollower*>(this);
};

}  // namespace shoal::failover
