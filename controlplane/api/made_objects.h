// Objects that are made of files of this host and never changed, as templates are: create, apply,
// get, list, delete. One is there whole, or not at all: the answer waits until it is made.
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "controlplane/api/api.h"
#include "controlplane/api/references.h"
#include "controlplane/api/service.h"
#include "controlplane/content/bundle_check.h"
#include "controlplane/content/bundle_folder.h"
#include "controlplane/content/made.h"
#include "controlplane/http/target.h"
#include "controlplane/model/keys.h"
#include "devices/host/log.h"

namespace shoal::rest {

// `Spec` is what is asked for, `Body` what is there; both have a `name`, a body a `digest`.
template <typename Spec, typename Body>
struct MadeObjects {
    using Made = content::OnMade<Body>;
    using Entry = node::Object<Body>;

    Service& service;
    const content::BundleFolder& folder;
    content::BundleCheck& check;
    std::string_view keys;                              // where the store keeps them
    node::ObjectsByName<Body> node::Objects::*objects;  // where the mirror does
    std::string (*copy_name)(const std::string& name);  // of /copies/HOST/NAME
    bool (*is_used_by)(const std::string& name, const model::MicroVmSpec& spec);
    long max_in_making;
    void (*check_new)(const Spec& spec);  // throws Problem
    // Calls back on the loop's thread, once, if it still runs then. Throws std::system_error.
    std::function<void(const Spec& spec, Made made)> make;
    // Held by each that is being made, from before its files until the store has it.
    std::shared_ptr<int> making = std::make_shared<int>();

    [[nodiscard]] std::string kind() const { return std::string{folder.kind().name}; }
    [[nodiscard]] const node::ObjectsByName<Body>& all() const {
        return service.mirror.objects().*objects;
    }
    [[nodiscard]] long in_making() const { return making.use_count() - 1; }
    [[nodiscard]] std::string to_json(const Entry& entry) const;
    [[nodiscard]] Response show(unsigned status, const std::string& name) const;
    void put(const Body& made, std::shared_ptr<int> held, Respond respond);
    void create(const Spec& spec, Respond respond);
    void apply(const Request& request, Respond respond);
    void remove(const Request& request, Respond respond);

    // Digests, by what copies are called.
    [[nodiscard]] std::map<std::string, std::string> wanted(const node::Objects& from) const;
    // Deletes files of those that the store does not have.
    void collect() const;
    void add_to(Api& api);
};

template <typename Spec, typename Body>
std::string MadeObjects<Spec, Body>::to_json(const Entry& entry) const {
    std::string hosts;
    for (const std::string& host :
         service.mirror.objects().hosts_with(copy_name(entry.body.name), entry.body.digest)) {
        hosts += (hosts.empty() ? "" : ",") + quote(host);
    }
    return R"({"name":)" + quote(entry.body.name) + R"(,"resource_version":)" +
           std::to_string(entry.revision) + R"(,"hosts":[)" + hosts + R"(],"spec":)" +
           model::to_json(entry.body) + "}";
}

template <typename Spec, typename Body>
Response MadeObjects<Spec, Body>::show(unsigned status, const std::string& name) const {
    const Entry& entry = find_object(all(), kind(), name);
    return json_response(status, to_json(entry), entry.revision);
}

template <typename Spec, typename Body>
void MadeObjects<Spec, Body>::put(const Body& made, std::shared_ptr<int> held, Respond respond) {
    store::Transaction transaction;
    const std::string key = model::keys::of(keys, made.name);
    transaction.conditions = {{key, 0}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(made)});
    // Read now, not when the first microVM waits for it.
    static_cast<void>(check.look(made.digest));
    commit(service, std::move(transaction), std::move(respond),
           [this, name = made.name, held = std::move(held)](store::Revision) {
               Response response = show(201, name);
               response.headers["Location"] = "/v1/" + kind() + "s/" + name;
               return response;
           });
}

template <typename Spec, typename Body>
void MadeObjects<Spec, Body>::create(const Spec& spec, Respond respond) {
    if (all().contains(spec.name)) {
        throw Problem{409, "there is already the " + kind() + " " + spec.name};
    }
    check_new(spec);
    if (in_making() >= max_in_making) {
        throw Problem{429, std::to_string(max_in_making) + " " + kind() +
                               "s are being made already: try again later"};
    }
    collect();
    make(spec, [this, held = making,
                respond = std::move(respond)](const content::MakeOutcome<Body>& outcome) mutable {
        if (!outcome.failure.empty()) {
            return respond(
                to_response(Problem{422, "the " + kind() + " cannot be made: " + outcome.failure}));
        }
        put(outcome.made, std::move(held), std::move(respond));
    });
}

// One that is there stays as it is: it is never changed.
template <typename Spec, typename Body>
void MadeObjects<Spec, Body>::apply(const Request& request, Respond respond) {
    expect_parameters(request, {});
    const auto spec = body_of<Spec>(request);
    if (spec.name != request.path[2]) {
        throw Problem{400, kind() + ".name and the path do not name the same " + kind()};
    }
    if (all().contains(spec.name)) {
        return respond(show(200, spec.name));
    }
    create(spec, std::move(respond));
}

template <typename Spec, typename Body>
void MadeObjects<Spec, Body>::remove(const Request& request, Respond respond) {
    expect_parameters(request, {});
    const std::string& name = request.path[2];
    const Entry& entry = find_object(all(), kind(), name);
    const std::string user =
        user_of(service, [&](const model::MicroVmSpec& spec) { return is_used_by(name, spec); });
    if (!user.empty()) {
        throw Problem{409, kind() + " " + name + " is in use by " + user};
    }
    forget(service, request, model::keys::of(keys, name), entry.revision, std::move(respond),
           [this] { collect(); });
}

template <typename Spec, typename Body>
std::map<std::string, std::string> MadeObjects<Spec, Body>::wanted(
    const node::Objects& from) const {
    std::map<std::string, std::string> digests;
    for (const auto& [name, entry] : from.*objects) {
        digests[copy_name(name)] = entry.body.digest;
    }
    return digests;
}

template <typename Spec, typename Body>
void MadeObjects<Spec, Body>::collect() const {
    // What is made may be on the disk, and not yet in the store: another time. What a record says
    // that cannot be read may be any of them.
    if (in_making() > 0 || service.mirror.objects().has_damaged(keys)) {
        return;
    }
    std::set<std::string> digests;
    for (const auto& [name, digest] : wanted(service.mirror.objects())) {
        digests.insert(digest);
    }
    try {
        folder.keep_only(digests);
    } catch (const std::exception& error) {  // Another time, too.
        host::log(host::LogLevel::error,
                  "files of " + kind() + "s cannot be deleted: " + error.what());
    }
}

template <typename Spec, typename Body>
void MadeObjects<Spec, Body>::add_to(Api& api) {
    const std::string path = "/v1/" + kind() + "s";
    api.add("POST", path, [this](const Request& request, Respond respond) {
        expect_parameters(request, {});
        create(body_of<Spec>(request), std::move(respond));
    });
    api.add("PUT", path + "/*", [this](const Request& request, Respond respond) {
        apply(request, std::move(respond));
    });
    api.add("GET", path, [this](const Request& request, Respond respond) {
        respond(list_all(service, request, all(),
                         [this](const Entry& entry) { return to_json(entry); }));
    });
    api.add("GET", path + "/*", [this](const Request& request, Respond respond) {
        expect_parameters(request, {});
        respond(show(200, request.path[2]));
    });
    api.add("DELETE", path + "/*", [this](const Request& request, Respond respond) {
        remove(request, std::move(respond));
    });
}

}  // namespace shoal::rest
