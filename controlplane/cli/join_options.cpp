// Described to CLI11.
#include "controlplane/cli/join_options.h"

#include <CLI/CLI.hpp>

namespace shoal::cli {
namespace {

void describe_files(CLI::App& sub, HostFiles& files) {
    sub.add_option("--dir", files.folder,
                   "Where ca.pem, host.pem and host.key come (default /etc/shoal)")
        ->type_name("DIR");
    sub.add_option("--host", files.host, "This host's name, as for shoald")
        ->required()
        ->type_name("NAME");
    sub.add_option("--address", files.address, "By which the other hosts reach it, as for shoald")
        ->required()
        ->type_name("IP");
}

}  // namespace

void describe_init(CLI::App& sub, InitOptions& options) {
    describe_files(sub, options);
}

void describe_join(CLI::App& sub, JoinOptions& options) {
    sub.add_option("TOKEN", options.token, "What shoal token has printed")->required();
    sub.add_option("ADDRESS:PORT", options.endpoint,
                   "Where a shoald with --peer-ca-key lets hosts join (port 7431)")
        ->required();
    describe_files(sub, options);
}

}  // namespace shoal::cli
