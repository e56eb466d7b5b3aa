// What ends runs on its host: here it is written down.
#include "controlplane/api/microvm_ends.h"

#include <utility>

#include "controlplane/api/microvms.h"
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

void remove(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {"grace_s"});
    const std::string& name = request.path[2];
    const node::MicroVm& microvm = find_microvm(service, name);
    expect_match(request, microvm.revision);
    const model::Deletion deletion = deletion_in(request);
    if (microvm.deletion && microvm.deletion->grace_s <= deletion.grace_s) {
        return respond(show_microvm(service, 202, name));
    }
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::microvms, name), microvm.revision}};
    transaction.operations.emplace_back(
        store::Put{keys::of(keys::deletions, name), model::to_json(deletion)});
    commit(service, std::move(transaction), std::move(respond), [&service, name](store::Revision) {
        Response response = show_microvm(service, 202, name);
        if (response.status == 404) {  // it is gone already
            response = {};
            response.status = 204;
        }
        return response;
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
