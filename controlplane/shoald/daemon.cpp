// The composition root: built in the order of the members; the API opens when the mirror is ready.
#include "controlplane/shoald/daemon.h"

#include <fcntl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <thread>

#include "controlplane/api/api.h"
#include "controlplane/api/backup.h"
#include "controlplane/api/events.h"
#include "controlplane/api/groups.h"
#include "controlplane/api/host.h"
#include "controlplane/api/logs.h"
#include "controlplane/api/microvms.h"
#include "controlplane/api/server.h"
#include "controlplane/api/service.h"
#include "controlplane/node/group_controller.h"
#include "controlplane/node/mirror.h"
#include "controlplane/node/node_agent.h"
#include "controlplane/node/placer.h"
#include "controlplane/node/supervised_runner.h"
#include "controlplane/store/asio_loop.h"
#include "controlplane/store/sqlite_store.h"
#include "devices/host/log.h"
#include "devices/host/os_error.h"

namespace shoal::daemon {
namespace {

namespace fs = std::filesystem;

// Two daemons would both start everything.
host::UniqueFd lock_folder(const Options& options) {
    fs::create_directories(options.run_dir);
    fs::create_directories(options.state_dir + "/logs");
    const host::UniqueFd folder{
        ::open(options.run_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!folder) {
        host::throw_os_error("cannot open " + options.run_dir);
    }
    host::UniqueFd lock = node::try_lock(folder.get(), "shoald.lock");
    if (!lock) {
        throw std::runtime_error{"another shoald runs with --run-dir " + options.run_dir};
    }
    return lock;
}

// "/run/shoal" is "shoal", other folders have names of their own.
std::string cgroup_parent(std::string run_dir) {
    if (run_dir == Options{}.run_dir) {
        return "shoal";
    }
    std::ranges::replace(run_dir, '/', '-');
    return "shoal-" + run_dir.substr(run_dir.find_first_not_of('-'));
}

std::string own_folder() {
    return fs::read_symlink("/proc/self/exe").parent_path();
}

// Beside this program, or where it is installed.
std::string find_program(const std::string& name) {
    const std::string folder = own_folder();
    const std::array candidates{folder + "/" + name, folder + "/../lib/shoal/" + name};
    for (const std::string& path : candidates) {
        if (::access(path.c_str(), X_OK) == 0) {
            return path;
        }
    }
    throw std::runtime_error{"there is no " + name + " at " + candidates[0] + " or " +
                             candidates[1]};
}

std::uint64_t times(std::uint64_t number, double ratio) {
    return static_cast<std::uint64_t>(static_cast<double>(number) * ratio);
}

model::Resources allocatable(const Options& options) {
    struct sysinfo info {};
    host::check_os(::sysinfo(&info), "sysinfo");
    const std::uint64_t memory_mib = info.totalram * info.mem_unit >> 20;
    const std::uint64_t cpus = std::max(1U, std::thread::hardware_concurrency());
    return {
        times(memory_mib - std::min(memory_mib, options.reserved_mib), options.memory_overcommit),
        times(cpus * 1000, options.cpu_overcommit), options.max_microvms};
}

class Daemon {
public:
    explicit Daemon(const Options& options);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon() = default;

    void run();

private:
    void on_ready(const store::Result<store::Revision>& ready);

    Options options_;
    host::UniqueFd lock_;  // of the run folder
    boost::asio::io_context context_{1};
    boost::asio::signal_set signals_{context_, SIGTERM, SIGINT};
    store::AsioLoop loop_{context_};
    store::SqliteStore store_;
    node::Mirror mirror_{loop_, store_};
    node::SupervisedRunner runner_;
    node::NodeAgent agent_;
    node::Placer placer_;
    node::GroupController groups_{loop_, store_, mirror_};
    rest::Service service_{loop_, store_, mirror_, placer_};
    rest::LogService logs_;
    rest::Api api_;
    std::optional<rest::Server> server_;
};

Daemon::Daemon(const Options& options)
    : options_{options},
      lock_{lock_folder(options)},
      store_{loop_, {options.state_dir + "/store.sqlite"}},
      runner_{context_,
              {options.run_dir + "/microvms", find_program("shoal-supervisor"),
               options.log_limit_bytes, options.cgroup_mount, cgroup_parent(options.run_dir)}},
      agent_{loop_,
             store_,
             mirror_,
             runner_,
             {options.host, options.state_dir + "/logs", find_program("shoal")}},
      placer_{loop_, store_, mirror_, {options.host, allocatable(options)}},
      logs_{context_, service_, options.state_dir + "/logs"} {
    rest::add_host(api_, options.host, placer_);
    rest::add_microvms(api_, service_);
    rest::add_groups(api_, service_);
    rest::add_logs(api_, logs_);
    rest::add_events(api_, service_);
    rest::add_backup(api_, store_);
    runner_.set_listener(agent_);
}

void Daemon::run() {
    signals_.async_wait([this](const boost::system::error_code& error, int) {
        if (!error) {
            context_.stop();
        }
    });
    mirror_.start([this](const store::Result<store::Revision>& ready) { on_ready(ready); });
    context_.run();
}

void Daemon::on_ready(const store::Result<store::Revision>& ready) {
    if (!ready) {
        throw std::runtime_error{"cannot read the store: " + ready.error().reason};
    }
    mirror_.add_listener(agent_);
    mirror_.add_listener(placer_);
    mirror_.add_listener(groups_);
    agent_.start();
    agent_.take(0);
    placer_.start();
    groups_.start();
    server_.emplace(context_, options_.socket,
                    [this](const rest::Request& request, rest::Respond respond) {
                        api_.handle(request, std::move(respond));
                    });
    host::log(host::LogLevel::info, "serving on " + options_.socket);
}

}  // namespace

void run(const Options& options) {
    Daemon{options}.run();
}

}  // namespace shoal::daemon
