// Of a host that has no heartbeat, because it is alone, the answer itself is the sign of life.
#include "controlplane/api/hosts.h"

#include <chrono>
#include <map>
#include <utility>

#include "controlplane/http/target.h"
#include "controlplane/model/keys.h"
#include "devices/host/version.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;
using Usage = std::map<std::string, model::Resources>;

// As the leader suspects it (failover/host_watch.h).
constexpr std::chrono::seconds silence{2};
constexpr std::chrono::milliseconds retry_delay{50};
constexpr unsigned schedule_tries = 5;

// By hosts: what is placed and has not ended.
Usage usage_of_all(const node::Mirror& mirror) {
    Usage usage;
    for (const auto& [name, microvm] : mirror.microvms()) {
        if (microvm.revision != 0 && microvm.placement && !node::has_ended(microvm)) {
            usage[microvm.placement->host] += microvm.spec.resources();
        }
    }
    return usage;
}

const char* health_of(const Service& service, const node::HostEntry& entry) {
    if (entry.heartbeat_revision == 0) {
        return "alive";
    }
    if (entry.heartbeat.sequence == 0) {
        return "lost";
    }
    return service.loop.now() - entry.beat_at > silence ? "silent" : "alive";
}

std::string to_json(const Service& service, const node::HostEntry& entry, const Usage& usage) {
    const auto used = usage.find(entry.host.name);
    const bool is_draining = entry.host.scheduling == model::Scheduling::draining;
    return R"({"name":)" + quote(entry.host.name) + R"(,"resource_version":)" +
           std::to_string(entry.revision) + R"(,"spec":)" + model::to_json(entry.host) +
           R"(,"health":")" + health_of(service, entry) + R"(","epoch":)" +
           std::to_string(entry.heartbeat.epoch) + R"(,"drain":)" +
           (is_draining && entry.drain ? model::to_json(*entry.drain) : "null") + R"(,"used":)" +
           model::to_json(used == usage.end() ? model::Resources{} : used->second) + "}";
}

const node::HostEntry& find_host(const Service& service, const std::string& name) {
    const node::HostEntry* const found = service.mirror.find_host(name);
    if (found == nullptr) {
        throw Problem{404, "there is no host " + (model::is_name(name) ? name : "of that name")};
    }
    return *found;
}

Response show(const Service& service, const std::string& name) {
    const node::HostEntry& entry = find_host(service, name);
    return json_response(200, to_json(service, entry, usage_of_all(service.mirror)),
                         entry.revision);
}

void list(const Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {"limit", "after"});
    const Usage usage = usage_of_all(service.mirror);
    Response response = list_page(
        service, request, service.mirror.hosts(),
        [](const node::HostEntry& entry) { return entry.revision != 0; },
        [&](const node::HostEntry& entry) { return to_json(service, entry, usage); });
    const std::string& stopped = service.mirror.failover_stopped();
    response.body.insert(
        1, R"("failover_stopped":)" + (stopped.empty() ? "null" : quote(stopped)) + ",");
    respond(std::move(response));
}

// Of a host that comes back, its own shoald writes what it is at the same time: unless the client
// said what it expects, it is done over what that wrote.
void schedule(Service& service, Request request, Respond respond, unsigned tries) {
    expect_parameters(request, {});
    const auto change = body_of<model::SchedulingChange>(request);
    const std::string name = request.path[2];
    const node::HostEntry& entry = find_host(service, name);
    expect_match(request, entry.revision);
    if (service.placer != nullptr && change.scheduling == model::Scheduling::draining) {
        throw Problem{409, "host " + name +
                               " is alone: there is no other one that its microVMs could move to"};
    }
    model::Host host = entry.host;
    host.scheduling = change.scheduling;
    const std::string key = keys::of(keys::hosts, name);
    store::Transaction transaction;
    transaction.conditions = {{key, entry.revision}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(host)});
    transaction.operations.emplace_back(store::Delete{keys::of(keys::drains, name)});
    if (if_match(request) == 0 && tries > 1) {
        respond = [&service, request, tries,
                   respond = std::move(respond)](Response response) mutable {
            if (response.status != 409) {
                return respond(std::move(response));
            }
            service.loop.call_after(
                retry_delay, [&service, request, tries, respond = std::move(respond)]() mutable {
                    schedule(service, request, std::move(respond), tries - 1);
                });
        };
    }
    commit(service, std::move(transaction), std::move(respond),
           [&service, name](store::Revision) { return show(service, name); });
}

// Only of one whose microVMs others own by now. It may come back, as a new one.
void remove(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    const std::string& name = request.path[2];
    const node::HostEntry& entry = find_host(service, name);
    expect_match(request, entry.revision);
    const bool is_lost = entry.heartbeat_revision != 0 && entry.heartbeat.sequence == 0;
    if (!is_lost || usage_of_all(service.mirror).contains(name)) {
        throw Problem{409, "host " + name + " is not lost, or microVMs are still placed there"};
    }
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::hosts, name), entry.revision},
                              {keys::of(keys::heartbeats, name), entry.heartbeat_revision}};
    transaction.operations.emplace_back(store::Delete{keys::of(keys::hosts, name)});
    commit(service, std::move(transaction), std::move(respond), [](store::Revision) {
        Response response;
        response.status = 204;
        return response;
    });
}

// Before the store has this host, it is nobody yet.
Response show_self(const Service& service, const std::string& self) {
    const auto found = service.mirror.hosts().find(self);
    const model::Host facts =
        found == service.mirror.hosts().end() ? model::Host{} : found->second.host;
    Response response;
    response.body = R"({"name":)" + quote(self) + R"(,"version":)" + quote(host::version) +
                    R"(,"allocatable":)" + model::to_json(facts.allocatable) + R"(,"used":)" +
                    model::to_json(usage_of_all(service.mirror)[self]) + "}";
    return response;
}

}  // namespace

void add_hosts(Api& api, Service& service, const std::string& self) {
    api.add("GET", "/v1/host", [&service, self](const Request& request, Respond respond) {
        expect_parameters(request, {});
        respond(show_self(service, self));
    });
    api.add("GET", "/v1/hosts", [&service](const Request& request, Respond respond) {
        list(service, request, std::move(respond));
    });
    api.add("GET", "/v1/hosts/*", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        respond(show(service, request.path[2]));
    });
    api.add("DELETE", "/v1/hosts/*", [&service](const Request& request, Respond respond) {
        remove(service, request, std::move(respond));
    });
    api.add("PUT", "/v1/hosts/*/scheduling", [&service](const Request& request, Respond respond) {
        schedule(service, request, std::move(respond), schedule_tries);
    });
}

}  // namespace shoal::rest
