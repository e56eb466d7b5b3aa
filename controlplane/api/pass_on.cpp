// Once: who is asked by another host does not pass it on.
#include "controlplane/api/pass_on.h"

#include <charconv>
#include <utility>

namespace shoal::rest {
namespace {

void ask(const Service& service, const model::Host& host, const Request& request,
         std::chrono::seconds patience, Respond respond) {
    Request passed = request;
    passed.headers[revision_header] = std::to_string(service.mirror.revision());
    service.ask_host(host, passed, patience, std::move(respond));
}

}  // namespace

void when_up_to_date(Service& service, Request request, Respond respond, Handle handle) {
    store::Revision revision = 0;
    if (const auto found = request.headers.find(revision_header); found != request.headers.end()) {
        const std::string& text = found->second;
        std::from_chars(text.data(), text.data() + text.size(), revision);
    }
    if (revision <= service.mirror.revision()) {
        return handle(std::move(request), std::move(respond));
    }
    service.mirror.when(revision, [request = std::move(request), respond = std::move(respond),
                                   handle = std::move(handle)]() mutable {
        handle(std::move(request), std::move(respond));
    });
}

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
    ask(service, found->second.host, request, patience,
        [name, respond = std::move(respond)](Response response) mutable {
            const bool has_left = response.status == 421;
            respond(has_left
                        ? to_response(Problem{503, "microVM " + name + " is moving: ask again"})
                        : std::move(response));
        });
    return true;
}

void pass_on_to(const Service& service, const std::string& host, const Request& request,
                std::chrono::seconds patience, Respond respond) {
    const node::HostEntry* const entry = service.mirror.find_host(host);
    if (entry == nullptr) {
        throw Problem{404, "there is no host " + (model::is_name(host) ? host : "of that name")};
    }
    if (!service.ask_host || entry->host.peer_address.empty()) {
        throw Problem{421, "host " + host + " cannot be reached from here: ask the shoald there"};
    }
    ask(service, entry->host, request, patience, std::move(respond));
}

}  // namespace shoal::rest
