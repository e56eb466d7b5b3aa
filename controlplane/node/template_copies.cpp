// Level-triggered: what is on the disk and what the store says, each time anew.
#include "controlplane/node/template_copies.h"

#include <chrono>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;

constexpr std::chrono::seconds retry_delay{1};

}  // namespace

void TemplateCopies::look_soon() {
    if (!std::exchange(is_looking_soon_, true)) {
        loop_.post([weak = std::weak_ptr{self_}] {
            if (const auto self = weak.lock()) {
                (*self)->look();
            }
        });
    }
}

void TemplateCopies::look() {
    is_looking_soon_ = false;
    collect_();
    const Objects& objects = mirror_.objects();
    for (const auto& [name, entry] : objects.templates) {
        const std::string& digest = entry.body.digest;
        const auto* const copy = objects.copy_of(name, host_);
        const bool is_told = copy != nullptr && copy->body.digest == digest;
        const std::string key = keys::of(keys::copies, host_, name);
        const store::Revision revision = copy == nullptr ? 0 : copy->revision;
        if (folder_.has(digest) && !is_told) {
            commit({{{key, revision}},
                    {store::Put{key, model::to_json(model::TemplateCopy{digest})}}});
        } else if (!folder_.has(digest) && copy != nullptr) {
            commit({{{key, revision}}, {store::Delete{key}}});
        }
    }
    for (const auto& [name, hosts] : objects.copies) {
        const auto found = hosts.find(host_);
        if (found != hosts.end() && !objects.templates.contains(name)) {
            const std::string key = keys::of(keys::copies, host_, name);
            commit({{{key, found->second.revision}}, {store::Delete{key}}});
        }
    }
}

void TemplateCopies::commit(store::Transaction transaction) {
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
