// A connection for each request.
#include "controlplane/peer/client.h"

#include <memory>
#include <utility>

#include "controlplane/peer/outgoing.h"

namespace shoal::peer {

void Client::send(const Peer& peer, const rest::Request& request, Patience patience,
                  rest::Respond respond) {
    std::make_shared<Outgoing>(context_, tls_, peer, patience, std::move(respond))->start(request);
}

}  // namespace shoal::peer
