// What is here is known by name; the disk is looked at once, when this is made.
#include "controlplane/node/checkpoint/checkpoint_keeper.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <exception>
#include <iterator>
#include <utility>

#include "controlplane/node/checkpoint/checkpoint_hosts.h"
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
    if (microvm->is_damaged() || (microvm->checkpoint_revision != 0 && !record)) {
        return true;  // Nobody knows.
    }
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
            sound_.erase(*id);
            id = here_.erase(id);
        } else {
            ++id;
        }
    }
    if (microvm != nullptr && microvm->status && microvm->status->phase == model::Phase::running) {
        // For the next start it is checked anew.
        std::erase_if(sound_, [&](const Id& id) { return id.microvm == name; });
    }
    std::erase_if(fetches_, [&](const auto& fetch) {
        return fetch.first.microvm == name && !fetch.second.is_under_way &&
               is_unwanted(fetch.first);
    });
}

void CheckpointKeeper::work(std::move_only_function<void()> what, OnOutcome done) {
    boost::asio::post(parts_.workers, [weak = std::weak_ptr{self_}, &context = parts_.context,
                                       what = std::move(what), done = std::move(done)]() mutable {
        Outcome outcome;
        try {
            what();
        } catch (const checkpoints::Damage& damage) {
            outcome = {damage.what(), true};
        } catch (const std::exception& error) {
            outcome = {.failure = error.what(), .is_local = true};
        }
        boost::asio::post(context,
                          [weak, outcome = std::move(outcome), done = std::move(done)]() mutable {
                              if (!weak.expired()) {
                                  done(outcome);
                              }
                          });
    });
}

void CheckpointKeeper::install(const std::string& partial, const Id& id,
                               const std::optional<Id>& base, std::size_t drives, Done done) {
    work([&folder = parts_.folder, partial, id, base,
          drives] { folder.install(partial, id, base, drives); },
         [this, id, done = std::move(done)](const Outcome& outcome) mutable {
             if (outcome.failure.empty()) {
                 here_.insert(id);
             }
             done(outcome.failure);
             sweep(id.microvm);
         });
}

CheckpointKeeper::Id CheckpointKeeper::expect(const std::string& name, const MicroVm& microvm) {
    const model::Checkpoint& record = *microvm.checkpoint;
    const Id id{name, record.placement, record.generation};
    if (sound_.contains(id)) {
        fetches_.erase(id);
        return id;
    }
    Fetch& fetch = fetches_[id];
    fetch.drives = microvm.spec.volumes.size();
    fetch.is_patient = !are_reachable(microvm.spec.volumes);
    if (!fetch.is_under_way) {
        go_on(id, record.hosts);
    }
    const std::string& failure = fetches_.at(id).failure;
    throw NotYet{here_.contains(id) ? "its checkpoint is being checked"
                                    : "its checkpoint is being fetched" +
                                          (failure.empty() ? "" : " again: " + failure),
                 std::chrono::milliseconds{20}};
}

// Where they are, by the host that has them.
bool CheckpointKeeper::are_reachable(const std::vector<std::string>& volumes) const {
    const auto& all = parts_.mirror.objects().volumes;
    const auto& hosts = parts_.mirror.hosts();
    return std::ranges::all_of(volumes, [&](const std::string& name) {
        const auto volume = all.find(name);
        const auto host = volume == all.end() ? hosts.end() : hosts.find(volume->second.body.host);
        return host != hosts.end() && is_reachable(host->second, parts_.loop.now());
    });
}

// From one host after the other, those whose copy is damaged left out.
void CheckpointKeeper::go_on(const Id& id, const std::vector<std::string>& hosts) {
    if (here_.contains(id)) {
        return check(id);
    }
    Fetch& state = fetches_.at(id);
    std::vector<std::string> others;
    std::ranges::copy_if(hosts, std::back_inserter(others), [&](const std::string& host) {
        return host != host_ && !state.damaged.contains(host);
    });
    const auto now = parts_.loop.now();
    const bool is_late = !state.is_patient && state.refusals >= hosts.size() &&
                         now - state.since > longest_fetch_trouble;
    if (others.empty() || is_late) {
        throw NoCheckpoint{state.failure.empty()
                               ? "the only host that had its checkpoint has it no more"
                               : "no host has given its checkpoint: " + state.failure};
    }
    state.since = state.refusals == 0 ? now : state.since;
    fetch(id, others[state.refusals % others.size()]);
}

void CheckpointKeeper::check(const Id& id) {
    fetches_.at(id).is_under_way = true;
    work([&folder = parts_.folder, id] { folder.expect_sound(id); },
         [this, id](const Outcome& outcome) {
             if (!outcome.failure.empty() && here_.erase(id) != 0) {
                 work([&folder = parts_.folder, id] { folder.remove(id); }, [](const Outcome&) {});
             }
             on_fetched(id, host_, outcome);
         });
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
        [this, weak = std::weak_ptr{self_}, partial, id,
         host](const CheckpointSource::Answer& answer) {
            if (weak.expired()) {
                return;
            }
            if (!answer.failure.empty()) {
                host::delete_all(partial);
                return on_fetched(id, host, {answer.failure, false, answer.is_local});
            }
            work([&folder = parts_.folder, partial, id,
                  drives = fetches_.at(id).drives] { folder.adopt(partial, id, drives); },
                 [this, id, host](const Outcome& outcome) { on_fetched(id, host, outcome); });
        });
}

void CheckpointKeeper::on_fetched(const Id& id, const std::string& host, const Outcome& outcome) {
    Fetch& fetch = fetches_.at(id);
    fetch.is_under_way = false;
    fetch.failure = outcome.failure;
    if (outcome.failure.empty()) {
        here_.insert(id);
        sound_.insert(id);
        return sweep(id.microvm);
    }
    fetch.refusals += outcome.is_local ? 0 : 1;
    if (outcome.is_damage) {
        fetch.damaged.insert(host);
        fetch.failure = "the copy of host " + host + " is damaged: " + outcome.failure;
    }
    host::log(host::LogLevel::warn,
              "cannot go on from checkpoint " + to_text(id) + ": " + fetch.failure);
}

}  // namespace shoal::node
