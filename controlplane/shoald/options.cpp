// Described to CLI11.
#include "controlplane/shoald/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "controlplane/failover/host_fence.h"
#include "controlplane/model/json.h"
#include "devices/host/version.h"

namespace shoal::daemon {
namespace {

// The host's name as the model wants it: lower case, without its domain.
std::string host_name() {
    std::array<char, 256> bytes{};
    if (::gethostname(bytes.data(), bytes.size() - 1) < 0) {
        return "localhost";
    }
    std::string name{bytes.data()};
    name = name.substr(0, std::min<std::size_t>(name.find('.'), 63));
    std::ranges::transform(name, name.begin(), [](char byte) {
        return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
    });
    return model::is_name(name) ? name : "localhost";
}

// CLI11 takes -1 for the largest number there is.
std::string check_whole(const std::string& word) {
    const bool is_whole =
        !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
    return is_whole ? "" : word + " is not a whole number";
}

// http://HOST:PORT or https://HOST:PORT, with an IPv6 address in brackets.
store::Endpoint parse_endpoint(const std::string& url, bool& is_secure) {
    is_secure = url.starts_with("https://");
    const std::size_t scheme_end = url.find("://");
    const std::size_t colon = url.rfind(':');
    if ((!is_secure && !url.starts_with("http://")) || colon < scheme_end + 4) {
        throw OptionsError{"--etcd " + url + ": give http://HOST:PORT or https://HOST:PORT"};
    }
    std::string host = url.substr(scheme_end + 3, colon - scheme_end - 3);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    const std::string port = url.substr(colon + 1);
    if (host.empty() || host.find('/') != std::string::npos || !check_whole(port).empty()) {
        throw OptionsError{"--etcd " + url + ": give http://HOST:PORT or https://HOST:PORT"};
    }
    return {host, port};
}

void take_etcd(const std::vector<std::string>& urls, const store::TlsFiles& files,
               Options& options) {
    constexpr std::size_t most_members = 16;
    if (urls.size() > most_members) {
        throw OptionsError{"--etcd: at most " + std::to_string(most_members) + " members"};
    }
    std::size_t secure = 0;
    for (const std::string& url : urls) {
        bool is_secure = false;
        options.etcd.endpoints.push_back(parse_endpoint(url, is_secure));
        secure += is_secure ? 1U : 0U;
    }
    if (secure != 0 && secure != urls.size()) {
        throw OptionsError{"--etcd: all of https or all of http"};
    }
    if (secure != 0 && files.authority.empty()) {
        throw OptionsError{"--etcd with https needs --etcd-ca"};
    }
    if (files.certificate.empty() != files.key.empty()) {
        throw OptionsError{"--etcd-cert and --etcd-key need each other"};
    }
    if (secure != 0) {
        options.etcd.tls = files;
    }
}

// `form`: of a word, for who gives another one.
std::map<std::string, std::string> parse_pairs(const std::string& option, const std::string& form,
                                               const std::vector<std::string>& words) {
    std::map<std::string, std::string> pairs;
    for (const std::string& word : words) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw OptionsError{option + " " + word + ": give " + form};
        }
        pairs[word.substr(0, equals)] = word.substr(equals + 1);
    }
    return pairs;
}

void check_storages(const Options& options) {
    constexpr std::size_t most_storages = 8;
    if (options.storages.size() > most_storages) {
        throw OptionsError{"--storage: at most " + std::to_string(most_storages) + " storages"};
    }
    for (const auto& [name, folder] : options.storages) {
        if (!model::is_name(name)) {
            throw OptionsError{"--storage " + name + ": its name is 1 to 63 of a-z, 0-9 and '-'"};
        }
        if (!folder.starts_with('/')) {
            throw OptionsError{"--storage " + name + "=" + folder + ": give the whole path"};
        }
    }
}

// What is checked after the parsing.
struct RawOptions {
    std::vector<std::string> etcd;
    std::vector<std::string> labels;
    std::vector<std::string> storages;
    store::TlsFiles tls{};
    bool plain_peers = false;
};

void check_peers(const Options& options, const RawOptions& raw) {
    const store::TlsFiles& files = options.peer_tls;
    const bool has_any =
        !files.authority.empty() || !files.certificate.empty() || !files.key.empty();
    const bool has_all =
        !files.authority.empty() && !files.certificate.empty() && !files.key.empty();
    if (has_any && !has_all) {
        throw OptionsError{"--peer-ca, --peer-cert and --peer-key need each other"};
    }
    if (!options.authority_key.empty() && (options.address.empty() || !has_all)) {
        throw OptionsError{"--peer-ca-key needs --address, --peer-ca, --peer-cert and --peer-key"};
    }
    if (!options.address.empty() && !has_all && !raw.plain_peers) {
        throw OptionsError{
            "--address needs --peer-ca, --peer-cert and --peer-key, or --plain-peers"};
    }
}

void describe_cluster(CLI::App& app, Options& options, RawOptions& raw) {
    app.add_option("--etcd", raw.etcd,
                   "Join the cluster of this etcd; once for each of its members\n"
                   "(default: this host is alone, and its state is in --state-dir)")
        ->type_name("URL")
        ->allow_extra_args(false);
    app.add_option("--etcd-ca", raw.tls.authority, "Whose certificates etcd has (PEM)")
        ->type_name("FILE");
    app.add_option("--etcd-cert", raw.tls.certificate, "This host's certificate for etcd (PEM)")
        ->type_name("FILE");
    app.add_option("--etcd-key", raw.tls.key, "Its key (PEM)")->type_name("FILE");
    app.add_option("--address", options.address,
                   "By which the other hosts reach this one, so that microVMs can move and any\n"
                   "host answers for all")
        ->type_name("IP");
    app.add_option("--peer-port", options.peer_port,
                   "Where it listens for them (default 7430; 0: any)")
        ->type_name("PORT");
    app.add_option("--peer-ca", options.peer_tls.authority,
                   "Whose certificates the cluster's hosts have (PEM)")
        ->type_name("FILE");
    app.add_option("--peer-cert", options.peer_tls.certificate,
                   "This host's certificate, for its --host name (PEM); before it expires\n"
                   "it is renewed, and this file replaced")
        ->type_name("FILE");
    app.add_option("--peer-key", options.peer_tls.key, "Its key (PEM)")->type_name("FILE");
    app.add_option("--peer-ca-key", options.authority_key,
                   "The authority's key (PEM): other hosts can join here, with a token")
        ->type_name("FILE");
    app.add_option("--join-port", options.join_port, "Where they do (default 7431; 0: any)")
        ->type_name("PORT");
    app.add_flag("--plain-peers", raw.plain_peers,
                 "MicroVMs' memory, output and files cross the network without encryption,\n"
                 "and whoever reaches this host may ask for them")
        ->excludes("--peer-cert");
    app.add_option("--failure-deadline", options.failure_deadline_s,
                   "For how many seconds the microVMs run on while etcd does not hear of this\n"
                   "host, from 2 to 60; then they pause, and within a second others take them\n"
                   "over (default 4)")
        ->type_name("SECONDS")
        ->check(check_whole)
        ->check(
            CLI::Range(failover::shortest_deadline.count(), failover::longest_deadline.count()));
    app.add_option("--zone", options.zone, "Where this host is, for spreading over zones")
        ->type_name("NAME");
    app.add_option("--label", raw.labels, "A label of this host; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
}

void describe(CLI::App& app, Options& options, RawOptions& raw) {
    app.set_version_flag("--version", std::string{"shoald "} + host::version, "Print the version");
    app.add_option("--socket", options.socket, "The API's unix socket (RUN_DIR/shoald.socket)")
        ->type_name("PATH");
    app.add_option("--run-dir", options.run_dir, "What runs (default /run/shoal)")
        ->type_name("DIR");
    app.add_option("--state-dir", options.state_dir, "What lasts (default /var/lib/shoal)")
        ->type_name("DIR");
    app.add_option("--host", options.host, "This host's name (default: the host name)")
        ->type_name("NAME");
    app.add_option("--memory-overcommit", options.memory_overcommit,
                   "MicroVMs' memory over the host's (default 4)")
        ->type_name("RATIO")
        ->check(CLI::Range(0.01, 1000.0));
    app.add_option("--cpu-overcommit", options.cpu_overcommit,
                   "Virtual CPUs over the host's CPUs (default 1000)")
        ->type_name("RATIO")
        ->check(CLI::Range(0.01, 10000.0));
    app.add_option("--reserved-memory", options.reserved_mib,
                   "Of the host's memory, not for microVMs (default 512)")
        ->type_name("MIB")
        ->check(check_whole);
    app.add_option("--max-microvms", options.max_microvms,
                   "How many may run (default 10000), fewer if the limit of descriptors is low")
        ->type_name("N")
        ->check(check_whole);
    app.add_option("--storage", raw.storages,
                   "A folder on storage that other hosts reach, too, who give it the same name:\n"
                   "volumes of this storage are files there; may be repeated")
        ->type_name("NAME=DIR")
        ->allow_extra_args(false);
    app.add_option("--cgroup-mount", options.cgroup_mount,
                   "Where control groups are mounted (default /sys/fs/cgroup)")
        ->type_name("DIR");
    app.add_option("--log-limit", options.log_limit_bytes,
                   "Of each microVM's output the newest so many bytes are kept (default 1048576)")
        ->type_name("BYTES")
        ->check(CLI::Range(std::uint64_t{4096}, std::uint64_t{1} << 40));
}

}  // namespace

Options parse_options(std::span<char* const> args) {
    CLI::App app{"Runs the microVMs of one host, and keeps them running.", "shoald"};
    Options options;
    RawOptions raw;
    describe(app, options, raw);
    describe_cluster(app, options, raw);
    try {
        app.parse(static_cast<int>(args.size()), args.data());
    } catch (const CLI::CallForHelp&) {
        options.text = app.help();
    } catch (const CLI::CallForVersion&) {
        options.text = app.version() + "\n";
    } catch (const CLI::ParseError& error) {
        throw OptionsError{error.what()};
    }
    take_etcd(raw.etcd, raw.tls, options);
    options.labels = parse_pairs("--label", "KEY=VALUE", raw.labels);
    options.storages = parse_pairs("--storage", "NAME=DIR", raw.storages);
    check_storages(options);
    check_peers(options, raw);
    if (!options.zone.empty() && !model::is_name(options.zone)) {
        throw OptionsError{"--zone " + options.zone + ": 1 to 63 of a-z, 0-9 and '-'"};
    }
    if (app.count("--socket") == 0) {
        options.socket = options.run_dir + "/shoald.socket";
    }
    if (options.host.empty()) {
        options.host = host_name();
    } else if (!model::is_name(options.host)) {
        throw OptionsError{"--host " + options.host +
                           ": 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends"};
    }
    return options;
}

}  // namespace shoal::daemon
