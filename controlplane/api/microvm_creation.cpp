// What is asked for is looked at as a whole, and committed in one transaction.
#include "controlplane/api/microvm_creation.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/api/idempotency.h"
#include "controlplane/api/microvms.h"
#include "controlplane/api/references.h"
#include "controlplane/http/target.h"
#include "controlplane/model/keys.h"
#include "controlplane/store/limits.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;

enum class Form { one, list };

// What is created: the same but for their names.
struct Creation {
    std::vector<model::MicroVmSpec> specs;
    Form form = Form::one;
};

void check_new(const model::MicroVmSpec& spec) {
    if (!spec.group.empty()) {
        throw Problem{422, "microvm.group is set by groups alone"};
    }
    if (model::to_json(spec).size() > max_body_bytes) {
        throw Problem{
            413, "the microVM has more than " + std::to_string(max_body_bytes) + " bytes of JSON"};
    }
}

Response show(const Service& service, const Creation& creation) {
    const std::string& first = creation.specs.front().name;
    if (creation.form == Form::one) {
        Response response = show_microvm(service, 201, first);
        response.headers["Location"] = "/v1/microvms/" + first;
        return response;
    }
    std::string items;
    for (const model::MicroVmSpec& spec : creation.specs) {
        if (const auto* found = service.mirror.find(spec.name)) {  // others may have deleted it
            items += (items.empty() ? "" : ",") + to_json(*found);
        }
    }
    Response response;
    response.status = 201;
    response.body = R"({"resource_version":)" + std::to_string(service.mirror.revision()) +
                    R"(,"items":[)" + items + "]}";
    return response;
}

using Reservations = std::vector<std::shared_ptr<node::Placer::Reservation>>;

// Places as many as the transaction has room for; the others are placed once they are there.
Reservations reserve(Service& service, const Creation& creation, store::Transaction& transaction) {
    Reservations reservations;
    for (const model::MicroVmSpec& spec : creation.specs) {
        if (service.placer == nullptr || transaction.operations.size() == store::max_operations ||
            transaction.conditions.size() == store::max_conditions) {
            break;
        }
        auto reservation = service.placer->reserve(spec);
        if (!reservation) {
            break;
        }
        reservation->add_to(transaction);
        reservations.push_back(std::move(reservation));
    }
    return reservations;
}

// What was too much, because another host let more in at the same time, is deleted again.
void keep_within_quota(Service& service, const Creation& creation, store::Revision made) {
    const model::MicroVmSpec& first = creation.specs.front();
    try {
        Quotas::expect_within(service.mirror, first.project, made,
                              usage_of(first, creation.specs.size()));
    } catch (const Problem&) {
        store::Transaction transaction;
        for (const model::MicroVmSpec& spec : creation.specs) {
            if (const auto* found = service.mirror.find(spec.name);
                found != nullptr && found->created == made) {
                transaction.conditions.push_back(
                    {keys::of(keys::microvms, spec.name), found->revision});
                transaction.operations.emplace_back(store::Put{keys::of(keys::deletions, spec.name),
                                                               model::to_json(model::Deletion{0})});
            }
        }
        service.store.commit(std::move(transaction), [](const store::Result<store::Revision>&) {});
        throw;
    }
}

void put(Service& service, Creation creation, Quotas::Charge charge, Respond respond) {
    store::Transaction transaction;
    for (const model::MicroVmSpec& spec : creation.specs) {
        const std::string key = keys::of(keys::microvms, spec.name);
        transaction.conditions.push_back({key, 0});
        transaction.operations.emplace_back(store::Put{key, model::to_json(spec)});
    }
    add_conditions(service, creation.specs.front(), transaction);
    auto reservations = reserve(service, creation, transaction);
    commit(service, std::move(transaction), std::move(respond),
           [&service, creation = std::move(creation), charge = std::move(charge),
            reservations = std::move(reservations)](store::Revision made) {
               keep_within_quota(service, creation, made);
               return show(service, creation);
           });
}

void create(Service& service, const Request& request, Creation creation, Respond respond) {
    const model::MicroVmSpec& first = creation.specs.front();
    auto charge = service.quotas.charge(service.mirror, first, creation.specs.size());
    if (is_dry_run(request)) {
        return respond(show_dry_run(model::to_json(first)));
    }
    put(service, std::move(creation), std::move(charge), std::move(respond));
}

// Named and resolved.
Creation creation_in(const Service& service, const Request& request) {
    auto spec = body_of<model::MicroVmSpec>(request);
    if (spec.name.empty()) {
        const auto key = idempotency_key(request);
        spec.name = key ? name_of_key(*key) : make_name();
    }
    Creation creation;
    if (!request.query.contains("count")) {
        resolve(service, spec);
        check_new(spec);
        creation.specs.push_back(std::move(spec));
        return creation;
    }
    creation.form = Form::list;
    const std::uint64_t count = number_of(request, "count", 1, max_created_at_once);
    if (count == 0) {
        throw Problem{400,
                      "the parameter count must be 1 to " + std::to_string(max_created_at_once)};
    }
    if (count > 1 && !spec.volumes.empty()) {
        throw Problem{422, "several microVMs cannot have volumes: each has one microVM at a time"};
    }
    const std::string name = spec.name + "-";
    spec.name = name + std::to_string(count - 1);  // the longest
    if (!model::is_name(spec.name)) {
        throw Problem{400, "microvm.name is too long for " + spec.name};
    }
    resolve(service, spec);
    check_new(spec);
    for (std::uint64_t i = 0; i < count; ++i) {
        spec.name = name + std::to_string(i);
        creation.specs.push_back(spec);
    }
    return creation;
}

// Whether it was created by such a request, whatever was changed of it since.
bool is_made_of(const node::MicroVm& microvm, const model::MicroVmSpec& spec) {
    model::MicroVmSpec asked = with_changes(spec, microvm.spec);
    asked.stop = microvm.spec.stop;
    return model::to_json(asked) == model::to_json(microvm.spec);
}

constexpr unsigned creation_tries = 5;
constexpr std::chrono::milliseconds retry_delay{50};

void create_microvms(Service& service, const Request& request, Respond respond, unsigned tries) {
    expect_parameters(request, {"dry_run", "count"});
    Creation creation = creation_in(service, request);
    const bool is_repeatable = idempotency_key(request).has_value();
    const auto is_there = [&service](const model::MicroVmSpec& spec) {
        const auto* found = service.mirror.find(spec.name);
        return found != nullptr && !found->deletion && is_made_of(*found, spec);
    };
    if (is_repeatable && std::ranges::all_of(creation.specs, is_there)) {
        return respond(show(service, creation));
    }
    // The first one of this key may be under way: what comes of it is seen soon.
    if (is_repeatable && tries > 1) {
        respond = [&service, request, tries,
                   respond = std::move(respond)](Response response) mutable {
            if (response.status != 409) {
                return respond(std::move(response));
            }
            service.loop.call_after(
                retry_delay, [&service, request, tries, respond = std::move(respond)]() mutable {
                    const auto shared = std::make_shared<Respond>(std::move(respond));
                    try {
                        create_microvms(
                            service, request,
                            [shared](Response answer) { (*shared)(std::move(answer)); }, tries - 1);
                    } catch (const Problem& problem) {
                        (*shared)(to_response(problem));
                    }
                });
        };
    }
    for (const model::MicroVmSpec& spec : creation.specs) {
        if (const auto* found = service.mirror.find(spec.name)) {
            throw Problem{409, "there is a microVM " + spec.name + " already" +
                                   (found->deletion ? "; it is being deleted" : "")};
        }
    }
    create(service, request, std::move(creation), std::move(respond));
}

}  // namespace

void create_microvms(Service& service, const Request& request, Respond respond) {
    create_microvms(service, request, std::move(respond), creation_tries);
}

void create_microvm(Service& service, const Request& request, model::MicroVmSpec spec,
                    Respond respond) {
    check_new(spec);
    Creation creation;
    creation.specs.push_back(std::move(spec));
    create(service, request, std::move(creation), std::move(respond));
}

}  // namespace shoal::rest
