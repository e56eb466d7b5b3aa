// A network is an entry of the store; hosts make bridges of it when microVMs need them.
#include "controlplane/api/networks.h"

#include <utility>

#include "controlplane/api/references.h"
#include "controlplane/http/target.h"
#include "controlplane/model/keys.h"
#include "controlplane/network/subnet.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;
using Entry = node::Object<model::Network>;

std::string to_json(const Service& service, const Entry& entry) {
    const auto& all = service.mirror.objects().addresses;
    const auto found = all.find(entry.body.name);
    return R"({"name":)" + quote(entry.body.name) + R"(,"resource_version":)" +
           std::to_string(entry.revision) + R"(,"spec":)" + model::to_json(entry.body) +
           R"(,"addresses":)" + std::to_string(found == all.end() ? 0 : found->second.size()) + "}";
}

const Entry& find(const Service& service, const std::string& name) {
    return find_object(service.mirror.objects().networks, "network", name);
}

Response show(const Service& service, unsigned status, const std::string& name) {
    const Entry& entry = find(service, name);
    return json_response(status, to_json(service, entry), entry.revision);
}

// The host has an address in each: two of them must not be the same for its routes.
void check_subnet(const Service& service, const model::Network& network) {
    const auto subnet = network::parse_subnet(network.subnet);
    if (!subnet) {
        throw Problem{400,
                      "network.subnet must be ADDRESS/BITS with 8 to 30 bits and nothing in "
                      "the address behind them, as in 10.88.0.0/24"};
    }
    for (const auto& [name, entry] : service.mirror.objects().networks) {
        const auto other = network::parse_subnet(entry.body.subnet);
        if (other && other->overlaps(*subnet)) {
            throw Problem{
                409, network.subnet + " overlaps with network " + name + ", " + entry.body.subnet};
        }
    }
}

// Another host may have made one that overlaps at the same time: the later one goes.
void give_way(Service& service, const std::string& name, store::Revision made) {
    const auto& all = service.mirror.objects().networks;
    const auto found = all.find(name);
    const auto subnet =
        found == all.end() ? std::nullopt : network::parse_subnet(found->second.body.subnet);
    if (!subnet || found->second.revision != made) {
        return;
    }
    for (const auto& [other, entry] : all) {
        const auto theirs = network::parse_subnet(entry.body.subnet);
        if (theirs && entry.revision < made && theirs->overlaps(*subnet)) {
            const std::string key = keys::of(keys::networks, name);
            service.store.commit({{{key, made}}, {store::Delete{key}}},
                                 [](const store::Result<store::Revision>&) {});
            throw Problem{409, found->second.body.subnet + " overlaps with network " + other +
                                   ", " + entry.body.subnet};
        }
    }
}

void create(Service& service, const model::Network& network, Respond respond) {
    if (service.mirror.objects().networks.contains(network.name)) {
        throw Problem{409, "there is a network " + network.name + " already"};
    }
    check_subnet(service, network);
    store::Transaction transaction;
    const std::string key = keys::of(keys::networks, network.name);
    transaction.conditions = {{key, 0}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(network)});
    commit(service, std::move(transaction), std::move(respond),
           [&service, name = network.name](store::Revision made) {
               give_way(service, name, made);
               Response response = show(service, 201, name);
               response.headers["Location"] = "/v1/networks/" + name;
               return response;
           });
}

void apply(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    const auto network = body_of<model::Network>(request);
    if (network.name != request.path[2]) {
        throw Problem{400, "network.name and the path do not name the same network"};
    }
    const auto& all = service.mirror.objects().networks;
    const auto found = all.find(network.name);
    if (found == all.end()) {
        return create(service, network, std::move(respond));
    }
    if (model::to_json(found->second.body) != model::to_json(network)) {
        throw Problem{422, "network " + network.name + " cannot be changed"};
    }
    respond(show(service, 200, network.name));
}

void remove(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    const std::string& name = request.path[2];
    const Entry& entry = find(service, name);
    const std::string user =
        user_of(service, [&](const model::MicroVmSpec& spec) { return spec.network == name; });
    if (!user.empty()) {
        throw Problem{409, "network " + name + " is in use by " + user};
    }
    forget(service, request, keys::of(keys::networks, name), entry.revision, std::move(respond));
}

}  // namespace

void add_networks(Api& api, Service& service) {
    api.add("POST", "/v1/networks", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        create(service, body_of<model::Network>(request), std::move(respond));
    });
    api.add("PUT", "/v1/networks/*", [&service](const Request& request, Respond respond) {
        apply(service, request, std::move(respond));
    });
    api.add("GET", "/v1/networks", [&service](const Request& request, Respond respond) {
        respond(list_all(service, request, service.mirror.objects().networks,
                         [&service](const Entry& entry) { return to_json(service, entry); }));
    });
    api.add("GET", "/v1/networks/*", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        respond(show(service, 200, request.path[2]));
    });
    api.add("DELETE", "/v1/networks/*", [&service](const Request& request, Respond respond) {
        remove(service, request, std::move(respond));
    });
}

}  // namespace shoal::rest
