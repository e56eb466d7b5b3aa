// One function for each kind of object.
#include "controlplane/api/references.h"

#include <algorithm>
#include <set>

#include "controlplane/model/keys.h"
#include "controlplane/node/clone_request.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;

void resolve_template(const Service& service, model::MicroVmSpec& spec) {
    const auto& all = service.mirror.objects().templates;
    const auto found = all.find(spec.from_template);
    if (found == all.end()) {
        throw Problem{422, "there is no template " + spec.from_template};
    }
    const model::Template& from = found->second.body;
    if (!spec.environment.empty()) {
        throw Problem{422,
                      "a clone has the environment of its template: microvm.environment must "
                      "be empty"};
    }
    if (spec.exec && !from.exec) {
        throw Problem{422, "template " + from.name + " does not offer exec"};
    }
    if (spec.vsock && !from.vsock) {
        throw Problem{422, "template " + from.name + " has no vsock device"};
    }
    if (from.network && spec.network.empty()) {
        throw Problem{422, "template " + from.name +
                               " has a network device: microvm.network must say which network"};
    }
    if (!from.network && !spec.network.empty()) {
        throw Problem{422, "template " + from.name + " has no network device"};
    }
    std::size_t bytes = spec.name.size() + 1;
    for (const std::string& argument : spec.arguments) {
        bytes += argument.size() + 1;
    }
    if (bytes > node::max_clone_words_bytes) {
        throw Problem{422, "a clone's name and arguments have " + std::to_string(bytes) +
                               " bytes: " + std::to_string(node::max_clone_words_bytes) +
                               " are allowed"};
    }
    spec.memory_mib = from.memory_mib;
    spec.vcpus = from.vcpus;
    spec.vsock = from.vsock;
    spec.exec = from.exec;
}

std::string text_of(model::ImageKind kind) {
    switch (kind) {
        case model::ImageKind::root:
            return "a root";
        case model::ImageKind::kernel:
            return "a kernel";
        case model::ImageKind::initramfs:
            return "an initramfs";
    }
    return {};
}

// Null: no image is named.
const model::Image* expect_image(const Service& service, const std::string& field,
                                 const std::string& name, model::ImageKind kind) {
    if (name.empty()) {
        return nullptr;
    }
    const auto& all = service.mirror.objects().images;
    const auto found = all.find(name);
    if (found == all.end()) {
        throw Problem{422, "there is no image " + name};
    }
    const model::Image& image = found->second.body;
    if (image.kind != kind) {
        throw Problem{422, "image " + name + " is " + text_of(image.kind) + ": " + field +
                               " must be " + text_of(kind)};
    }
    return &image;
}

void check_images(const Service& service, const model::MicroVmSpec& spec) {
    using enum model::ImageKind;
    const model::Image* image = expect_image(service, "microvm.image", spec.image, root);
    if (expect_image(service, "microvm.kernel", spec.kernel, kernel) == nullptr &&
        image != nullptr && model::command_of(*image, spec.arguments).empty()) {
        throw Problem{422,
                      "image " + spec.image + " does not say what to run: microvm.arguments must"};
    }
    static_cast<void>(expect_image(service, "microvm.initramfs", spec.initramfs, initramfs));
}

// What the unikernel and its agent do for a program.
void check_kernel(const model::MicroVmSpec& spec) {
    if (spec.kernel.empty()) {
        return;
    }
    if (!spec.arguments.empty() || !spec.environment.empty()) {
        throw Problem{422,
                      "a microVM with a kernel of its own has no arguments and no environment: "
                      "microvm.cmdline is all that it is told"};
    }
    if (spec.exec) {
        throw Problem{422,
                      "a microVM with a kernel of its own cannot have exec: with vsock, commands "
                      "can be run in it once its guest has started shoal-exec-agent"};
    }
}

void check_network(const Service& service, const model::MicroVmSpec& spec) {
    if (spec.network.empty()) {
        return;
    }
    if (!service.mirror.objects().networks.contains(spec.network)) {
        throw Problem{422, "there is no network " + spec.network};
    }
}

// Those on storages can be reached by others, too.
void check_host_of_volumes(const std::map<std::string, node::Object<model::Volume>>& volumes,
                           const std::vector<std::string>& names) {
    const model::Volume* first = nullptr;
    for (const std::string& name : names) {
        const model::Volume& volume = volumes.at(name).body;
        if (!volume.storage.empty()) {
            continue;
        }
        first = first == nullptr ? &volume : first;
        if (volume.host != first->host) {
            throw Problem{422, "volume " + first->name + " is on host " + first->host +
                                   ", volume " + name + " on host " + volume.host +
                                   ": a microVM's volumes must be on one host"};
        }
    }
}

void check_volumes(const Service& service, const model::MicroVmSpec& spec) {
    if (!spec.volumes.empty() && !spec.from_template.empty()) {
        throw Problem{422, "a clone has the disks of its template: microvm.volumes must be empty"};
    }
    const auto& volumes = service.mirror.objects().volumes;
    const std::set<std::string> names{spec.volumes.begin(), spec.volumes.end()};
    if (names.size() != spec.volumes.size()) {
        throw Problem{422, "microvm.volumes names a volume twice"};
    }
    for (const std::string& name : spec.volumes) {
        if (!volumes.contains(name)) {
            throw Problem{422, "there is no volume " + name};
        }
        if (const std::string user = user_of_volume(service, name, spec.name); !user.empty()) {
            throw Problem{409, "volume " + name + " is attached to microVM " + user};
        }
    }
    check_host_of_volumes(volumes, spec.volumes);
}

constexpr std::uint64_t restored_volume_mib = 1 << 20;  // a checkpoint's limit, exclusive
constexpr const char* restored_storage =
    " is on a storage, where it goes on from what it is, not from a checkpoint: on_host_failure "
    "must be restart or none";

void check_claims(const model::Group& group) {
    if (!group.microvm.from_template.empty()) {
        throw Problem{422, "a clone has the disks of its template: group.volumes must be empty"};
    }
    if (group.on_suspicion == model::OnSuspicion::replace) {
        throw Problem{422,
                      "a group with volumes cannot have on_suspicion replace: who stands in for a "
                      "member does not have its volumes"};
    }
    const std::string last = std::to_string(group.count == 0 ? 0 : group.count - 1);
    std::set<std::string> names;
    for (const model::VolumeClaim& claim : group.volumes) {
        if (!names.insert(claim.name).second) {
            throw Problem{422, "group.volumes names " + claim.name + " twice"};
        }
        const std::string name = model::volume_of(group.name + "-" + last, claim);
        if (!model::is_name(name)) {
            throw Problem{400, "group.volumes: the name " + name + " has " +
                                   std::to_string(name.size()) + " bytes: 63 are allowed"};
        }
        const bool is_restored = group.microvm.on_host_failure == model::HostFailurePolicy::restore;
        if (is_restored && claim.size_mib >= restored_volume_mib) {
            throw Problem{422, "group.volumes: " + claim.name +
                                   " has 1 TiB or more: microVMs with on_host_failure restore "
                                   "cannot have it"};
        }
        if (is_restored && !claim.storage.empty()) {
            throw Problem{422, "group.volumes: " + claim.name + restored_storage};
        }
    }
}

void check_checkpoint(const Service& service, const model::MicroVmSpec& spec) {
    const bool is_restored = spec.on_host_failure == model::HostFailurePolicy::restore;
    const auto& volumes = service.mirror.objects().volumes;
    for (const std::string& name : spec.volumes) {
        if (is_restored && volumes.at(name).body.size_mib >= restored_volume_mib) {
            throw Problem{422, "volume " + name +
                                   " has 1 TiB or more: a microVM with on_host_failure restore "
                                   "cannot have it"};
        }
        if (is_restored && !volumes.at(name).body.storage.empty()) {
            throw Problem{422, "volume " + name + restored_storage};
        }
    }
    if (!is_restored && spec.checkpoint) {
        throw Problem{422, "microvm.checkpoint needs on_host_failure restore"};
    }
}

}  // namespace

std::string user_of_volume(const Service& service, const std::string& volume,
                           const std::string& except) {
    for (const auto& [name, microvm] : service.mirror.microvms()) {
        if (microvm.revision != 0 && name != except && !has_ended(microvm) &&
            std::ranges::find(microvm.spec.volumes, volume) != microvm.spec.volumes.end()) {
            return name;
        }
    }
    return {};
}

std::string user_of(const Service& service,
                    const std::function<bool(const model::MicroVmSpec& spec)>& refers) {
    for (const auto& [name, microvm] : service.mirror.microvms()) {
        if (!has_ended(microvm) && refers(microvm.spec)) {
            return "microVM " + name;
        }
    }
    for (const auto& [name, entry] : service.mirror.groups()) {
        if (refers(entry.group.microvm)) {
            return "group " + name;
        }
    }
    return {};
}

void resolve_members(const Service& service, model::Group& group) {
    model::MicroVmSpec& spec = group.microvm;
    if (!spec.volumes.empty()) {
        throw Problem{422,
                      "group.microvm.volumes must be empty, since a volume has one microVM at a "
                      "time: group.volumes gives each member its own"};
    }
    resolve(service, spec);
    if (!group.volumes.empty()) {
        check_claims(group);
    }
}

void resolve(const Service& service, model::MicroVmSpec& spec) {
    if (spec.stop) {
        throw Problem{422, "microvm.stop is set by stopping it alone"};
    }
    check_kernel(spec);
    spec.vsock = spec.vsock || spec.exec;
    check_network(service, spec);
    check_volumes(service, spec);
    check_checkpoint(service, spec);
    if (!spec.from_template.empty()) {
        resolve_template(service, spec);
    }
    check_images(service, spec);
}

void add_conditions(const Service& service, const model::MicroVmSpec& spec,
                    store::Transaction& transaction) {
    const auto& templates = service.mirror.objects().templates;
    if (const auto found = templates.find(spec.from_template); found != templates.end()) {
        transaction.conditions.push_back(
            {keys::of(keys::templates, spec.from_template), found->second.revision});
    }
    const auto& images = service.mirror.objects().images;
    for (const std::string& name : spec.image_names()) {
        if (const auto found = images.find(name); found != images.end()) {
            transaction.conditions.push_back(
                {keys::of(keys::images, name), found->second.revision});
        }
    }
    const auto& networks = service.mirror.objects().networks;
    if (const auto found = networks.find(spec.network); found != networks.end()) {
        transaction.conditions.push_back(
            {keys::of(keys::networks, spec.network), found->second.revision});
    }
    const auto& volumes = service.mirror.objects().volumes;
    for (const std::string& name : spec.volumes) {
        if (const auto found = volumes.find(name); found != volumes.end()) {
            transaction.conditions.push_back(
                {keys::of(keys::volumes, name), found->second.revision});
        }
    }
}

}  // namespace shoal::rest
