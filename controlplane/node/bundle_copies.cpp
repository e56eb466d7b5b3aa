// Level-triggered: what is on the disk and what the store says, each time anew.
#include "controlplane/node/bundle_copies.h"

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;

constexpr std::chrono::seconds retry_delay{1};
constexpr std::chrono::minutes idle_period{10};
// A host that is lost takes what it has with it.
constexpr std::chrono::minutes longest_silence{1};
// That keep what goes here.
constexpr std::size_t min_keepers = 2;

}  // namespace

void BundleCopies::look_soon() {
    if (!std::exchange(is_looking_soon_, true)) {
        loop_.post([weak = std::weak_ptr{self_}] {
            if (const auto self = weak.lock()) {
                (*self)->look();
            }
        });
    }
}

void BundleCopies::look() {
    is_looking_soon_ = false;
    std::set<std::string> names;
    for (const Kind& kind : kinds_) {
        kind.collect();
        for (const auto& [name, digest] : kind.wanted(mirror_.objects())) {
            tell(name, digest, kind.folder.has(digest));
            names.insert(name);
        }
    }
    for (const auto& [name, hosts] : mirror_.objects().copies) {
        const auto found = hosts.find(host_);
        if (found != hosts.end() && !names.contains(name)) {
            const std::string key = keys::of(keys::copies, host_, name);
            commit({{{key, found->second.revision}}, {store::Delete{key}}});
        }
    }
}

void BundleCopies::tell(const std::string& name, const std::string& digest, bool is_here) {
    const auto* const copy = mirror_.objects().copy_of(name, host_);
    const bool is_told = copy != nullptr && copy->body.digest == digest;
    const std::string key = keys::of(keys::copies, host_, name);
    const store::Revision revision = copy == nullptr ? 0 : copy->revision;
    if (is_here && !is_told) {
        commit({{{key, revision}}, {store::Put{key, model::to_json(model::BundleCopy{digest})}}});
    } else if (!is_here && copy != nullptr) {
        commit({{{key, revision}}, {store::Delete{key}}});
    }
}

void BundleCopies::on_microvm_changed(const std::string& name) {
    if (const MicroVm* microvm = mirror_.find(name)) {
        note_use(*microvm);
    }
}

void BundleCopies::note_use(const MicroVm& microvm) {
    if (!microvm.placement || microvm.placement->host != host_ || has_ended(microvm)) {
        return;
    }
    if (!microvm.spec.from_template.empty()) {
        used_at_[microvm.spec.from_template] = loop_.now();
    }
    for (const std::string& name : microvm.spec.image_names()) {
        used_at_[model::copy_name_of_image(name)] = loop_.now();
    }
}

void BundleCopies::watch_idle() {
    look_for_idle();
    loop_.call_after(idle_period, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->watch_idle();
        }
    });
}

void BundleCopies::look_for_idle() {
    for (const auto& [name, microvm] : mirror_.microvms()) {
        note_use(microvm);
    }
    std::set<std::string> there;
    for (const Kind& kind : kinds_) {
        std::map<std::string, Names> by_digest;  // several may be of the same files
        for (const auto& [name, digest] : kind.wanted(mirror_.objects())) {
            there.insert(name);
            if (kind.folder.has(digest)) {
                used_at_.try_emplace(name, loop_.now());
                by_digest[digest].push_back(name);
            }
        }
        for (auto& [digest, names] : by_digest) {
            if (are_idle(names)) {
                drop(kind, digest, std::move(names));
            }
        }
    }
    std::erase_if(used_at_, [&there](const auto& entry) { return !there.contains(entry.first); });
}

bool BundleCopies::are_idle(const Names& names) const {
    return std::ranges::all_of(names, [this](const std::string& name) {
        const auto used = used_at_.find(name);
        return used == used_at_.end() || loop_.now() - used->second >= longest_idle;
    });
}

bool BundleCopies::is_alive(const std::string& host) const {
    const auto found = mirror_.hosts().find(host);
    return found != mirror_.hosts().end() && found->second.heartbeat_revision != 0 &&
           loop_.now() - found->second.beat_at < longest_silence;
}

// On the condition that the others still have it: of two that drop it at the same time one fails.
void BundleCopies::drop(const Kind& kind, const std::string& digest, Names names) {
    store::Transaction transaction;
    for (const std::string& name : names) {
        const auto* const own = mirror_.objects().copy_of(name, host_);
        std::size_t keepers = 0;
        for (const std::string& host : mirror_.objects().hosts_with(name, digest)) {
            if (host != host_ && is_alive(host) && keepers < min_keepers) {
                ++keepers;
                transaction.conditions.push_back({keys::of(keys::copies, host, name),
                                                  mirror_.objects().copy_of(name, host)->revision});
            }
        }
        if (own == nullptr || keepers < min_keepers) {
            return;
        }
        const std::string key = keys::of(keys::copies, host_, name);
        transaction.conditions.push_back({key, own->revision});
        transaction.operations.emplace_back(store::Delete{key});
    }
    store_.commit(std::move(transaction),
                  [weak = std::weak_ptr{self_}, &folder = kind.folder, digest,
                   names = std::move(names)](const store::Result<store::Revision>& result) {
                      const auto self = weak.lock();
                      if (!self) {
                          return;
                      }
                      if (result && (*self)->are_idle(names)) {
                          (*self)->remove(folder, digest);
                      }
                      // What has been used meanwhile is told of again.
                      (*self)->look_later();
                  });
}

// What stays is told of again.
void BundleCopies::remove(const content::BundleFolder& folder, const std::string& digest) {
    try {
        folder.remove(digest);
    } catch (const std::exception& error) {
        host::log(host::LogLevel::error, error.what());
    }
}

void BundleCopies::commit(store::Transaction transaction) {
    store_.commit(std::move(transaction),
                  [weak = std::weak_ptr{self_}](const store::Result<store::Revision>& result) {
                      const auto self = weak.lock();
                      if (!self || result) {
                          return;
                      }
                      (*self)->look_later();
                  });
}

void BundleCopies::look_later() {
    loop_.call_after(retry_delay, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->look_soon();
        }
    });
}

}  // namespace shoal::node
