// Carried out by node/volume_changes.h.
#include "controlplane/api/volumes.h"

#include <map>
#include <optional>
#include <utility>

#include "controlplane/api/references.h"
#include "controlplane/api/store_problem.h"
#include "controlplane/http/target.h"

namespace shoal::rest {
namespace {

using Entry = node::Object<model::Volume>;

std::string to_json(const Service& service, const Entry& entry) {
    const std::string user = user_of_volume(service, entry.body.name);
    return R"({"name":)" + quote(entry.body.name) + R"(,"resource_version":)" +
           std::to_string(entry.revision) + R"(,"spec":)" + model::to_json(entry.body) +
           R"(,"attached_to":)" + (user.empty() ? "null" : quote(user)) + "}";
}

const Entry& find(const Service& service, const std::string& name) {
    return find_object(service.mirror.objects().volumes, "volume", name);
}

Response show(const Service& service, unsigned status, const std::string& name) {
    const Entry& entry = find(service, name);
    return json_response(status, to_json(service, entry), entry.revision);
}

void expect_unchanging(const VolumeService& service, const std::string& name) {
    if (service.changes.is_changing(name)) {
        throw Problem{409, "volume " + name + " is being created or deleted"};
    }
}

Problem to_problem(const node::VolumeFailure& failure, unsigned of_disk) {
    if (failure.store) {
        return rest::to_problem(*failure.store);
    }
    return {failure.is_in_use ? 409 : of_disk, failure.reason};
}

void create(VolumeService& service, model::Volume volume, Respond respond) {
    const std::string& name = volume.name;
    if (service.service.mirror.objects().volumes.contains(name)) {
        throw Problem{409, "there is a volume " + name + " already"};
    }
    if (!service.changes.reaches(volume.storage)) {
        throw Problem{422, "host " + service.host + " does not reach storage " + volume.storage};
    }
    if (const std::string reason = service.changes.why_not(name, volume.storage); !reason.empty()) {
        throw Problem{409, reason};
    }
    if ((!volume.host.empty() && volume.host != service.host) || volume.takeovers != 0 ||
        !volume.group.empty() || volume.group_created != 0) {
        throw Problem{422,
                      "volume.host, volume.takeovers, volume.group and volume.group_created are "
                      "set by its host"};
    }
    volume.host = service.host;
    expect_unchanging(service, name);
    service.changes.create(
        volume, {},
        [&service, name,
         respond = std::move(respond)](const std::optional<node::VolumeFailure>& failure) mutable {
            if (failure) {
                return respond(to_response(to_problem(*failure, 507)));
            }
            if (!service.service.mirror.objects().volumes.contains(name)) {
                return respond(to_response(Problem{404, "volume " + name + " was deleted"}));
            }
            Response response = show(service.service, 201, name);
            response.headers["Location"] = "/v1/volumes/" + name;
            respond(std::move(response));
        });
}

void apply(VolumeService& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    auto volume = body_of<model::Volume>(request);
    if (volume.name != request.path[2]) {
        throw Problem{400, "volume.name and the path do not name the same volume"};
    }
    const auto& all = service.service.mirror.objects().volumes;
    const auto found = all.find(volume.name);
    if (found == all.end()) {
        return create(service, std::move(volume), std::move(respond));
    }
    if (found->second.body.size_mib != volume.size_mib) {
        throw Problem{422, "the size of volume " + volume.name + " cannot be changed"};
    }
    if (found->second.body.storage != volume.storage) {
        throw Problem{422, "the storage of volume " + volume.name + " cannot be changed"};
    }
    respond(show(service.service, 200, volume.name));
}

void remove_own(VolumeService& service, const Entry& entry, Respond respond) {
    service.changes.remove(
        entry.body, entry.revision,
        [&service, name = entry.body.name] { return user_of_volume(service.service, name); },
        [respond = std::move(respond)](const std::optional<node::VolumeFailure>& failure) mutable {
            respond(failure ? to_response(to_problem(*failure, 500)) : Response{.status = 204});
        });
}

void remove(VolumeService& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    const std::string name = request.path[2];
    const Entry& entry = find(service.service, name);
    expect_match(request, entry.revision);
    if (const std::string user = user_of_volume(service.service, name); !user.empty()) {
        throw Problem{409, "volume " + name + " is attached to microVM " + user};
    }
    expect_unchanging(service, name);
    if (entry.body.host == service.host) {
        return remove_own(service, entry, std::move(respond));
    }
    if (!service.changes.is_orphan(entry.body)) {
        throw Problem{409, "volume " + name + " is on host " + entry.body.host};
    }
    service.changes.adopt(
        entry.body, service.host, entry.revision, {},
        [&service, name,
         respond = std::move(respond)](const std::optional<node::VolumeFailure>& failure) mutable {
            const auto& all = service.service.mirror.objects().volumes;
            const auto found = all.find(name);
            if (failure) {
                return respond(to_response(to_problem(*failure, 500)));
            }
            if (found == all.end() || found->second.body.host != service.host) {
                return respond(to_response(Problem{409, "volume " + name + " was changed"}));
            }
            remove_own(service, found->second, std::move(respond));
        });
}

}  // namespace

void reconcile_volumes(const VolumeService& service) {
    const auto reconcile = [&](const std::string& storage, const volumes::VolumeFolder& folder) {
        std::map<std::string, volumes::KnownVolume> known;
        for (const auto& [name, entry] : service.service.mirror.objects().volumes) {
            known[name] = {entry.body.takeovers,
                           entry.body.host == service.host && entry.body.storage == storage};
        }
        folder.reconcile(known);
    };
    reconcile("", service.folders.own());
    for (const auto& [name, folder] : service.folders.storages()) {
        reconcile(name, folder);
    }
}

void add_volumes(Api& api, VolumeService& service) {
    api.add("POST", "/v1/volumes", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        create(service, body_of<model::Volume>(request), std::move(respond));
    });
    api.add("PUT", "/v1/volumes/*", [&service](const Request& request, Respond respond) {
        apply(service, request, std::move(respond));
    });
    api.add("GET", "/v1/volumes", [&service](const Request& request, Respond respond) {
        respond(
            list_all(service.service, request, service.service.mirror.objects().volumes,
                     [&service](const Entry& entry) { return to_json(service.service, entry); }));
    });
    api.add("GET", "/v1/volumes/*", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        respond(show(service.service, 200, request.path[2]));
    });
    api.add("DELETE", "/v1/volumes/*", [&service](const Request& request, Respond respond) {
        remove(service, request, std::move(respond));
    });
}

}  // namespace shoal::rest
