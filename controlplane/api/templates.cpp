// A template is there whole, or not at all: the answer waits until it is made.
#include "controlplane/api/templates.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "controlplane/api/references.h"
#include "controlplane/api/target.h"
#include "controlplane/model/keys.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;
using Entry = node::Object<model::Template>;

std::string to_json(const Service& service, const Entry& entry) {
    std::string hosts;
    for (const std::string& host : service.mirror.objects().hosts_with(entry.body)) {
        hosts += (hosts.empty() ? "" : ",") + quote(host);
    }
    return R"({"name":)" + quote(entry.body.name) + R"(,"resource_version":)" +
           std::to_string(entry.revision) + R"(,"hosts":[)" + hosts + R"(],"spec":)" +
           model::to_json(entry.body) + "}";
}

const Entry& find(const Service& service, const std::string& name) {
    return find_object(service.mirror.objects().templates, "template", name);
}

Response show(const Service& service, unsigned status, const std::string& name) {
    const Entry& entry = find(service, name);
    return json_response(status, to_json(service, entry), entry.revision);
}

long in_making(const TemplateService& service) {
    return service.making.use_count() - 1;
}

void check_new(const TemplateService& service, const model::TemplateSpec& spec) {
    if (service.service.mirror.objects().templates.contains(spec.name)) {
        throw Problem{409, "there is a template " + spec.name + " already"};
    }
    if (!spec.from.empty() && !spec.from.starts_with('/')) {
        throw Problem{400, "template.from must be an absolute path of the host"};
    }
    if (in_making(service) >= max_templates_in_making) {
        throw Problem{429, std::to_string(max_templates_in_making) +
                               " templates are being prepared already: try again later"};
    }
}

void put(TemplateService& service, const model::Template& made, std::shared_ptr<int> making,
         Respond respond) {
    store::Transaction transaction;
    const std::string key = keys::of(keys::templates, made.name);
    transaction.conditions = {{key, 0}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(made)});
    // Read now, not when the first clone waits for it.
    static_cast<void>(service.check.look(service.folder.path_of(made.digest)));
    commit(service.service, std::move(transaction), std::move(respond),
           [&service, name = made.name, making = std::move(making)](store::Revision) {
               Response response = show(service.service, 201, name);
               response.headers["Location"] = "/v1/templates/" + name;
               return response;
           });
}

void create(TemplateService& service, const model::TemplateSpec& spec, Respond respond) {
    check_new(service, spec);
    collect_templates(service);
    service.maker.make(spec, [&service, making = service.making, respond = std::move(respond)](
                                 const templates::TemplateMaker::Outcome& made) mutable {
        if (!made.failure.empty()) {
            return respond(
                to_response(Problem{422, "the template cannot be made: " + made.failure}));
        }
        put(service, made.made, std::move(making), std::move(respond));
    });
}

// One that is there stays as it is: it is never changed.
void apply(TemplateService& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    const auto spec = body_of<model::TemplateSpec>(request);
    if (spec.name != request.path[2]) {
        throw Problem{400, "template.name and the path do not name the same template"};
    }
    if (service.service.mirror.objects().templates.contains(spec.name)) {
        return respond(show(service.service, 200, spec.name));
    }
    create(service, spec, std::move(respond));
}

void remove(TemplateService& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    const std::string& name = request.path[2];
    const Entry& entry = find(service.service, name);
    const std::string user = user_of(service.service, [&](const model::MicroVmSpec& spec) {
        return spec.from_template == name;
    });
    if (!user.empty()) {
        throw Problem{409, "template " + name + " is in use by " + user};
    }
    forget(service.service, request, keys::of(keys::templates, name), entry.revision,
           std::move(respond), [&service] { collect_templates(service); });
}

}  // namespace

void collect_templates(const TemplateService& service) {
    if (in_making(service) > 0) {
        return;  // What is made may be on the disk, and not yet in the store: another time.
    }
    std::set<std::string> digests;
    for (const auto& [name, entry] : service.service.mirror.objects().templates) {
        digests.insert(entry.body.digest);
    }
    service.folder.keep_only(digests);
}

void add_templates(Api& api, TemplateService& service) {
    api.add("POST", "/v1/templates", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        create(service, body_of<model::TemplateSpec>(request), std::move(respond));
    });
    api.add("PUT", "/v1/templates/*", [&service](const Request& request, Respond respond) {
        apply(service, request, std::move(respond));
    });
    api.add("GET", "/v1/templates", [&service](const Request& request, Respond respond) {
        respond(
            list_all(service.service, request, service.service.mirror.objects().templates,
                     [&service](const Entry& entry) { return to_json(service.service, entry); }));
    });
    api.add("GET", "/v1/templates/*", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        respond(show(service.service, 200, request.path[2]));
    });
    api.add("DELETE", "/v1/templates/*", [&service](const Request& request, Respond respond) {
        remove(service, request, std::move(respond));
    });
}

}  // namespace shoal::rest
