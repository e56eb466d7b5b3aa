// A project is there as soon as somebody names it; only its limits are stored.
#include "controlplane/api/projects.h"

#include <set>
#include <utility>

#include "controlplane/http/target.h"
#include "controlplane/model/keys.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;
using Entry = node::Object<model::Project>;

Entry find(const Service& service, const std::string& name) {
    if (!model::is_name(name)) {
        throw Problem{404, "there is no project of that name"};
    }
    const auto& all = service.mirror.objects().projects;
    const auto found = all.find(name);
    return found == all.end() ? Entry{{name, {}, {}, {}}, 0} : found->second;
}

std::string to_json(const Service& service, const Entry& entry) {
    const Usage used = service.quotas.used(service.mirror, entry.body.name);
    return R"({"name":)" + quote(entry.body.name) + R"(,"resource_version":)" +
           std::to_string(entry.revision) + R"(,"spec":)" + model::to_json(entry.body) +
           R"(,"used":{"microvms":)" + std::to_string(used.microvms) + R"(,"memory_mib":)" +
           std::to_string(used.memory_mib) + R"(,"vcpus":)" + std::to_string(used.vcpus) + "}}";
}

Response show(const Service& service, unsigned status, const std::string& name) {
    const Entry entry = find(service, name);
    return json_response(status, to_json(service, entry), entry.revision);
}

void put(Service& service, const Request& request, const model::Project& project, Respond respond) {
    const Entry entry = find(service, project.name);
    expect_match(request, entry.revision);
    const std::string key = keys::of(keys::projects, project.name);
    store::Transaction transaction;
    transaction.conditions = {{key, entry.revision}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(project)});
    commit(service, std::move(transaction), std::move(respond),
           [&service, name = project.name, status = entry.revision == 0 ? 201U : 200U](
               store::Revision) { return show(service, status, name); });
}

void list(const Service& service, const Request& request, Respond respond) {
    std::map<std::string, Entry> all = service.mirror.objects().projects;
    for (const auto& [name, microvm] : service.mirror.microvms()) {
        all.try_emplace(microvm.spec.project, Entry{{microvm.spec.project, {}, {}, {}}, 0});
    }
    for (const auto& [name, entry] : service.mirror.groups()) {
        const std::string& project = entry.group.microvm.project;
        all.try_emplace(project, Entry{{project, {}, {}, {}}, 0});
    }
    respond(list_all(service, request, all,
                     [&service](const Entry& entry) { return to_json(service, entry); }));
}

void remove(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    const Entry entry = find(service, request.path[2]);
    if (entry.revision == 0) {
        throw Problem{404, "project " + entry.body.name + " has no limits"};
    }
    forget(service, request, keys::of(keys::projects, entry.body.name), entry.revision,
           std::move(respond));
}

}  // namespace

void add_projects(Api& api, Service& service) {
    api.add("POST", "/v1/projects", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        put(service, request, body_of<model::Project>(request), std::move(respond));
    });
    api.add("PUT", "/v1/projects/*", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        const auto project = body_of<model::Project>(request);
        if (project.name != request.path[2]) {
            throw Problem{400, "project.name and the path do not name the same project"};
        }
        put(service, request, project, std::move(respond));
    });
    api.add("GET", "/v1/projects", [&service](const Request& request, Respond respond) {
        list(service, request, std::move(respond));
    });
    api.add("GET", "/v1/projects/*", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        respond(show(service, 200, request.path[2]));
    });
    api.add("DELETE", "/v1/projects/*", [&service](const Request& request, Respond respond) {
        remove(service, request, std::move(respond));
    });
}

}  // namespace shoal::rest
