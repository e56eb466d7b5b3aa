// One route, of which a token's secret is the only guard.
#include "controlplane/shoald/joining.h"

#include <utility>

#include "controlplane/api/join.h"
#include "controlplane/peer/tls.h"

namespace shoal::daemon {

Joining::Joining(const Options& options, boost::asio::io_context& context, rest::Service& service)
    : authority_{pki::read_file(options.peer_tls.authority), pki::read_file(options.authority_key)},
      tls_{peer::make_tls(options.peer_tls, peer::Strangers::let_in)},
      server_{context, options.address, options.join_port, tls_,
              [this](const rest::Request& request, rest::Respond respond) {
                  api_.handle(request, std::move(respond));
              }} {
    rest::add_join(api_, service, authority_);
}

void Joining::use(const store::TlsFiles& files) const {
    store::use_files(*tls_, files, "between hosts");
}

}  // namespace shoal::daemon
