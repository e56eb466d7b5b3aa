// What the heartbeat tells, to the agent and to the VMMs.
#include "controlplane/node/membership.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "controlplane/node/process/run_folder.h"
#include "devices/host/log.h"
#include "devices/host/os_error.h"

namespace shoal::node {
namespace {

constexpr const char* epoch_file = "epoch";

host::UniqueFd open_folder(const std::string& path) {
    host::UniqueFd folder{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!folder) {
        host::throw_os_error("cannot open " + path);
    }
    return folder;
}

// Changes with each start of the host: what is kept from the one before is about processes that are
// gone.
std::string boot_id() {
    const host::UniqueFd folder = open_folder("/proc/sys/kernel/random");
    std::string id = read_whole(folder.get(), "boot_id").value_or("");
    id.erase(std::ranges::find(id, '\n'), id.end());
    return id;
}

std::string to_text(model::Epoch epoch) {
    return std::to_string(epoch) + " " + boot_id() + "\n";
}

std::optional<model::Epoch> epoch_in(std::string_view text) {
    model::Epoch epoch = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), epoch);
    const bool is_whole = error == std::errc{} && to_text(epoch) == text;
    return is_whole ? std::optional{epoch} : std::nullopt;
}

}  // namespace

std::string fence_path(const std::string& run_folder) {
    return run_folder + "/fence";
}

Membership::Membership(store::EventLoop& loop, store::Store& store, NodeAgent& agent,
                       HostFacts& facts, const MembershipSettings& settings)
    : agent_{agent},
      facts_{facts},
      host_{settings.host},
      folder_{open_folder(settings.folder)},
      fence_{fence_path(settings.folder), host::DeadlineFile::Access::write},
      heartbeat_{loop, store, settings.host, *this, settings.times} {}

// Where nothing of this start of the host is kept, nor is the deadline: the clock that it is of
// began anew with the host, and it may be days ahead.
void Membership::start() {
    const auto kept = epoch_in(read_whole(folder_.get(), epoch_file).value_or(""));
    if (!kept) {
        fence_.set(0);
    }
    heartbeat_.start(kept);
}

// Kept before anything is started under it.
void Membership::on_joined(model::Epoch epoch) {
    write_whole(folder_.get(), epoch_file, to_text(epoch));
    host::log(host::LogLevel::info, "this host has epoch " + std::to_string(epoch));
    facts_.tell();
    agent_.take(epoch);
}

void Membership::on_name_taken() {
    throw std::runtime_error{"there is a host " + host_ +
                             " in the cluster already, whose shoald is alive: give this one "
                             "another name with --host"};
}

// A shoald before this one may have told a later moment, and VMMs may have seen it.
void Membership::on_extended(failover::Time runs_until) {
    const auto until = static_cast<std::uint64_t>(std::max(failover::Time{}, runs_until).count());
    fence_.set(std::max(fence_.deadline_ns(), until));
}

void Membership::on_lost() {
    host::log(host::LogLevel::error,
              "others have taken this host's epoch: what runs here is stopped for good");
    agent_.give_up([weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->fence_.set(0);
            host::log(host::LogLevel::info, "nothing runs here any more: this host joins anew");
            (*self)->heartbeat_.rejoin();
        }
    });
}

}  // namespace shoal::node
