// A group is deleted at once; the controller then deletes its members.
#include "controlplane/api/groups.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "controlplane/api/references.h"
#include "controlplane/http/target.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/group_controller.h"

namespace shoal::rest {
namespace {

namespace keys = model::keys;
using model::Phase;

// How its members are, by numbers.
std::string members_json(const Service& service, const std::string& group) {
    std::size_t running = 0;
    std::size_t pending = 0;
    std::size_t ended = 0;
    std::size_t deleting = 0;
    const std::string prefix = group + "-";
    const auto& microvms = service.mirror.microvms();
    for (auto at = microvms.lower_bound(prefix);
         at != microvms.end() && at->first.starts_with(prefix); ++at) {
        const node::MicroVm& microvm = at->second;
        if (microvm.revision == 0 || microvm.spec.group != group) {
            continue;
        }
        const Phase phase = microvm.status.value_or(model::MicroVmStatus{}).phase;
        if (microvm.deletion) {
            ++deleting;
        } else if (phase == Phase::running) {
            ++running;
        } else if (phase == Phase::succeeded || phase == Phase::failed) {
            ++ended;
        } else {
            ++pending;
        }
    }
    return R"({"running":)" + std::to_string(running) + R"(,"pending":)" + std::to_string(pending) +
           R"(,"ended":)" + std::to_string(ended) + R"(,"deleting":)" + std::to_string(deleting) +
           "}";
}

// Names of members that other microVMs have: those members are not made.
std::string taken_json(const Service& service, const model::Group& group) {
    std::string names;
    const std::string prefix = group.name + "-";
    const auto& microvms = service.mirror.microvms();
    for (auto at = microvms.lower_bound(prefix);
         at != microvms.end() && at->first.starts_with(prefix); ++at) {
        const auto index = node::member_index(group.name, at->first);
        if (index && *index < group.count && at->second.revision != 0 &&
            at->second.spec.group != group.name) {
            names += (names.empty() ? "" : ",") + quote(at->first);
        }
    }
    return names;
}

std::string to_json(const Service& service, const node::GroupEntry& entry) {
    return R"({"name":)" + quote(entry.group.name) + R"(,"resource_version":)" +
           std::to_string(entry.revision) + R"(,"spec":)" + model::to_json(entry.group) +
           R"(,"members":)" + members_json(service, entry.group.name) + R"(,"taken":[)" +
           taken_json(service, entry.group) + "]}";
}

const node::GroupEntry* find(const Service& service, const std::string& name) {
    const auto found = service.mirror.groups().find(name);
    return found == service.mirror.groups().end() ? nullptr : &found->second;
}

const node::GroupEntry& get(const Service& service, const std::string& name) {
    if (const node::GroupEntry* entry = find(service, name)) {
        return *entry;
    }
    throw Problem{404, "there is no group " + (model::is_name(name) ? name : "of that name")};
}

Response show(const Service& service, unsigned status, const std::string& name) {
    const node::GroupEntry* entry = find(service, name);
    if (entry == nullptr) {
        return to_response(Problem{404, "group " + name + " was deleted meanwhile"});
    }
    return json_response(status, to_json(service, *entry), entry->revision);
}

void check(const model::Group& group) {
    const std::string last = std::to_string(group.count == 0 ? 0 : group.count - 1);
    if (!model::is_name(group.name + "-" + last)) {
        throw Problem{400, "group.name is too long for its members: " + group.name + "-" + last};
    }
    if (!group.microvm.group.empty()) {
        throw Problem{422, "group.microvm.group must be empty"};
    }
}

// Those that are there stay as they are.
void expect_same_volumes(const model::Group& before, const model::Group& group) {
    for (const model::VolumeClaim& claim : group.volumes) {
        const auto known = std::ranges::find(before.volumes, claim.name, &model::VolumeClaim::name);
        if (known == before.volumes.end()) {
            continue;
        }
        const std::string what = " of volume " + claim.name + " of group " + group.name;
        if (known->size_mib != claim.size_mib) {
            throw Problem{422, "the size" + what + " cannot be changed"};
        }
        if (known->storage != claim.storage) {
            throw Problem{422, "the storage" + what + " cannot be changed"};
        }
    }
}

// What was too much, because another host let more in at the same time, is as it was before.
void keep_within_quota(Service& service, const model::Group& group,
                       const std::optional<model::Group>& before, store::Revision made) {
    try {
        Quotas::expect_within(service.mirror, group.microvm.project, made,
                              growth(group, before ? &*before : nullptr));
    } catch (const Problem&) {
        const std::string key = keys::of(keys::groups, group.name);
        store::Transaction transaction{{{key, made}}, {}};
        if (before) {
            transaction.operations.emplace_back(store::Put{key, model::to_json(*before)});
        } else {
            transaction.operations.emplace_back(store::Delete{key});
        }
        service.store.commit(std::move(transaction), [](const store::Result<store::Revision>&) {});
        throw;
    }
}

void put(Service& service, const model::Group& group, store::Revision expected, unsigned status,
         Respond respond) {
    const std::string key = keys::of(keys::groups, group.name);
    const Quotas::Charge charge = service.quotas.charge(service.mirror, group);
    store::Transaction transaction;
    transaction.conditions = {{key, expected}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(group)});
    const node::GroupEntry* const there = find(service, group.name);
    commit(service, std::move(transaction), std::move(respond),
           [&service, status, group, charge,
            before = there == nullptr ? std::nullopt
                                      : std::optional{there->group}](store::Revision made) {
               keep_within_quota(service, group, before, made);
               return show(service, status, group.name);
           });
}

void create(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {"dry_run"});
    auto group = body_of<model::Group>(request);
    resolve_members(service, group);
    check(group);
    if (find(service, group.name) != nullptr) {
        throw Problem{409, "there is a group " + group.name + " already"};
    }
    if (!answer_dry_run(service, request, group, respond)) {
        put(service, group, 0, 201, std::move(respond));
    }
}

void apply(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {"dry_run"});
    auto group = body_of<model::Group>(request);
    resolve_members(service, group);
    check(group);
    if (group.name != request.path[2]) {
        throw Problem{400, "group.name and the path do not name the same group"};
    }
    const node::GroupEntry* found = find(service, group.name);
    if (found == nullptr && if_match(request) != 0) {
        throw Problem{412, "there is no group " + group.name};
    }
    if (found != nullptr) {
        expect_match(request, found->revision);
        expect_same_volumes(found->group, group);
    }
    if (answer_dry_run(service, request, group, respond)) {
        return;
    }
    if (found == nullptr) {
        return put(service, group, 0, 201, std::move(respond));
    }
    put(service, group, found->revision, 200, std::move(respond));
}

void list(const Service& service, const Request& request, Respond respond) {
    respond(
        list_all(service, request, service.mirror.groups(),
                 [&service](const node::GroupEntry& entry) { return to_json(service, entry); }));
}

void remove(Service& service, const Request& request, Respond respond) {
    expect_parameters(request, {});
    const node::GroupEntry& entry = get(service, request.path[2]);
    forget(service, request, keys::of(keys::groups, entry.group.name), entry.revision,
           std::move(respond));
}

}  // namespace

void add_groups(Api& api, Service& service) {
    api.add("POST", "/v1/groups", [&service](const Request& request, Respond respond) {
        create(service, request, std::move(respond));
    });
    api.add("GET", "/v1/groups", [&service](const Request& request, Respond respond) {
        list(service, request, std::move(respond));
    });
    api.add("GET", "/v1/groups/*", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {});
        respond(show(service, 200, get(service, request.path[2]).group.name));
    });
    api.add("PUT", "/v1/groups/*", [&service](const Request& request, Respond respond) {
        apply(service, request, std::move(respond));
    });
    api.add("DELETE", "/v1/groups/*", [&service](const Request& request, Respond respond) {
        remove(service, request, std::move(respond));
    });
}

}  // namespace shoal::rest
