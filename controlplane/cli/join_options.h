// How a host becomes one of a cluster, as it was typed.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace shoal::cli {

// Where a host's certificate, its key and the authority are.
struct HostFiles {
    std::string folder = "/etc/shoal";
    std::string host;     // its name
    std::string address;  // by which the others reach it
};

// `shoal init`
struct InitOptions : HostFiles {};

// `shoal join`
struct JoinOptions : HostFiles {
    std::string token;
    std::string endpoint;  // ADDRESS:PORT
};

void describe_init(CLI::App& sub, InitOptions& options);
void describe_join(CLI::App& sub, JoinOptions& options);

}  // namespace shoal::cli
