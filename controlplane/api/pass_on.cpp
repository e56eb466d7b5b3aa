// Once: who is asked by another host does not pass it on.
#include "controlplane/api/pass_on.h"

#include <utility>

namespace shoal::rest {

bool pass_on(const Service& service, const node::MicroVm& microvm, const Request& request,
             std::chrono::seconds patience, Respond& respond) {
    if (!microvm.placement || microvm.placement->host == service.host) {
        return false;
    }
    const std::string& name = microvm.spec.name;
    const std::string& host = microvm.placement->host;
    const auto found = service.mirror.hosts().find(host);
    if (!service.ask_host || found == service.mirror.hosts().end() ||
        found->second.host.peer_address.empty()) {
        throw Problem{421, "microVM " + name + " is on host " + host + ": ask the shoald there"};
    }
    service.ask_host(found->second.host, request, patience,
                     [name, respond = std::move(respond)](Response response) mutable {
                         const bool has_left = response.status == 421;
                         respond(has_left ? to_response(Problem{
                                                503, "microVM " + name + " is moving: ask again"})
                                          : std::move(response));
                     });
    return true;
}

}  // namespace shoal::rest
