// What ends runs on its host: here it is written down.
#include "controlplane/api/microvm_ends.h"

#include <utility>

#include "controlplane/api/microvms.h"
#include "controlplane/api/store_problem.h"
#include "controlplane/model/keys.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;

model::Deletion deletion_in(const Request& request) {
    constexpr std::uint64_t longest_grace_s = 3600;
    model::Deletion deletion;
    deletion.grace_s = number_of(request, "grace_s", deletion.grace_s, longest_grace_s);
    return deletion;
}

// Its description says so, and so it stays stopped wherever it is placed.
void stop(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {"grace_s"});
    const std::string& name = request.path[2];
    const node::MicroVm& microvm = find_microvm(service, name);
    expect_match(request, microvm.revision);
    model::MicroVmSpec spec = microvm.spec;
    if (!spec.group.empty()) {
        throw Problem{409, "microVM " + name + " is of group " + spec.group +
                               ", which would start another: scale or delete the group"};
    }
    if (microvm.deletion) {
        throw Problem{409, "microVM " + name + " is being deleted"};
    }
    if (!microvm.placement) {
        throw Problem{409, "microVM " + name + " has no host yet: delete it instead"};
    }
    const model::Deletion wanted = deletion_in(request);
    if (has_ended(microvm) || (spec.stop && spec.stop->grace_s <= wanted.grace_s)) {
        return respond(show_microvm(service, 200, name));
    }
    spec.stop = wanted;
    const std::string key = keys::of(keys::microvms, name);
    store::Transaction transaction;
    transaction.conditions = {{key, microvm.revision}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(spec)});
    commit(service, std::move(transaction), std::move(respond),
           [&service, name](store::Revision) { return show_microvm(service, 202, name); });
}

// What was to be deleted, and how.
struct Removal {
    std::string name;
    store::Revision created = 0;
    std::uint64_t grace_s = 0;
};

// Null once it is gone, also when there is another one of its name.
const node::MicroVm* find(const Service& service, const Removal& removal) {
    const node::MicroVm* microvm = service.mirror.find(removal.name);
    return microvm != nullptr && microvm->created == removal.created ? microvm : nullptr;
}

Response show(const Service& service, const Removal& removal) {
    if (find(service, removal) != nullptr) {
        return show_microvm(service, 202, removal.name);
    }
    Response response;
    response.status = 204;
    return response;
}

// The deletion has failed, or its answer was lost. Whoever has done it, what counts is that it is
// done: then the failure is not told.
void look_again(Service& service, Removal removal, store::Error error, Respond respond) {
    if (error.failure != store::Failure::uncertain && error.failure != store::Failure::conflict) {
        return respond(to_response(to_problem(error)));
    }
    std::string key = keys::of(keys::microvms, removal.name);
    service.store.get(std::move(key), [&service, removal = std::move(removal),
                                       error = std::move(error), respond = std::move(respond)](
                                          const store::Result<store::Lookup>& lookup) mutable {
        if (!lookup) {
            return respond(to_response(to_problem(error)));
        }
        service.mirror.when(
            lookup->revision, [&service, removal = std::move(removal), error = std::move(error),
                               respond = std::move(respond)]() mutable {
                const node::MicroVm* microvm = find(service, removal);
                const bool is_done =
                    microvm == nullptr ||
                    (microvm->deletion && microvm->deletion->grace_s <= removal.grace_s);
                respond(is_done ? show(service, removal) : to_response(to_problem(error)));
            });
    });
}

void remove(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {"grace_s"});
    const std::string& name = request.path[2];
    const node::MicroVm& microvm = find_microvm(service, name);
    expect_match(request, microvm.revision);
    const model::Deletion deletion = deletion_in(request);
    if (microvm.deletion && microvm.deletion->grace_s <= deletion.grace_s) {
        return respond(show_microvm(service, 202, name));
    }
    const std::string key = keys::of(keys::deletions, name);
    store::Transaction transaction;
    // The second one is the guard that lets a store find out what came of a lost answer.
    transaction.conditions = {{keys::of(keys::microvms, name), microvm.revision},
                              {key, microvm.deletion_revision}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(deletion)});
    Removal removal{name, microvm.created, deletion.grace_s};
    service.store.commit(
        std::move(transaction),
        [&service, removal = std::move(removal),
         respond = std::move(respond)](store::Result<store::Revision> result) mutable {
            if (!result) {
                return look_again(service, std::move(removal), result.error(), std::move(respond));
            }
            service.mirror.when(*result, [&service, removal = std::move(removal),
                                          respond = std::move(respond)]() mutable {
                respond(show(service, removal));
            });
        });
}

}  // namespace

void add_microvm_ends(Api& api, Service& service) {
    api.add("POST", "/v1/microvms/*/stop", [&service](const Request& request, Respond respond) {
        stop(service, request, std::move(respond));
    });
    api.add("DELETE", "/v1/microvms/*", [&service](const Request& request, Respond respond) {
        remove(service, request, std::move(respond));
    });
}

}  // namespace shoal::rest
