// What users do to the cluster meanwhile. Never more than half of it is asked for.
#include <algorithm>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/model/volume.h"
#include "tests/sim/world.h"

namespace shoal::sim {

namespace keys = model::keys;
using namespace std::chrono_literals;

void World::put(const std::string& key, const std::string& value) {
    server_.store().put({key, value}, [](const auto&) {});
}

model::MicroVmSpec World::random_spec() {
    model::MicroVmSpec spec;
    spec.program = "/bin/true";
    spec.memory_mib = 64 * (1 + dice_.below(4));
    spec.vcpus = 1 + dice_.below(2);
    spec.priority = static_cast<std::int32_t>(dice_.below(3));
    if (dice_.one_in(3)) {
        spec.on_host_failure = model::HostFailurePolicy::restore;
    }
    return spec;
}

void World::create_single() {
    model::MicroVmSpec spec = random_spec();
    spec.name = "s" + std::to_string(++next_name_);
    if (dice_.one_in(3)) {
        spec.time_limit_s = 1 + dice_.below(20);
    }
    if (dice_.one_in(5)) {
        spec.on_host_failure = model::HostFailurePolicy::none;
    }
    if (dice_.one_in(4)) {
        const std::string& host = hosts_[dice_.below(hosts_.size())]->name();
        put(keys::of(keys::volumes, spec.name), model::to_json(model::Volume{spec.name, 1, host}));
        spec.volumes = {spec.name};
    }
    singles_.push_back(spec.name);
    put(keys::of(keys::microvms, spec.name), model::to_json(spec));
}

void World::create_group(std::uint64_t count) {
    model::Group group;
    group.name = "g" + std::to_string(++next_name_);
    group.count = count;
    group.microvm = random_spec();
    group.spreading = dice_.one_in(2) ? model::Spreading::spread : model::Spreading::bin_pack;
    group.on_suspicion = dice_.one_in(3) ? model::OnSuspicion::replace : model::OnSuspicion::wait;
    // One host may be dead for good, and a replacement may be there beside each of the others.
    if (count * 2 < settings_.hosts && dice_.one_in(2)) {
        group.anti_affinity = model::AntiAffinity::host;
    }
    put(keys::of(keys::groups, group.name), model::to_json(group));
}

void World::change_group() {
    if (groups_.empty() || !settings_.groups_change) {
        return;
    }
    auto chosen =
        std::next(groups_.begin(), static_cast<std::ptrdiff_t>(dice_.below(groups_.size())));
    model::Group group = chosen->second;
    const std::string key = keys::of(keys::groups, group.name);
    if (dice_.one_in(4)) {
        server_.store().remove(key, [](const auto&) {});
    } else if (group.count > 0) {
        const bool is_apart = group.anti_affinity != model::AntiAffinity::none;
        group.count =
            is_apart ? dice_.below(group.count + 1) : dice_.below(group.count * 5 / 4 + 2);
        put(key, model::to_json(group));
    }
}

void World::delete_single() {
    if (!singles_.empty()) {
        std::swap(singles_[dice_.below(singles_.size())], singles_.back());
        if (specs_.contains(singles_.back())) {
            put(keys::of(keys::deletions, singles_.back()), "{}");
        }
        singles_.pop_back();
    }
}

// Jobs of 1 GiB, a third more than fit. Those that ended are deleted.
void World::crowd() {
    for (const std::string& name : std::set<std::string>{finished_}) {
        if (!deletions_.contains(name)) {
            put(keys::of(keys::deletions, name), "{}");
        }
    }
    const std::size_t most = settings_.hosts * 32 * 4 / 3;
    for (std::size_t count = working(); count < most; ++count) {
        model::MicroVmSpec job;
        job.name = "j" + std::to_string(++next_name_);
        job.program = "/bin/true";
        job.memory_mib = 1024;
        job.time_limit_s = 3 + dice_.below(10);
        put(keys::of(keys::microvms, job.name), model::to_json(job));
    }
    timeline_.after(100ms, [this] { crowd(); });
}

void World::user_acts() {
    const auto generation = generation_;
    timeline_.after(dice_.between(50ms, 1s), [this, generation] {
        if (generation != generation_) {
            return;
        }
        const bool is_room = specs_.size() < settings_.hosts * 50;
        switch (dice_.below(is_room ? 6 : 2)) {
            case 0:
                delete_single();
                break;
            case 1:
                change_group();
                break;
            case 2:
                create_group(1 + dice_.below(settings_.hosts));
                break;
            default:
                create_single();
        }
        user_acts();
    });
}

}  // namespace shoal::sim
