// One route, of which a token's secret is the only guard.
#include "controlplane/shoald/joining.h"

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "controlplane/api/join.h"
#include "controlplane/peer/tls.h"

namespace shoal::daemon {
namespace {

std::string read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) {
        throw std::runtime_error{"cannot read " + path};
    }
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

Joining::Joining(const Options& options, boost::asio::io_context& context, rest::Service& service)
    : authority_{read_file(options.peer_tls.authority), read_file(options.authority_key)},
      server_{context, options.address, options.join_port,
              peer::make_tls(options.peer_tls, peer::Strangers::let_in),
              [this](const rest::Request& request, rest::Respond respond) {
                  api_.handle(request, std::move(respond));
              }} {
    rest::add_join(api_, service, authority_);
}

}  // namespace shoal::daemon
