// The file first, then the store, then the file's name: volume_folder.h says why.
#include "controlplane/api/volumes.h"
#include "controlplane/api/store_problem.h"

#include <boost/asio/post.hpp>
#include <functional>
#include <map>
#include <system_error>
#include <utility>

#include "controlplane/api/references.h"
#include "controlplane/http/target.h"
#include "controlplane/model/keys.h"
#include "devices/host/log.h"

namespace shoal::rest {
namespace {

namespace asio = boost::asio;
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

using Step = std::function<void(const volumes::VolumeFolder&)>;
using Then = std::move_only_function<void(std::error_code error, const std::string& what)>;

// Has a worker do it, and goes on here. The folder is a path: a worker has its own.
void do_to_file(VolumeService& service, Step step, Then then) {
    asio::post(service.workers, [&context = service.context, folder = service.folder,
                                 step = std::move(step), then = std::move(then)]() mutable {
        std::error_code error;
        std::string what;
        try {
            step(folder);
        } catch (const std::system_error& failure) {
            error = failure.code();
            what = failure.what();
        }
        asio::post(context, [error, what, then = std::move(then)]() mutable { then(error, what); });
    });
}

// What must be possible after it was possible a moment ago; if not, the next shoald does it.
void log_failure(const std::error_code& error, const std::string& what) {
    if (error) {
        host::log(host::LogLevel::error, what);
    }
}

// What is done to the file before and after its record is written.
struct Change {
    std::string name;
    store::Transaction transaction;
    Step done;
    Step undone;
    std::function<Response()> make;  // the answer
};

void end(VolumeService& service, const Change& change, store::Revision revision, Respond& respond) {
    service.service.mirror.when(revision, [&service, name = change.name, make = change.make,
                                           respond = std::move(respond)]() mutable {
        service.changing.erase(name);
        respond(make());
    });
}

void take_back(VolumeService& service, const Change& change, Response answer, Respond respond) {
    do_to_file(
        service, change.undone,
        [&service, name = change.name, answer = std::move(answer), respond = std::move(respond)](
            std::error_code error, const std::string& what) mutable {
            log_failure(error, what);
            service.changing.erase(name);
            respond(std::move(answer));
        });
}

void commit_with_file(VolumeService& service, Change change, Respond respond) {
    auto transaction = std::move(change.transaction);
    service.service.store.commit(
        std::move(transaction),
        [&service, change = std::move(change),
         respond = std::move(respond)](const store::Result<store::Revision>& result) mutable {
            if (result) {
                const Step done = change.done;
                return do_to_file(service, done,
                                  [&service, change = std::move(change), revision = *result,
                                   respond = std::move(respond)](std::error_code error,
                                                                 const std::string& what) mutable {
                                      log_failure(error, what);
                                      end(service, change, revision, respond);
                                  });
            }
            Response answer = to_response(to_problem(result.error()));
            if (result.error().failure != store::Failure::uncertain) {
                return take_back(service, change, std::move(answer), std::move(respond));
            }
            // The file stays as it is, for the next shoald to see.
            service.changing.erase(change.name);
            respond(std::move(answer));
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
    const std::string key = keys::of(keys::volumes, name);
    Change change{name,
                  {{{key, 0}}, {store::Put{key, model::to_json(volume)}}},
                  [name](const volumes::VolumeFolder& folder) { folder.keep(name); },
                  [name](const volumes::VolumeFolder& folder) { folder.drop(name); },
                  [&service, name] {
                      Response response = show(service.service, 201, name);
                      response.headers["Location"] = "/v1/volumes/" + name;
                      return response;
                  }};
    do_to_file(
        service,
        [name, size_bytes = volume.size_mib << 20](const volumes::VolumeFolder& folder) {
            folder.prepare(name, size_bytes);
        },
        [&service, change = std::move(change), respond = std::move(respond)](
            std::error_code error, const std::string& what) mutable {
            if (error) {
                service.changing.erase(change.name);
                return respond(to_response(Problem{507, what}));
            }
            commit_with_file(service, std::move(change), std::move(respond));
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
    const std::string key = keys::of(keys::volumes, name);
    Change change{name,
                  {{{key, entry.revision}}, {store::Delete{key}}},
                  [file](const volumes::VolumeFolder& folder) { folder.remove(file); },
                  [file](const volumes::VolumeFolder& folder) { folder.restore(file); },
                  [] { return Response{.status = 204}; }};
    do_to_file(
        service, [file](const volumes::VolumeFolder& folder) { folder.mark_deleted(file); },
        [&service, change = std::move(change), respond = std::move(respond)](
            std::error_code error, const std::string& what) mutable {
            if (error && error != std::errc::no_such_file_or_directory) {
                service.changing.erase(change.name);
                return respond(to_response(Problem{500, what}));
            }
            // Somebody may have come meanwhile.
            if (const std::string user = user_of_volume(service.service, change.name);
                !user.empty()) {
                return take_back(service, change,
                                 to_response(Problem{409, "volume " + change.name +
                                                              " is attached to microVM " + user}),
                                 std::move(respond));
            }
            commit_with_file(service, std::move(change), std::move(respond));
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
