// The command line of `shoald`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include "controlplane/model/host.h"
#include "controlplane/store/etcd_client.h"

namespace shoal::daemon {

class OptionsError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

struct Options {
    std::string socket = "/run/shoal/shoald.socket";
    std::string run_dir = "/run/shoal";  // what a restart of the host deletes
    std::string state_dir = "/var/lib/shoal";
    std::string host;  // this host's name
    double memory_overcommit = 4;
    double cpu_overcommit = 1000;      // most sleep, most of the time
    std::uint64_t reserved_mib = 512;  // of the host's memory, for everything else
    std::uint64_t max_microvms = 10'000;
    // Folders on storage that other hosts may reach as well, by the name that all of them give it.
    std::map<std::string, std::string> storages;
    std::string cgroup_mount = "/sys/fs/cgroup";
    std::uint64_t log_limit_bytes = std::uint64_t{1} << 20;  // for each microVM
    // The cluster's etcd; without endpoints this host is alone, and its state is in SQLite.
    store::EtcdOptions etcd;
    std::uint64_t failure_deadline_s = 4;  // of this host among others (failover/host_fence.h)
    std::string zone;
    model::Labels labels;
    // By which other hosts reach this one; empty: they do not, and no microVM moves to or from
    // here.
    std::string address;
    std::uint16_t peer_port = 7430;  // where it listens for them; 0: any
    // Of connections between hosts; without a certificate they are plain.
    store::TlsFiles peer_tls{};
    // Of the authority, so that other hosts can join; empty: not here.
    std::string authority_key;
    std::uint16_t join_port = 7431;  // where they do; 0: any
    std::string text;                // to print, and nothing else to do
};

// `args` as main() has them. Throws OptionsError.
[[nodiscard]] Options parse_options(std::span<char* const> args);

}  // namespace shoal::daemon
