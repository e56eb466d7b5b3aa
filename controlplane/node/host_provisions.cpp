// Looks at everything anew for each start: nothing is remembered.
#include "controlplane/node/host_provisions.h"

#include <sys/un.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "controlplane/image/image_folder.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/clone_request.h"
#include "controlplane/node/memory_state.h"
#include "controlplane/node/process/launch.h"
#include "controlplane/template/template_folder.h"

namespace shoal::node {

using content::Soundness;

namespace {

// Some 20 microVMs start in it.
constexpr std::chrono::milliseconds memory_interval{100};
// As long as a commit takes.
constexpr std::chrono::milliseconds address_retry{2};
constexpr std::chrono::milliseconds adopt_retry{5};
// A small template is read in 30 ms.
constexpr std::chrono::milliseconds check_retry{10};

const model::Image& image_of(const Mirror& mirror, const std::string& name) {
    const auto& all = mirror.objects().images;
    const auto found = all.find(name);
    if (found == all.end()) {
        throw NotYet{"there is no image " + name};
    }
    return found->second.body;
}

// Throws NotYet unless the files are here, and are what the digest says.
void expect_sound(const Bundles& bundles, const std::string& name, const std::string& copy_name,
                  const std::string& digest) {
    const std::string what = std::string{bundles.folder.kind().name} + " " + name;
    switch (bundles.check.look(digest)) {
        case Soundness::unknown:
            throw NotYet{what + " is being checked", check_retry};
        case Soundness::damaged:
            throw NotYet{"the files of " + what + " are damaged"};
        case Soundness::absent:
            throw NotYet{"the files of " + what +
                         " are not on this host: " + bundles.fetch(copy_name, digest)};
        case Soundness::sound:
            break;
    }
}

}  // namespace

std::vector<network::HostNetworks::Wanted> wanted_networks(const Mirror& mirror) {
    std::vector<network::HostNetworks::Wanted> wanted;
    for (const auto& [name, entry] : mirror.objects().networks) {
        if (const auto subnet = network::parse_subnet(entry.body.subnet)) {
            wanted.push_back({name, *subnet, entry.body.nat});
        }
    }
    return wanted;
}

// In the run folder, so that it goes with it.
std::string HostProvisions::vsock_of(const MicroVm& microvm, const Attempt& attempt) const {
    if (!microvm.spec.vsock) {
        return {};
    }
    std::string path = settings_.run_folder + "/" + to_folder_name(attempt) + "/vsock";
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        throw NotYet{"the path of its vsock socket, " + path + ", has " +
                     std::to_string(path.size()) + " bytes: at most " +
                     std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " are allowed"};
    }
    return path;
}

// What is admitted may use it later than now: who comes then waits.
void HostProvisions::expect_memory() {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_at_memory_ >= memory_interval) {
        looked_at_memory_ = now;
        shortage_ = shortage(read_memory_state(), settings_.reserved_mib);
    }
    if (!shortage_.empty()) {
        throw NotYet{shortage_};
    }
}

void HostProvisions::prepare(const MicroVm& microvm, Launch& launch) {
    expect_memory();
    if (keeper_ != nullptr && is_restorable(microvm)) {
        return become_restored(microvm, launch);
    }
    if (!microvm.spec.from_template.empty()) {
        return become_clone(microvm, launch);
    }
    if (!microvm.spec.kernel.empty()) {
        attach_kernel(microvm, launch);
    } else if (!microvm.spec.image.empty()) {
        attach_image(microvm, launch);
    }
    attach_volumes(microvm, launch);
    if (const auto network = attach_network(microvm)) {
        launch.words.insert(launch.words.begin() + 2, {"--network", network->run_words()});
    }
    if (const std::string vsock = vsock_of(microvm, launch.attempt); !vsock.empty()) {
        // Behind `shoal run`.
        launch.words.insert(launch.words.begin() + 2, {"--vsock", vsock});
    }
}

std::string HostProvisions::image_file(const std::string& name) {
    const std::string& digest = image_of(mirror_, name).digest;
    expect_sound(images_, name, model::copy_name_of_image(name), digest);
    return images::file_in(images_.folder.path_of(digest));
}

std::string HostProvisions::root_of(const MicroVm& microvm) {
    return microvm.spec.image.empty() ? "" : image_file(microvm.spec.image);
}

// Of two values of a variable the last one counts: the microVM's own.
void HostProvisions::attach_image(const MicroVm& microvm, Launch& launch) {
    const std::string root = root_of(microvm);
    const model::Image& image = image_of(mirror_, microvm.spec.image);
    std::vector<std::string>& words = launch.words;
    words.resize(words.size() - microvm.spec.arguments.size() - 1);  // behind "--"
    const auto command = model::command_of(image, microvm.spec.arguments);
    words.insert(words.end(), command.begin(), command.end());
    std::vector<std::string> options{"--root", root};
    if (!image.working_directory.empty()) {
        options.insert(options.end(), {"--workdir", image.working_directory});
    }
    for (const std::string& assignment : image.environment) {
        options.insert(options.end(), {"--env", assignment});
    }
    words.insert(words.begin() + 2, options.begin(), options.end());  // behind `shoal run`
}

void HostProvisions::attach_kernel(const MicroVm& microvm, Launch& launch) {
    const model::MicroVmSpec& spec = microvm.spec;
    std::vector<std::string> options{"--kernel", image_file(spec.kernel)};
    if (!spec.initramfs.empty()) {
        options.insert(options.end(), {"--initramfs", image_file(spec.initramfs)});
    }
    options.insert(options.end(),
                   {"--cmdline",
                    spec.cmdline.empty() ? image_of(mirror_, spec.kernel).cmdline : spec.cmdline});
    if (const std::string root = root_of(microvm); !root.empty()) {
        options.insert(options.end(), {"--root", root});
    }
    launch.words.insert(launch.words.begin() + 2, options.begin(), options.end());
}

// Whoever has processes of any attempt may write to what it has.
void HostProvisions::expect_unused(const MicroVm& microvm, const std::string& volume) const {
    for (const auto& [other, entry] : mirror_.microvms()) {
        const auto& theirs = entry.spec.volumes;
        if (other != microvm.spec.name && std::ranges::find(theirs, volume) != theirs.end() &&
            !runner_.attempts(other).empty()) {
            throw NotYet{"volume " + volume + " is in use by microVM " + other};
        }
    }
}

// Throws NotYet.
std::string HostProvisions::file_of(const model::Volume& volume) const {
    const volumes::VolumeFolder* folder = volumes_.find(volume.storage);
    if (folder == nullptr) {
        throw NotYet{"volume " + volume.name + " is on storage " + volume.storage +
                     ", which this host does not reach"};
    }
    const volumes::VolumeFile file{volume.name, volume.takeovers};
    if (!folder->has(file)) {
        throw NotYet{"the file of volume " + volume.name + " is gone"};
    }
    return folder->path_of(file);
}

// For as long as it is placed here.
void HostProvisions::adopt(const MicroVm& microvm, const Object<model::Volume>& volume) {
    const std::string& name = volume.body.name;
    if (!volume_changes_.is_changing(name)) {
        const std::string placement = model::keys::of(model::keys::placements, microvm.spec.name);
        volume_changes_.adopt(volume.body, settings_.host, volume.revision,
                              {{placement, microvm.placement_revision}},
                              [](const std::optional<VolumeFailure>&) {});
    }
    throw NotYet{"volume " + name + " is being taken from host " + volume.body.host, adopt_retry};
}

void HostProvisions::attach_volumes(const MicroVm& microvm, Launch& launch) {
    group_volumes_.expect(microvm);
    auto at = launch.words.begin() + 2;  // behind `shoal run`
    for (const std::string& name : microvm.spec.volumes) {
        const Object<model::Volume>& record = record_of(mirror_, name);
        const model::Volume& volume = record.body;
        const bool is_elsewhere = volume.host != settings_.host;
        if (is_elsewhere && volume.storage.empty()) {
            throw NotYet{"volume " + name + " is on host " + volume.host};
        }
        expect_unused(microvm, name);
        const std::string file = file_of(volume);
        if (is_elsewhere) {
            adopt(microvm, record);
        }
        // What one host has in its cache the next one does not see.
        at = launch.words.insert(at, {"--disk", file + (volume.storage.empty() ? "" : ",direct")}) +
             2;
    }
}

std::vector<std::string> HostProvisions::disks_of(const MicroVm& microvm) {
    std::vector<std::string> files;
    for (const std::string& name : microvm.spec.volumes) {
        files.push_back(file_of(record_of(mirror_, name).body));
    }
    return files;
}

// Locally administered; as unique as the address is.
std::string HostProvisions::Attached::mac() const {
    std::array<char, 18> text{};
    std::snprintf(text.data(), text.size(), "06:00:%02x:%02x:%02x:%02x", ip >> 24, ip >> 16 & 0xFF,
                  ip >> 8 & 0xFF, ip & 0xFF);
    return text.data();
}

std::string HostProvisions::Attached::run_words() const {
    return "tap=" + tap + ",mac=" + mac() + ",ip=" + network::to_text(ip) + "/" +
           std::to_string(subnet.bits) + ",gateway=" + network::to_text(subnet.gateway());
}

std::string HostProvisions::Attached::boot_words() const {
    return "ip=" + network::to_text(ip) + "::" + network::to_text(subnet.gateway()) + ":" +
           network::to_text(subnet.mask()) + ":::off";
}

std::optional<HostProvisions::Attached> HostProvisions::attach_network(
    const MicroVm& microvm) const {
    const std::string& name = microvm.spec.network;
    if (name.empty()) {
        return std::nullopt;
    }
    const auto all = wanted_networks(mirror_);
    const auto found = std::ranges::find(all, name, &network::HostNetworks::Wanted::name);
    if (found == all.end()) {
        throw NotYet{"there is no network " + name};
    }
    const auto ip = mirror_.objects().address_of(microvm.spec.name, name);
    if (!ip) {
        const auto taken = mirror_.objects().addresses.find(name);
        if (taken != mirror_.objects().addresses.end() &&
            !network::find_free(found->subnet, taken->second)) {
            throw NotYet{"all addresses of network " + name + " are given out"};
        }
        throw NotYet{"it has no address yet", address_retry};
    }
    try {
        return Attached{networks_.attach(microvm.spec.name, *found, all), *ip, found->subnet};
    } catch (const NotYet& reason) {
        throw NotYet{"network " + name + ": " + reason.what(), reason.retry()};
    } catch (const std::runtime_error& error) {
        throw NotYet{"network " + name + ": " + error.what()};
    }
}

std::string HostProvisions::tap_of(const MicroVm& microvm) {
    const auto network = attach_network(microvm);
    return network ? network->tap : "";
}

void HostProvisions::become_clone(const MicroVm& microvm, Launch& launch) const {
    const auto& name = microvm.spec.from_template;
    const auto& all = mirror_.objects().templates;
    const auto found = all.find(name);
    if (found == all.end()) {
        throw NotYet{"there is no template " + name};
    }
    const std::string& digest = found->second.body.digest;
    expect_sound(templates_, name, name, digest);
    const std::string folder = templates_.folder.path_of(digest);
    const auto network = attach_network(microvm);
    const std::string working_set = templates::working_set_in(folder);
    const bool records = !std::filesystem::exists(working_set);
    std::vector<std::string> paths{folder + ",ro"};
    if (records) {
        paths.push_back(templates::working_set_folder_in(folder));
        std::filesystem::create_directory(paths.back());
    }
    become_vmm(launch, paths);
    launch.request = to_request(
        CloneOrder{.state = templates::state_in(folder),
                   .memory = templates::memory_in(folder),
                   .working_set = working_set,
                   .id = microvm.spec.name,
                   .arguments = microvm.spec.arguments,
                   .vsock = vsock_of(microvm, launch.attempt),
                   .network = network ? std::optional{CloneNetwork{network->tap, network->mac(),
                                                                   network->boot_words()}}
                                      : std::nullopt,
                   .is_saved = microvm.spec.on_host_failure == model::HostFailurePolicy::restore,
                   .records = records});
}

// Its memory file may be deleted once it is loaded: it is mapped.
void HostProvisions::become_restored(const MicroVm& microvm, Launch& launch) {
    const auto id = keeper_->expect(microvm.spec.name, microvm);
    const std::string root = root_of(microvm);
    const std::string tap = tap_of(microvm);
    const std::string vsock = vsock_of(microvm, launch.attempt);
    // The last one: its answer is for one start.
    auto volumes = takeover_->expect(microvm, id);
    const std::string state = checkpoint_folder_->state_of(id);
    const std::string memory = checkpoint_folder_->memory_of(id);
    std::vector<std::string> paths{state + ",ro", memory + ",ro"};
    if (!root.empty()) {
        paths.push_back(root + ",ro");
    }
    paths.insert(paths.end(), volumes.begin(), volumes.end());
    become_vmm(launch, paths);
    launch.request = to_request(RestoreOrder{state, memory, vsock, tap, std::move(volumes), root});
}

void HostProvisions::become_vmm(Launch& launch, const std::vector<std::string>& paths) const {
    launch.words = {settings_.vmm, "--level", "Off"};
    if (!settings_.fence.empty()) {
        launch.words.insert(launch.words.end(), {"--fence", settings_.fence, "--api-sock",
                                                 runner_.api_socket_of(launch.attempt)});
    }
    for (const auto& allowed : {runner_.allowed_of(launch.attempt), paths}) {
        const auto words = allow_words(allowed);
        launch.words.insert(launch.words.end(), words.begin(), words.end());
    }
}

void HostProvisions::describe(const MicroVm& microvm, const Attempt& attempt,
                              model::MicroVmStatus& status) const {
    status.vsock = vsock_of(microvm, attempt);
    if (const auto ip = mirror_.objects().address_of(microvm.spec.name, microvm.spec.network)) {
        status.address = network::to_text(*ip);
    }
}

}  // namespace shoal::node
