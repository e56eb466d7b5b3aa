// A listing has a number: answers of an older one are ignored.
#include "controlplane/failover/folder_follower.h"

#include <chrono>
#include <utility>
#include <vector>

namespace shoal::failover {

namespace {

constexpr std::chrono::milliseconds retry_delay{200};

}  // namespace

void FolderFollower::list() {
    watch_.reset();
    is_synced_ = false;
    read_page({}, 0, ++listing_);
}

void FolderFollower::read_page(std::string after, store::Revision at, std::uint64_t listing) {
    store_.list({prefix_, std::move(after), at, 0},
                [weak = std::weak_ptr{self_}, listing](store::Result<store::Page> page) {
                    if (const auto self = weak.lock()) {
                        (*self)->on_page(std::move(page), listing);
                    }
                });
}

void FolderFollower::on_page(store::Result<store::Page> page, std::uint64_t listing) {
    if (listing != listing_) {
        return;
    }
    if (!page) {
        return list_later();
    }
    for (const store::Entry& entry : page->entries) {
        tell(entry);
    }
    if (page->has_more) {
        return read_page(page->entries.back().key, page->revision, listing);
    }
    finish(page->revision);
}

void FolderFollower::list_later() {
    loop_.call_after(retry_delay, [weak = std::weak_ptr{self_}, listing = listing_] {
        const auto self = weak.lock();
        if (self && (*self)->listing_ == listing) {
            (*self)->list();
        }
    });
}

void FolderFollower::finish(store::Revision revision) {
    std::vector<std::string> gone;
    for (const auto& [name, known] : known_) {
        if (known.listing != listing_) {
            gone.push_back(name);
        }
    }
    for (const std::string& name : gone) {
        known_.erase(name);
        listener_.on_gone(name);
    }
    auto watch = store_.watch(prefix_, revision + 1, *this);
    if (!watch) {
        return list_later();
    }
    watch_ = std::move(*watch);
    is_synced_ = true;
    listener_.on_synced();
}

void FolderFollower::tell(const store::Entry& entry) {
    const std::string name = entry.key.substr(prefix_.size());
    Known& known = known_[name];
    known.listing = listing_;
    const store::Revision created = std::exchange(known.created, entry.create_revision);
    if (created != 0 && created != entry.create_revision) {
        listener_.on_gone(name);
    }
    if (std::exchange(known.revision, entry.mod_revision) != entry.mod_revision) {
        listener_.on_entry(name, entry);
    }
}

store::Revision FolderFollower::revision_of(const std::string& name) const {
    const auto found = known_.find(name);
    return found == known_.end() ? 0 : found->second.revision;
}

void FolderFollower::on_changes(std::span<const store::Event> events) {
    for (const store::Event& event : events) {
        if (event.kind == store::Event::Kind::put) {
            tell(event.entry);
            continue;
        }
        const std::string name = event.entry.key.substr(prefix_.size());
        if (known_.erase(name) > 0) {
            listener_.on_gone(name);
        }
    }
}

}  // namespace shoal::failover
