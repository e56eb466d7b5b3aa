// The file first, then the store, then the file's name: volume_folder.h says why.
#include "controlplane/api/volumes.h"
#include "controlplane/api/store_problem.h"

#include <map>
#include <system_error>
#include <utility>

#include "controlplane/api/references.h"
#include "controlplane/http/target.h"
#include "controlplane/model/keys.h"
#include "devices/host/log.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;
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

void begin(VolumeService& service, const std::string& name) {
    if (!service.changing.insert(name).second) {
        throw Problem{409, "volume " + name + " is being created or deleted"};
    }
}

// What must be possible after it was possible a moment ago; if not, the next shoald does it.
template <typename Step>
void finish(Step step) {
    try {
        step();
    } catch (const std::system_error& error) {
        host::log(host::LogLevel::error, error.what());
    }
}

// Commits, and then does `done` or `undone` to the file; answers with what `make` makes.
template <typename Done, typename Undone, typename Make>
void commit_with_file(VolumeService& service, const std::string& name,
                      store::Transaction&& transaction, Respond respond, Done done, Undone undone,
                      Make make) {
    service.service.store.commit(
        std::move(transaction), [&service, name, done, undone, make, respond = std::move(respond)](
                                    store::Result<store::Revision> result) mutable {
            if (!result) {
                // Uncertain: the file stays as it is, for the next shoald to see.
                if (result.error().failure != store::Failure::uncertain) {
                    finish(undone);
                }
                service.changing.erase(name);
                return respond(to_response(to_problem(result.error())));
            }
            finish(done);
            service.service.mirror.when(
                *result, [&service, name, make, respond = std::move(respond)]() mutable {
                    service.changing.erase(name);
                    respond(make());
                });
        });
}

void create(VolumeService& service, model::Volume volume, Respond respond) {
    const std::string& name = volume.name;
    if (service.service.mirror.objects().volumes.contains(name)) {
        throw Problem{409, "there is a volume " + name + " already"};
    }
    if (service.folder.has({name})) {
        throw Problem{409, "there is a file of a volume " + name +
                               " already, which the store does not know: move it away"};
    }
    if ((!volume.host.empty() && volume.host != service.host) || volume.takeovers != 0) {
        throw Problem{422, "volume.host and volume.takeovers are set by its host"};
    }
    volume.host = service.host;
    begin(service, name);
    try {
        service.folder.prepare(name, volume.size_mib << 20);
    } catch (const std::system_error& error) {
        service.changing.erase(name);
        throw Problem{507, error.what()};
    }
    store::Transaction transaction;
    const std::string key = keys::of(keys::volumes, name);
    transaction.conditions = {{key, 0}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(volume)});
    commit_with_file(
        service, name, std::move(transaction), std::move(respond),
        [&service, name] { service.folder.keep(name); },
        [&service, name] { service.folder.drop(name); },
        [&service, name] {
            Response response = show(service.service, 201, name);
            response.headers["Location"] = "/v1/volumes/" + name;
            return response;
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
    respond(show(service.service, 200, volume.name));
}

void remove(VolumeService& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    const std::string name = request.path[2];
    const Entry& entry = find(service.service, name);
    expect_match(request, entry.revision);
    if (const std::string user = user_of_volume(service.service, name); !user.empty()) {
        throw Problem{409, "volume " + name + " is attached to microVM " + user};
    }
    if (entry.body.host != service.host) {
        throw Problem{409, "volume " + name + " is on host " + entry.body.host};
    }
    const volumes::VolumeFile file{name, entry.body.takeovers};
    begin(service, name);
    try {
        service.folder.mark_deleted(file);
    } catch (const std::system_error& error) {
        if (error.code() != std::errc::no_such_file_or_directory) {
            service.changing.erase(name);
            throw Problem{500, error.what()};
        }
    }
    store::Transaction transaction;
    const std::string key = keys::of(keys::volumes, name);
    transaction.conditions = {{key, entry.revision}};
    transaction.operations.emplace_back(store::Delete{key});
    commit_with_file(
        service, name, std::move(transaction), std::move(respond),
        [&service, file] { service.folder.remove(file); },
        [&service, file] { service.folder.restore(file); },
        [] {
            Response response;
            response.status = 204;
            return response;
        });
}

}  // namespace

void reconcile_volumes(const VolumeService& service) {
    std::map<std::string, volumes::KnownVolume> known;
    for (const auto& [name, entry] : service.service.mirror.objects().volumes) {
        known[name] = {entry.body.takeovers, entry.body.host == service.host};
    }
    service.folder.reconcile(known);
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
