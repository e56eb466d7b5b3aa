// What is here is known by name; the disk is looked at once, when this is made.
#include "controlplane/node/checkpoint_keeper.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "controlplane/node/provisions.h"
#include "devices/host/durable.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

using checkpoints::CheckpointFolder;
using checkpoints::CheckpointId;

// Hosts that have it may be back by then; who waits longer begins anew.
constexpr std::chrono::seconds longest_fetch_trouble{20};

bool is_recorded(const CheckpointId& id, const model::Checkpoint& record) {
    return record.placement == id.placement && record.generation == id.generation;
}

}  // namespace

bool is_kept(const CheckpointId& id, const MicroVm* microvm, const std::string& host,
             Revision mirror_at) {
    if (id.placement > mirror_at) {
        return true;  // Whoever has sent it knows more than this host.
    }
    if (microvm == nullptr || microvm->revision == 0) {
        return false;
    }
    const auto& record = microvm->checkpoint;
    if (record && is_recorded(id, *record)) {
        const bool starts_here =
            microvm->placement && microvm->placement->host == host &&
            (!microvm->status || microvm->status->phase == model::Phase::pending);
        return starts_here || std::ranges::find(record->hosts, host) != record->hosts.end();
    }
    // Its record is on its way.
    return microvm->placement_revision == id.placement &&
           (!record || record->placement != id.placement || id.generation > record->generation);
}

CheckpointKeeper::CheckpointKeeper(const Parts& parts, std::string host)
    : parts_{parts}, host_{std::move(host)} {
    const auto ids = parts_.folder.list();
    here_.insert(ids.begin(), ids.end());
}

void CheckpointKeeper::start() {
    for (const Id& id : std::set{here_}) {
        sweep(id.microvm);
    }
}

void CheckpointKeeper::sweep(const std::string& name) {
    const MicroVm* microvm = parts_.mirror.find(name);
    const auto is_unwanted = [&](const Id& id) {
        return !is_kept(id, microvm, host_, parts_.mirror.revision());
    };
    for (auto id = here_.lower_bound({name, 0, 0}); id != here_.end() && id->microvm == name;) {
        if (is_unwanted(*id)) {
            boost::asio::post(parts_.workers,
                              [&folder = parts_.folder, gone = *id] { folder.remove(gone); });
            id = here_.erase(id);
        } else {
            ++id;
        }
    }
    std::erase_if(fetches_, [&](const auto& fetch) {
        return fetch.first.microvm == name && !fetch.second.is_under_way &&
               is_unwanted(fetch.first);
    });
}

void CheckpointKeeper::install(const std::string& partial, const Id& id,
                               const std::optional<Id>& base, Done done) {
    boost::asio::post(parts_.workers, [this, weak = std::weak_ptr{self_}, &context = parts_.context,
                                       &folder = parts_.folder, partial, id, base,
                                       done = std::move(done)]() mutable {
        std::string failure;
        try {
            folder.install(partial, id, base);
        } catch (const std::exception& error) {
            failure = error.what();
        }
        boost::asio::post(context, [this, weak, id, failure, done = std::move(done)]() mutable {
            if (weak.expired()) {
                return;
            }
            if (failure.empty()) {
                here_.insert(id);
            }
            done(failure);
            sweep(id.microvm);
        });
    });
}

CheckpointKeeper::Id CheckpointKeeper::expect(const std::string& name, const MicroVm& microvm) {
    const model::Checkpoint& record = *microvm.checkpoint;
    const Id id{name, record.placement, record.generation};
    if (here_.contains(id)) {
        fetches_.erase(id);
        return id;
    }
    Fetch& fetch = fetches_[id];
    const auto now = parts_.loop.now();
    if (!fetch.is_under_way && fetch.tries >= record.hosts.size() &&
        now - fetch.since > longest_fetch_trouble) {
        throw NoCheckpoint{"no host has given its checkpoint: " + fetch.failure};
    }
    if (!fetch.is_under_way) {
        const std::string host = record.hosts.at(fetch.tries++ % record.hosts.size());
        fetch.since = fetch.tries == 1 ? now : fetch.since;
        this->fetch(id, host);
    }
    throw NotYet{"its checkpoint is being fetched" +
                     (fetch.failure.empty() ? "" : " again: " + fetch.failure),
                 std::chrono::milliseconds{20}};
}

void CheckpointKeeper::fetch(const Id& id, const std::string& host) {
    Fetch& fetch = fetches_.at(id);
    std::string partial;
    try {
        partial = parts_.folder.make_partial();
    } catch (const std::exception& error) {
        fetch.failure = error.what();
        return;
    }
    fetch.is_under_way = true;
    parts_.source.fetch(
        host, id, CheckpointFolder::pack_in(partial),
        [this, weak = std::weak_ptr{self_}, partial, id](const std::string& failure) {
            if (weak.expired()) {
                return;
            }
            if (failure.empty()) {
                return install(partial, id, {},
                               [this, id](const std::string& why) { on_fetched(id, why); });
            }
            host::delete_all(partial);
            on_fetched(id, failure);
        });
}

void CheckpointKeeper::on_fetched(const Id& id, const std::string& failure) {
    Fetch& fetch = fetches_.at(id);
    fetch.is_under_way = false;
    fetch.failure = failure;
    if (!failure.empty()) {
        host::log(host::LogLevel::warn, "cannot fetch checkpoint " + to_text(id) + ": " + failure);
    }
}

}  // namespace shoal::node
