// Writes what is wanted into the store; the node agent does the rest.
#include "controlplane/api/microvms.h"

#include <array>
#include <optional>
#include <utility>

#include "controlplane/api/microvm_creation.h"
#include "controlplane/api/microvm_ends.h"
#include "controlplane/api/references.h"
#include "controlplane/http/target.h"
#include "controlplane/model/keys.h"
#include "devices/host/random.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;

void put(Service& service, const model::MicroVmSpec& spec, store::Revision expected,
         Respond respond) {
    const std::string key = keys::of(keys::microvms, spec.name);
    store::Transaction transaction;
    transaction.conditions = {{key, expected}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(spec)});
    commit(
        service, std::move(transaction), std::move(respond),
        [&service, name = spec.name](store::Revision) { return show_microvm(service, 200, name); });
}

void apply(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {"dry_run"});
    auto spec = body_of<model::MicroVmSpec>(request);
    resolve(service, spec);
    const std::string& name = request.path[2];
    if (spec.name.empty()) {
        spec.name = name;
    }
    if (spec.name != name || !model::is_name(name)) {
        throw Problem{400, "microvm.name and the path do not name the same microVM"};
    }
    const node::MicroVm* found = service.mirror.find(name);
    if (found == nullptr) {
        if (if_match(request) != 0) {
            throw Problem{412, "there is no microVM " + name};
        }
        return create_microvm(service, request, std::move(spec), std::move(respond));
    }
    expect_match(request, found->revision);
    if (found->deletion) {
        throw Problem{409, "microVM " + name + " is being deleted"};
    }
    spec.stop = found->spec.stop;
    if (model::to_json(found->spec) == model::to_json(spec)) {
        return respond(show_microvm(service, 200, name));
    }
    if (model::to_json(with_changes(found->spec, spec)) != model::to_json(spec)) {
        throw Problem{422, "of microVM " + name +
                               " only labels, metadata, priority, restart, on_host_failure and "
                               "checkpoint can be changed: delete it, and create another"};
    }
    if (is_dry_run(request)) {
        return respond(show_dry_run(model::to_json(spec)));
    }
    put(service, spec, found->revision, std::move(respond));
}

void get(const Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    const node::MicroVm& microvm = find_microvm(service, request.path[2]);
    respond(json_response(200, to_json(microvm), microvm.revision));
}

// "key=value", or nothing.
std::optional<std::pair<std::string, std::string>> label_of(const Request& request) {
    const auto found = request.query.find("label");
    if (found == request.query.end()) {
        return std::nullopt;
    }
    const std::size_t equals = found->second.find('=');
    if (equals == std::string::npos) {
        throw Problem{400, "the parameter label must be KEY=VALUE"};
    }
    return std::pair{found->second.substr(0, equals), found->second.substr(equals + 1)};
}

void list(const Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {"limit", "after", "label", "group"});
    const auto label = label_of(request);
    const auto group = request.query.find("group");
    const auto is_asked_for = [&](const node::MicroVm& microvm) {
        const auto& labels = microvm.spec.labels;
        const auto found = label ? labels.find(label->first) : labels.end();
        return microvm.revision != 0 &&
               (!label || (found != labels.end() && found->second == label->second)) &&
               (group == request.query.end() || microvm.spec.group == group->second);
    };
    respond(list_page(service, request, service.mirror.microvms(), is_asked_for,
                      [](const node::MicroVm& microvm) { return to_json(microvm); }));
}

template <typename Body>
std::string json_or_null(const std::optional<Body>& body) {
    return body ? model::to_json(*body) : "null";
}

}  // namespace

model::MicroVmSpec with_changes(const model::MicroVmSpec& from, const model::MicroVmSpec& to) {
    model::MicroVmSpec changed = from;
    changed.labels = to.labels;
    changed.metadata = to.metadata;
    changed.priority = to.priority;
    changed.restart = to.restart;
    changed.on_host_failure = to.on_host_failure;
    changed.checkpoint = to.checkpoint;
    return changed;
}

std::string to_json(const node::MicroVm& microvm) {
    return R"({"name":)" + quote(microvm.spec.name) + R"(,"resource_version":)" +
           std::to_string(microvm.revision) + R"(,"created":)" + std::to_string(microvm.created) +
           R"(,"spec":)" + model::to_json(microvm.spec) + R"(,"placement":)" +
           json_or_null(microvm.placement) + R"(,"status":)" +
           model::to_json(microvm.status.value_or(model::MicroVmStatus{})) + R"(,"checkpoint":)" +
           json_or_null(microvm.checkpoint) + R"(,"deletion":)" + json_or_null(microvm.deletion) +
           "}";
}

Response show_microvm(const Service& service, unsigned status, const std::string& name) {
    const node::MicroVm* microvm = service.mirror.find(name);
    if (microvm == nullptr) {
        return to_response(Problem{404, "microVM " + name + " was deleted meanwhile"});
    }
    return json_response(status, to_json(*microvm), microvm->revision);
}

std::string make_name() {
    constexpr std::string_view letters = "abcdefghijkmnpqrstuvwxyz23456789";
    std::string name = "vm-";
    for (const unsigned char byte : host::random_value<std::array<unsigned char, 10>>()) {
        name += letters[byte % letters.size()];
    }
    return name;
}

const node::MicroVm& find_microvm(const Service& service, const std::string& name) {
    if (const node::MicroVm* microvm = service.mirror.find(name)) {
        return *microvm;
    }
    throw Problem{404, "there is no microVM " + (model::is_name(name) ? name : "of that name")};
}

Problem does_not_run(const node::MicroVm& microvm) {
    const std::string reason = microvm.status ? microvm.status->reason : "";
    return {409, "microVM " + microvm.spec.name + " does not run" +
                     (reason.empty() ? "" : ": " + reason)};
}

void add_microvms(Api& api, Service& service) {
    api.add("POST", "/v1/microvms", [&service](const Request& request, Respond respond) {
        create_microvms(service, request, std::move(respond));
    });
    api.add("GET", "/v1/microvms", [&service](const Request& request, Respond respond) {
        list(service, request, std::move(respond));
    });
    api.add("GET", "/v1/microvms/*", [&service](const Request& request, Respond respond) {
        get(service, request, std::move(respond));
    });
    api.add("PUT", "/v1/microvms/*", [&service](const Request& request, Respond respond) {
        apply(service, request, std::move(respond));
    });
    add_microvm_ends(api, service);
}

}  // namespace shoal::rest
