// The copy beside the loop, then one transaction.
#include "controlplane/node/checkpoint/volume_takeover.h"

#include <boost/asio/post.hpp>
#include <chrono>
#include <exception>
#include <filesystem>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/process/child_process.h"
#include "controlplane/node/provisions.h"
#include "devices/host/file_size.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;
using checkpoints::CheckpointId;
using volumes::VolumeFile;

constexpr const char* cp = "/usr/bin/cp";
constexpr std::chrono::milliseconds look_period{20};

// One volume's way.
struct Step {
    std::string drive;  // the checkpoint's file
    VolumeFile volume;
    std::uint64_t size_bytes = 0;
};

// Waits for the disk.
void copy(const Step& step, const checkpoints::CheckpointFolder& checkpoints,
          const volumes::VolumeFolder& volumes) {
    if (std::filesystem::file_size(step.drive) < step.size_bytes) {
        throw std::runtime_error{step.drive + " has less than volume " + step.volume.name};
    }
    checkpoints.expect_room(host::allocated_bytes(step.drive));
    run_child({cp, "--reflink=auto", step.drive, volumes.copy_of(step.volume)});
    volumes.install(step.volume, step.size_bytes);
}

}  // namespace

std::vector<std::string> VolumeTakeover::expect(const MicroVm& microvm, const CheckpointId& id) {
    std::vector<std::string> paths;
    if (microvm.spec.volumes.empty()) {
        return paths;
    }
    Takeover& takeover = takeovers_[microvm.spec.name];
    if (takeover.is_under_way) {
        throw NotYet{"its volumes are being taken over", look_period};
    }
    if (!takeover.failure.empty()) {
        throw NotYet{"its volumes cannot be taken over: " + std::exchange(takeover.failure, {})};
    }
    const bool is_done = std::exchange(takeover.is_done, false) && takeover.id == id &&
                         takeover.placement == microvm.placement_revision;
    if (!is_done) {
        begin(microvm, id);
        throw NotYet{"its volumes are being taken over", look_period};
    }
    for (const std::string& name : microvm.spec.volumes) {
        const model::Volume& volume = record_of(parts_.mirror, name).body;
        const VolumeFile file{name, volume.takeovers};
        if (volume.host != host_ || !parts_.volumes.has(file)) {
            throw NotYet{"volume " + name + " was taken over by host " + volume.host};
        }
        paths.push_back(parts_.volumes.path_of(file));
    }
    return paths;
}

void VolumeTakeover::begin(const MicroVm& microvm, const CheckpointId& id) {
    const std::string& name = microvm.spec.name;
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::placements, name), microvm.placement_revision},
                              {keys::of(keys::checkpoints, name), microvm.checkpoint_revision}};
    std::vector<Step> steps;
    for (const std::string& volume : microvm.spec.volumes) {
        const auto& record = record_of(parts_.mirror, volume);
        model::Volume body = record.body;
        body.host = host_;
        ++body.takeovers;
        const std::string key = keys::of(keys::volumes, volume);
        transaction.conditions.push_back({key, record.revision});
        transaction.operations.emplace_back(store::Put{key, model::to_json(body)});
        steps.push_back({parts_.checkpoints.drive_of(id, steps.size()),
                         {volume, body.takeovers},
                         body.size_mib << 20});
    }
    takeovers_[name] = {microvm.placement_revision, id, true, false, {}};
    boost::asio::post(parts_.workers, [this, weak = std::weak_ptr{self_}, &context = parts_.context,
                                       &checkpoints = parts_.checkpoints, &volumes = parts_.volumes,
                                       name, steps = std::move(steps),
                                       transaction = std::move(transaction)]() mutable {
        std::string failure;
        try {
            for (const Step& step : steps) {
                copy(step, checkpoints, volumes);
            }
        } catch (const std::exception& error) {
            failure = error.what();
        }
        boost::asio::post(
            context, [this, weak, name, failure, transaction = std::move(transaction)]() mutable {
                if (!weak.expired()) {
                    failure.empty() ? commit(name, std::move(transaction)) : end(name, failure);
                }
            });
    });
}

// If it is not known what came of it, the next try sees.
void VolumeTakeover::commit(const std::string& name, store::Transaction transaction) {
    parts_.store.commit(std::move(transaction), [this, weak = std::weak_ptr{self_},
                                                 name](const store::Result<Revision>& result) {
        if (weak.expired()) {
            return;
        }
        if (!result) {
            return end(name, result.error().reason);
        }
        parts_.mirror.when(*result, [this, weak, name] {
            if (!weak.expired()) {
                end(name, {});
            }
        });
    });
}

void VolumeTakeover::end(const std::string& name, const std::string& failure) {
    Takeover& takeover = takeovers_.at(name);
    takeover.is_under_way = false;
    takeover.is_done = failure.empty();
    takeover.failure = failure;
    if (!failure.empty()) {
        host::log(host::LogLevel::warn, name + " has not taken its volumes over: " + failure);
    }
    on_microvm_changed(name);
}

void VolumeTakeover::on_microvm_changed(const std::string& name) {
    const MicroVm* microvm = parts_.mirror.find(name);
    const bool is_here = microvm != nullptr && microvm->placement &&
                         microvm->placement->host == host_ && is_restorable(*microvm);
    if (const auto found = takeovers_.find(name);
        !is_here && found != takeovers_.end() && !found->second.is_under_way) {
        takeovers_.erase(found);
    }
    if (microvm == nullptr || microvm->spec.on_host_failure != model::HostFailurePolicy::restore) {
        return;
    }
    const auto& all = parts_.mirror.objects().volumes;
    for (const std::string& volume : microvm->spec.volumes) {
        const auto record = all.find(volume);
        if (record == all.end() || record->second.body.takeovers == 0) {
            continue;
        }
        const volumes::KnownVolume known{record->second.body.takeovers,
                                         record->second.body.host == host_};
        boost::asio::post(parts_.workers, [&folder = parts_.volumes, volume, known] {
            try {
                folder.delete_stale(volume, known);
            } catch (const std::exception& error) {
                host::log(host::LogLevel::warn, error.what());
            }
        });
    }
}

}  // namespace shoal::node
