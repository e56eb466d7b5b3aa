// Starting clones, and collecting what they print.
#include "controlplane/cli/clone.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <cstdio>
#include <memory>
#include <span>
#include <utility>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/installation.h"
#include "controlplane/cli/snapshot.h"
#include "controlplane/cli/vmm_process.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::cli {
namespace {

// Each is a process with three descriptors here.
constexpr std::uint64_t clones_max = 10'000;
// More at once load no faster.
constexpr std::size_t loads_max = 32;
// A line that is longer is printed in pieces.
constexpr std::size_t line_max_bytes = 65536;

// On a terminal, how far many clones are: a line of stderr, which is gone while others are written.
class Progress {
public:
    explicit Progress(std::uint64_t count)
        : count_{count}, is_wanted_{count > loads_max && ::isatty(STDERR_FILENO) == 1} {}
    ~Progress() { hide(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void show(std::size_t started, std::size_t ended) {
        if (!is_wanted_) {
            return;
        }
        std::string line = std::to_string(started) + " of " + std::to_string(count_) +
                           " clones started, " + std::to_string(ended) + " ended";
        if (line != shown_) {
            std::fprintf(stderr, "%s%s", clear_line, line.c_str());
            shown_ = std::move(line);
        }
    }
    void hide() {
        if (!shown_.empty()) {
            std::fputs(clear_line, stderr);
            shown_.clear();
        }
    }

private:
    static constexpr const char* clear_line = "\r\x1b[K";

    std::uint64_t count_;
    bool is_wanted_;
    std::string shown_;
};

// A clone's output on stdout: in whole lines behind the prefix, or without one as it is.
class OutputWriter {
public:
    explicit OutputWriter(std::string prefix) : prefix_{std::move(prefix)} {}

    void write(std::string_view bytes) {
        if (prefix_.empty()) {
            std::fwrite(bytes.data(), 1, bytes.size(), stdout);
            return;
        }
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
        if (!line_.ends_with('\n')) {
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

// The first one records what the clones of a template use of its memory, unless that is known:
// until it says something, or else until it ends, or for 30 s.
class Clone {
public:
    Clone(const CloneOptions& options, std::uint64_t number, const std::string& vmm)
        : id_{std::to_string(number)},
          writer_{options.count > 1 ? id_ + ": " : ""},
          process_{vmm},
          records_{number == 0} {
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
            {"record_working_set", records_},
            {"clone", {{"id", id_}, {"args", std::move(args)}}}};
        if (!options.vsock.empty()) {
            body["vsock_override"] = {{"uds_path", options.vsock + id_}};
        }
        if (options.network) {
            add_network(body, network_of_copy(*options.network, number));
        }
        process_.send_put("/snapshot/load", body);
    }

    // Readable once it is known whether it was loaded.
    [[nodiscard]] int answer() noexcept { return process_.answer(); }
    void expect_loaded() {
        try {
            process_.expect_done();
        } catch (const CliError& error) {
            throw CliError("clone " + id_ + ": " + error.what());
        }
    }

    [[nodiscard]] int output() const noexcept { return process_.output(); }
    // False once there is no more.
    [[nodiscard]] bool copy_output() {
        std::array<char, 16384> buffer;
        const ssize_t size = ::read(process_.output(), buffer.data(), buffer.size());
        if (size < 0 && errno != EINTR) {
            host::throw_os_error("reading a clone's output");
        }
        if (size == 0) {
            writer_.finish();
        } else if (size > 0) {
            writer_.write({buffer.data(), static_cast<std::size_t>(size)});
            stop_recording();
        }
        return size != 0;
    }
    [[nodiscard]] int wait() { return process_.wait(); }

private:
    // What comes of it is not waited for: without it, clones are slower and nothing else.
    void stop_recording() {
        if (std::exchange(records_, false)) {
            try {
                process_.send_put("/snapshot/working-set", {});
            } catch (const CliError&) {
                // It has ended, and recorded before.
            }
        }
    }

    std::string id_;
    OutputWriter writer_;
    VmmProcess process_;
    bool records_;
};

// All clones: starts one after another, and takes what comes from them meanwhile.
class Clones {
public:
    explicit Clones(const CloneOptions& options)
        : options_{options},
          vmm_{find_vmm()},
          epoll_{host::check_os(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")},
          progress_{options.count} {}

    // The exit code.
    [[nodiscard]] int run_to_ends() {
        while (loaded_ < options_.count || ended_ < options_.count) {
            const bool may_start =
                clones_.size() < options_.count && clones_.size() - loaded_ < loads_max;
            if (may_start) {
                start_next();
            }
            take_events(may_start ? 0 : -1);
            progress_.show(loaded_, ended_);
        }
        int code = 0;
        for (const auto& each : clones_) {
            const int one = each->wait();
            code = code == 0 ? one : code;
        }
        return code;
    }

private:
    // Of epoll's data, which is an index for a clone's output.
    static constexpr std::uint64_t is_answer = ~std::uint64_t{0};

    void start_next() {
        const std::size_t idx = clones_.size();
        clones_.push_back(std::make_unique<Clone>(options_, idx, vmm_));
        watch(clones_[idx]->output(), idx);
        if (idx == loaded_) {
            watch(clones_[idx]->answer(), is_answer);
        }
    }
    void watch(int fd, std::uint64_t data) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = data;
        host::check_os(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }
    void forget(int fd) {
        host::check_os(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr), "epoll_ctl");
    }

    void take_events(int timeout_ms) {
        std::array<epoll_event, 64> events;
        const int count =
            ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
        if (count < 0 && errno != EINTR) {
            host::throw_os_error("epoll_wait");
        }
        for (const epoll_event& event :
             std::span{events}.first(static_cast<std::size_t>(std::max(count, 0)))) {
            if (event.data.u64 == is_answer) {
                take_answer();
            } else {
                take_output(*clones_[event.data.u64]);
            }
        }
        std::fflush(stdout);
    }
    // They are looked at in the clones' order, so that the first one that fails is named.
    void take_answer() {
        clones_[loaded_]->expect_loaded();
        forget(clones_[loaded_]->answer());
        ++loaded_;
        if (loaded_ < clones_.size()) {
            watch(clones_[loaded_]->answer(), is_answer);
        }
    }
    void take_output(Clone& clone) {
        progress_.hide();
        if (!clone.copy_output()) {
            forget(clone.output());
            ++ended_;
        }
    }

    const CloneOptions& options_;
    std::string vmm_;
    host::UniqueFd epoll_;
    std::vector<std::unique_ptr<Clone>> clones_;
    std::size_t loaded_ = 0;
    std::size_t ended_ = 0;
    Progress progress_;
};

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
    return Clones{options}.run_to_ends();
}

}  // namespace shoal::cli
