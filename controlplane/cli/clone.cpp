// Starting clones, and collecting what they print.
#include "controlplane/cli/clone.h"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <boost/json/array.hpp>
#include <cstdio>
#include <memory>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/installation.h"
#include "controlplane/cli/snapshot.h"
#include "controlplane/cli/vmm_process.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

// Each is a process with three descriptors here.
constexpr std::uint64_t clones_max = 10'000;
// More at once load no faster.
constexpr std::size_t loads_max = 32;
// A line that is longer is printed in pieces.
constexpr std::size_t line_max_bytes = 65536;

// A clone's output on stdout in whole lines.
class LineWriter {
public:
    explicit LineWriter(std::string prefix) : prefix_{std::move(prefix)} {}

    void write(std::string_view bytes) {
        for (const char byte : bytes) {
            line_ += byte;
            if (byte == '\n' || line_.size() == line_max_bytes) {
                put_line();
            }
        }
    }
    void finish() {
        if (!line_.empty()) {
            put_line();
        }
    }

private:
    void put_line() {
        if (!prefix_.empty() && !line_.ends_with('\n')) {
            line_ += '\n';  // others' lines follow
        }
        std::fwrite(prefix_.data(), 1, prefix_.size(), stdout);
        std::fwrite(line_.data(), 1, line_.size(), stdout);
        line_.clear();
    }

    std::string prefix_;
    std::string line_;
};

// The microVM's one, by the name that `shoal snapshot` gave it.
void add_network(boost::json::object& body, const NetworkOption& network) {
    body["network_overrides"] = {{{"iface_id", template_interface},
                                  {"host_dev_name", network.tap},
                                  {"guest_mac", network.mac}}};
    body["clone"].as_object()["boot_args"] = network_words(network);
}

class Clone {
public:
    Clone(const CloneOptions& options, std::uint64_t number, const std::string& vmm)
        : id_{std::to_string(number)}, writer_{options.count > 1 ? id_ + ": " : ""}, process_{vmm} {
        boost::json::array args;
        for (const std::string& word : options.words) {
            args.emplace_back(with_id(word, id_));
        }
        boost::json::object body{
            {"snapshot_path", template_state(options.folder)},
            {"mem_backend",
             {{"backend_type", "File"}, {"backend_path", template_memory(options.folder)}}},
            {"clock_realtime", true},
            {"resume_vm", true},
            {"clone", {{"id", id_}, {"args", std::move(args)}}}};
        if (!options.vsock.empty()) {
            body["vsock_override"] = {{"uds_path", options.vsock + id_}};
        }
        if (options.network) {
            add_network(body, network_of_copy(*options.network, number));
        }
        process_.send_put("/snapshot/load", body);
    }

    void expect_loaded() {
        try {
            process_.expect_done();
        } catch (const CliError& error) {
            throw CliError("clone " + id_ + ": " + error.what());
        }
    }

    // -1 once there is no more.
    [[nodiscard]] int output() const noexcept { return has_ended_ ? -1 : process_.output(); }
    void copy_output() {
        std::array<char, 16384> buffer;
        const ssize_t size = ::read(process_.output(), buffer.data(), buffer.size());
        if (size < 0 && errno != EINTR) {
            host::throw_os_error("reading a clone's output");
        }
        if (size == 0) {
            has_ended_ = true;
            writer_.finish();
        } else if (size > 0) {
            writer_.write({buffer.data(), static_cast<std::size_t>(size)});
        }
    }
    [[nodiscard]] int wait() { return process_.wait(); }

private:
    std::string id_;
    LineWriter writer_;
    VmmProcess process_;
    bool has_ended_ = false;
};

using Clones = std::vector<std::unique_ptr<Clone>>;

void copy_outputs(Clones& clones) {
    std::vector<pollfd> watched(clones.size());
    for (std::size_t left = clones.size(); left > 0;) {
        for (std::size_t idx = 0; idx < clones.size(); ++idx) {
            watched[idx] = {clones[idx]->output(), POLLIN, 0};
        }
        if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) {
            host::throw_os_error("poll");
        }
        for (std::size_t idx = 0; idx < clones.size(); ++idx) {
            if (watched[idx].revents != 0) {
                clones[idx]->copy_output();
                left -= clones[idx]->output() < 0 ? 1U : 0U;
            }
        }
        std::fflush(stdout);
    }
}

void allow_descriptors() {
    rlimit limit{};
    host::check_os(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    host::check_os(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

void check(const CloneOptions& options) {
    if (options.count == 0 || options.count > clones_max) {
        throw CliError("clone " + std::to_string(options.count) + ": give 1 to " +
                       std::to_string(clones_max));
    }
    if (options.network) {
        if (options.count > 1 && options.network->tap.find("{}") == std::string::npos) {
            throw CliError("--network: several clones need a TAP each: give tap= a {}");
        }
        static_cast<void>(network_of_copy(*options.network, options.count - 1));  // the last one
    }
}

}  // namespace

int clone(const CloneOptions& options) {
    check(options);
    allow_descriptors();
    const std::string vmm = find_vmm();
    Clones clones;
    std::size_t loaded = 0;
    const auto load_next = [&] { clones[loaded++]->expect_loaded(); };
    for (std::uint64_t number = 0; number < options.count; ++number) {
        clones.push_back(std::make_unique<Clone>(options, number, vmm));
        if (clones.size() - loaded == loads_max) {
            load_next();
        }
    }
    while (loaded < clones.size()) {
        load_next();
    }
    copy_outputs(clones);
    int code = 0;
    for (const auto& each : clones) {
        const int one = each->wait();
        code = code == 0 ? one : code;
    }
    return code;
}

}  // namespace shoal::cli
