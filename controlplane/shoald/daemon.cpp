// The composition root: built in the order of the members; the API opens when the mirror is ready.
#include "controlplane/shoald/daemon.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "controlplane/api/api.h"
#include "controlplane/api/backup.h"
#include "controlplane/api/calls.h"
#include "controlplane/api/console.h"
#include "controlplane/api/events.h"
#include "controlplane/api/exec.h"
#include "controlplane/api/groups.h"
#include "controlplane/api/hosts.h"
#include "controlplane/api/images.h"
#include "controlplane/api/join.h"
#include "controlplane/api/logs.h"
#include "controlplane/api/microvms.h"
#include "controlplane/api/networks.h"
#include "controlplane/api/projects.h"
#include "controlplane/api/server.h"
#include "controlplane/api/service.h"
#include "controlplane/api/templates.h"
#include "controlplane/api/usage.h"
#include "controlplane/api/volumes.h"
#include "controlplane/image/image_folder.h"
#include "controlplane/network/address_book.h"
#include "controlplane/network/network_sweeper.h"
#include "controlplane/node/bundle_copies.h"
#include "controlplane/node/group_controller.h"
#include "controlplane/node/group_volumes.h"
#include "controlplane/node/host_facts.h"
#include "controlplane/node/host_provisions.h"
#include "controlplane/node/membership.h"
#include "controlplane/node/memory_watch.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/mover.h"
#include "controlplane/node/node_agent.h"
#include "controlplane/node/placer.h"
#include "controlplane/node/process/supervised_runner.h"
#include "controlplane/node/volume_changes.h"
#include "controlplane/scheduler/leader.h"
#include "controlplane/shoald/checkpointing.h"
#include "controlplane/shoald/joining.h"
#include "controlplane/shoald/peers.h"
#include "controlplane/shoald/renewal.h"
#include "controlplane/shoald/vmm_tls.h"
#include "controlplane/store/asio_loop.h"
#include "controlplane/store/etcd_store.h"
#include "controlplane/store/fanned_store.h"
#include "controlplane/store/sqlite_store.h"
#include "devices/host/log.h"
#include "devices/host/oom_score.h"
#include "devices/host/os_error.h"

namespace shoal::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds read_retry{1};
constexpr std::chrono::seconds rebalance_period{30};

// Supervisors are as it is: they outlive their microVMs, and say how those ended.
void be_killed_last() {
    if (!host::set_oom_order(host::OomOrder::last)) {
        host::log(host::LogLevel::info,
                  "without CAP_SYS_RESOURCE: when memory runs out the kernel takes microVMs "
                  "first, and shoald as any other program");
    }
}

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

// "Intel(R) Xeon(R) ...": of the first CPU; empty where the kernel does not tell.
std::string cpu_model() {
    std::ifstream file{"/proc/cpuinfo"};
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("model name") && line.find(": ") != std::string::npos) {
            return line.substr(line.find(": ") + 2);
        }
    }
    return {};
}

std::uint64_t times(std::uint64_t number, double ratio) {
    return static_cast<std::uint64_t>(static_cast<double>(number) * ratio);
}

// For how many this process may have descriptors: its end of a microVM's, and its supervisor.
std::uint64_t most_microvms() {
    constexpr std::uint64_t of_each = 2;
    constexpr std::uint64_t of_others = 1024;  // the API, other hosts, the store
    rlimit limit{};
    host::check_os(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    return (limit.rlim_cur - std::min<std::uint64_t>(limit.rlim_cur, of_others)) / of_each;
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

model::Host facts_of(const Options& options, const std::string& peer_address) {
    model::Host host;
    host.name = options.host;
    host.zone = options.zone;
    host.labels = options.labels;
    host.peer_address = peer_address;
    host.cpu_model = cpu_model();
    host.allocatable = allocatable(options);
    host.renews_certificates = !options.authority_key.empty();
    for (const auto& [name, folder] : options.storages) {
        host.storages.push_back(name);
    }
    return host;
}

volumes::VolumeFolders volume_folders(const Options& options) {
    volumes::VolumeFolders folders{volumes::VolumeFolder{options.state_dir + "/volumes"}};
    for (const auto& [name, folder] : options.storages) {
        folders.add_storage(name, volumes::VolumeFolder{folder, options.host});
    }
    return folders;
}

bool is_clustered(const Options& options) {
    return !options.etcd.endpoints.empty();
}

node::NodeSettings node_settings(const Options& options) {
    return {options.host, options.state_dir + "/logs", find_program("shoal"),
            is_clustered(options) ? node::fence_path(options.run_dir) : ""};
}

// Empty: its microVMs move without encryption, or not at all.
std::string vmm_tls_folder(const Options& options) {
    return is_clustered(options) && !options.peer_tls.certificate.empty()
               ? options.run_dir + "/vmm-tls"
               : "";
}

node::RunnerSettings runner_settings(const Options& options) {
    node::RunnerSettings settings{options.run_dir + "/microvms", find_program("shoal-supervisor"),
                                  options.log_limit_bytes, options.cgroup_mount,
                                  cgroup_parent(options.run_dir)};
    if (is_clustered(options)) {
        settings.save_folder = options.state_dir + "/saves";
        settings.tls_folder = vmm_tls_folder(options);
    }
    return settings;
}

// Of a host alone: it places what is wanted by itself.
struct Alone {
    Alone(const Options& options, store::EventLoop& loop, store::Store& store, node::Mirror& mirror)
        : placer{loop, store, mirror, {options.host, allocatable(options)}},
          groups{loop, store, mirror} {}

    node::Placer placer;
    node::GroupController groups;
};

scheduler::ControllerSettings leader_settings() {
    scheduler::ControllerSettings settings;
    settings.rebalance_period = rebalance_period;
    return settings;
}

// Of a host among others: it lives for as long as it tells them, and may lead.
struct Clustered {
    Clustered(const Options& options, boost::asio::io_context& context, store::EventLoop& loop,
              store::Store& store, node::Mirror& mirror, node::Runner& runner,
              node::NodeAgent& agent, node::HostFacts& facts, const store::TlsFiles& vmm_tls)
        : vmm_client{context},
          mover{loop,
                mirror,
                runner,
                vmm_client,
                {options.host, options.address, find_program("shoal-vmm"),
                 node::fence_path(options.run_dir), vmm_tls.certificate, vmm_tls.key,
                 vmm_tls.authority}},
          membership{loop,
                     store,
                     agent,
                     facts,
                     {options.host,
                      options.run_dir,
                      {.deadline = std::chrono::seconds{options.failure_deadline_s}}}},
          leader{loop, store, options.host, leader_settings()} {
        agent.set_mover(mover);
    }

    node::UnixVmmClient vmm_client;
    node::Mover mover;
    node::Membership membership;
    scheduler::Leader leader;
};

// Which of them are here, and that those of nobody go.
template <typename Objects>
node::BundleCopies::Kind copies_of(const content::BundleFolder& folder, const Objects& objects) {
    return {folder, [&objects](const node::Objects& from) { return objects.wanted(from); },
            [&objects] { objects.collect(); }};
}

class Daemon {
public:
    explicit Daemon(const Options& options);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon() = default;

    void run();

private:
    [[nodiscard]] std::unique_ptr<store::Store> make_store();
    void read_store();
    void on_ready(const store::Result<store::Revision>& ready);
    using Fetch = std::string (Peers::*)(const std::string& name, const std::string& digest);
    [[nodiscard]] node::Bundles bundles(const content::BundleFolder& folder,
                                        content::BundleCheck& check, Fetch fetch);
    void keep_certificate();

    Options options_;
    host::UniqueFd lock_;  // of the run folder
    boost::asio::io_context context_{1};
    boost::asio::signal_set signals_{context_, SIGTERM, SIGINT};
    store::AsioLoop loop_{context_};
    store::SqliteStore* sqlite_ = nullptr;  // what the store is made of, if it is this one
    std::unique_ptr<store::Store> store_;
    node::Mirror mirror_{loop_, *store_};
    node::SupervisedRunner runner_;
    node::NodeAgent agent_;
    std::optional<node::HostFacts> facts_;
    node::MemoryWatch memory_watch_{
        loop_, options_.reserved_mib,
        [this](const std::string& pressure) { facts_->set_memory_pressure(pressure); }};
    std::optional<Alone> alone_;  // or
    std::optional<VmmTls> vmm_tls_;
    std::optional<Clustered> clustered_;
    rest::Service service_;
    rest::LogService logs_;
    rest::Consoles consoles_;
    boost::asio::thread_pool workers_{1};  // reads and flushes what is large
    content::BundleFolder template_folder_;
    std::optional<Peers> peers_;
    std::optional<Joining> joining_;
    std::optional<Renewal> renewal_;
    content::BundleCheck template_check_{context_, workers_, template_folder_};
    templates::TemplateMaker template_maker_{context_, workers_, template_folder_,
                                             find_program("shoal")};
    rest::Templates templates_ =
        rest::make_templates(service_, template_folder_, template_check_, template_maker_);
    content::BundleFolder image_folder_{images::bundle_kind, options_.state_dir + "/images"};
    content::BundleCheck image_check_{context_, workers_, image_folder_};
    images::ImageMaker image_maker_{context_, image_folder_, find_program("shoal-vmm")};
    rest::Images images_ = rest::make_images(service_, image_folder_, image_check_, image_maker_);
    node::BundleCopies copies_{
        loop_,
        *store_,
        mirror_,
        options_.host,
        {copies_of(template_folder_, templates_), copies_of(image_folder_, images_)}};
    volumes::VolumeFolders volume_folders_;
    boost::asio::thread_pool volume_workers_{1};  // not behind what is large
    node::VolumeChanges volume_changes_{
        {context_, volume_workers_, *store_, mirror_, volume_folders_}};
    node::GroupVolumes group_volumes_{loop_, mirror_, volume_changes_, options_.host};
    rest::VolumeService volumes_{service_, volume_changes_, volume_folders_, options_.host};
    network::HostNetworks networks_;
    network::AddressBook addresses_{loop_, *store_, mirror_, options_.host};
    network::NetworkSweeper sweeper_{loop_, mirror_, runner_, networks_, options_.host};
    node::HostProvisions provisions_;
    std::optional<Checkpointing> checkpointing_;
    rest::Api api_;
    std::optional<rest::Server> server_;
};

Daemon::Daemon(const Options& options)
    : options_{options},
      lock_{lock_folder(options)},
      store_{make_store()},
      runner_{context_, runner_settings(options)},
      agent_{loop_, *store_, mirror_, runner_, node_settings(options)},
      service_{loop_, *store_, mirror_, nullptr},
      logs_{context_, service_, options.state_dir + "/logs"},
      template_folder_{templates::bundle_kind, options.state_dir + "/templates"},
      volume_folders_{volume_folders(options)},
      networks_{context_, fs::absolute(options.run_dir)},
      provisions_{mirror_,
                  runner_,
                  bundles(template_folder_, template_check_, &Peers::fetch_template),
                  bundles(image_folder_, image_check_, &Peers::fetch_image),
                  volume_folders_,
                  volume_changes_,
                  group_volumes_,
                  networks_,
                  {options.host, options.reserved_mib, options.run_dir + "/microvms",
                   find_program("shoal-vmm"), node_settings(options).fence}} {
    service_.host = options.host;
    if (!options.address.empty()) {
        peers_.emplace(options, context_, workers_, service_, consoles_, template_folder_,
                       image_folder_);
        peers_->on_fetched([this] { copies_.look_soon(); });
    }
    if (!options.authority_key.empty()) {
        joining_.emplace(options, context_, service_);
        rest::add_renewal(peers_->api(), service_, joining_->authority());
    }
    facts_.emplace(loop_, *store_, facts_of(options, peers_ ? peers_->address() : ""));
    if (const std::string folder = vmm_tls_folder(options); !folder.empty()) {
        vmm_tls_.emplace(folder);
        vmm_tls_->use(options.peer_tls);
    }
    if (is_clustered(options)) {
        clustered_.emplace(options, context_, loop_, *store_, mirror_, runner_, agent_, *facts_,
                           vmm_tls_ ? vmm_tls_->files() : store::TlsFiles{});
        clustered_->mover.set_provisions(provisions_);
    } else {
        alone_.emplace(options, loop_, *store_, mirror_);
        service_.placer = &alone_->placer;
    }
    if (clustered_ && peers_) {
        checkpointing_.emplace(
            options, find_program("shoal-vmm"),
            Checkpointing::Parts{context_, loop_, *store_, mirror_, runner_, clustered_->vmm_client,
                                 *peers_, provisions_, volume_folders_.own()});
    }
    if (!options.peer_tls.certificate.empty()) {
        keep_certificate();
    }
    rest::add_hosts(api_, service_, options.host);
    rest::add_microvms(api_, service_);
    rest::add_groups(api_, service_);
    rest::add_logs(api_, logs_);
    rest::add_calls(api_, service_, context_);
    rest::add_exec(api_, service_, context_);
    rest::add_console(api_,
                      {context_, service_, consoles_, logs_.folder, options.run_dir + "/microvms"});
    rest::add_events(api_, service_);
    rest::add_join_tokens(api_, service_, joining_ ? joining_->fingerprint() : "");
    rest::add_backup(api_, sqlite_);
    templates_.add_to(api_);
    images_.add_to(api_);
    rest::add_volumes(api_, volumes_);
    rest::add_projects(api_, service_);
    rest::add_usage(api_, service_, options.run_dir + "/microvms");
    rest::add_networks(api_, service_);
    agent_.set_provisions(provisions_);
    runner_.set_listener(agent_);
}

node::Bundles Daemon::bundles(const content::BundleFolder& folder, content::BundleCheck& check,
                              Fetch fetch) {
    return {folder, check, [this, fetch](const std::string& name, const std::string& digest) {
                return peers_ ? ((*peers_).*fetch)(name, digest) : "this host has no --address";
            }};
}

void Daemon::keep_certificate() {
    const auto ask = [this](const std::string& body, rest::Respond respond) {
        joining_ ? respond(rest::renew_certificate(joining_->authority(), body))
                 : peers_->renew_certificate(body, std::move(respond));
    };
    const auto use = [this](const std::string& expires, const std::string& authority_expires) {
        peers_->use(options_.peer_tls);
        if (vmm_tls_) {
            vmm_tls_->use(options_.peer_tls);
        }
        if (joining_) {
            joining_->use(options_.peer_tls);
        }
        facts_->set_expiry(expires, authority_expires);
    };
    renewal_.emplace(loop_, options_.peer_tls, ask, use);
}

std::unique_ptr<store::Store> Daemon::make_store() {
    if (is_clustered(options_)) {
        return std::make_unique<store::FannedStore>(
            loop_, std::make_unique<store::EtcdStore>(context_, options_.etcd));
    }
    auto sqlite = std::make_unique<store::SqliteStore>(
        loop_, store::SqliteOptions{options_.state_dir + "/store.sqlite"});
    sqlite_ = sqlite.get();
    return std::make_unique<store::FannedStore>(loop_, std::move(sqlite));
}

void Daemon::run() {
    signals_.async_wait([this](const boost::system::error_code& error, int) {
        if (!error) {
            context_.stop();
        }
    });
    be_killed_last();
    memory_watch_.start();
    if (clustered_) {  // Heartbeats wait for nothing.
        clustered_->membership.start();
        clustered_->leader.start();
    }
    read_store();
    context_.run();
}

void Daemon::read_store() {
    mirror_.start([this](const store::Result<store::Revision>& ready) { on_ready(ready); });
}

void Daemon::on_ready(const store::Result<store::Revision>& ready) {
    if (!ready && clustered_) {
        host::log(host::LogLevel::error, "cannot read the store yet: " + ready.error().reason);
        return loop_.call_after(read_retry, [this] { read_store(); });
    }
    if (!ready) {
        throw std::runtime_error{"cannot read the store: " + ready.error().reason};
    }
    mirror_.add_listener(agent_);
    mirror_.add_listener(sweeper_);
    mirror_.add_listener(copies_);
    copies_.look_soon();
    copies_.watch_idle();
    rest::reconcile_volumes(volumes_);
    mirror_.add_listener(group_volumes_);
    group_volumes_.start();
    if (checkpointing_) {
        checkpointing_->start();
    }
    agent_.start();
    if (alone_) {
        facts_->tell();
        mirror_.add_listener(alone_->placer);
        mirror_.add_listener(alone_->groups);
        agent_.take(0);
        alone_->placer.start();
        alone_->groups.start();
    }
    mirror_.add_listener(addresses_);
    addresses_.start();
    sweeper_.start();
    if (peers_) {
        peers_->start();
    }
    if (joining_) {
        joining_->start();
    }
    if (renewal_) {
        renewal_->look();
    }
    server_.emplace(context_, options_.socket,
                    [this](const rest::Request& request, rest::Respond respond) {
                        api_.handle(request, std::move(respond));
                    });
    host::log(host::LogLevel::info, "serving on " + options_.socket);
}

}  // namespace

void run(Options options) {
    const std::uint64_t wanted = options.max_microvms;
    options.max_microvms = std::min(wanted, most_microvms());
    Daemon daemon{options};
    if (options.max_microvms < wanted) {
        host::log(host::LogLevel::warn, "the limit of descriptors lets " +
                                            std::to_string(options.max_microvms) +
                                            " microVMs run, not " + std::to_string(wanted));
    }
    daemon.run();
}

}  // namespace shoal::daemon
