// Level-triggered: what is on the disk and what the store says, each time anew.
#include "controlplane/node/bundle_copies.h"

#include <chrono>
#include <set>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;

constexpr std::chrono::seconds retry_delay{1};

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

void BundleCopies::commit(store::Transaction transaction) {
    store_.commit(std::move(transaction),
                  [weak = std::weak_ptr{self_}](const store::Result<store::Revision>& result) {
                      const auto self = weak.lock();
                      if (!self || result) {
                          return;
                      }
                      (*self)->loop_.call_after(retry_delay, [weak] {
                          if (const auto again = weak.lock()) {
                              (*again)->look_soon();
                          }
                      });
                  });
}

}  // namespace shoal::node
