// What all resources of the API are built from. References are to what lives as long as the daemon.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "controlplane/api/quotas.h"
#include "controlplane/http/exchange.h"
#include "controlplane/http/problem.h"
#include "controlplane/http/target.h"
#include "controlplane/model/json.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/placer.h"
#include "controlplane/store/store.h"

namespace shoal::rest {

// Has another host answer, which takes at most so long to begin.
using AskHost =
    std::function<void(const model::Host&, const Request&, std::chrono::seconds, Respond)>;

struct Service {
    store::EventLoop& loop;
    store::Store& store;
    node::Mirror& mirror;
    node::Placer* placer;  // null: the leader of the cluster places
    Quotas quotas{};
    std::string host{};  // this one's name
    AskHost ask_host{};  // null: hosts do not talk to one another
    // Commands that microVMs of this host run now, by their names. Connections outlive the service.
    std::shared_ptr<std::map<std::string, std::size_t>> commands =
        std::make_shared<std::map<std::string, std::size_t>>();
};

// Commits, waits until the mirror shows it, and then answers with what `make` makes of the
// revision, or throws. Failures are answered as problems.
void commit(Service& service, store::Transaction transaction, Respond respond,
            std::move_only_function<Response(store::Revision)> make);

// A body of the model's; throws Problem 400 with the sentence that says what is wrong with it.
template <typename Body>
[[nodiscard]] Body body_of(const Request& request) {
    try {
        return model::from_json<Body>(request.body);
    } catch (const model::JsonError& error) {
        throw Problem{400, error.what()};
    }
}

// The revision in If-Match, which as an ETag is in quotes; 0: none. Throws Problem.
[[nodiscard]] store::Revision if_match(const Request& request);

// Throws Problem 412 if there is an If-Match, and it is not this revision.
void expect_match(const Request& request, store::Revision revision);

// Whether the request is only to be looked at (dry_run=true). Throws Problem.
[[nodiscard]] bool is_dry_run(const Request& request);

// The answer to a dry run of what is fine, with its spec as it would be stored.
[[nodiscard]] Response show_dry_run(const std::string& spec);

// Answers a dry run of what is fine so far, with the spec as it would be stored; throws Problem
// when the quota has no room. False: it is none.
template <typename Spec>
[[nodiscard]] bool answer_dry_run(Service& service, const Request& request, const Spec& spec,
                                  Respond& respond) {
    if (!is_dry_run(request)) {
        return false;
    }
    static_cast<void>(service.quotas.charge(service.mirror, spec));
    respond(show_dry_run(model::to_json(spec)));
    return true;
}

// Deletes what has this key, if it is as If-Match says, calls `on_deleted` and answers 204.
void forget(
    Service& service, const Request& request, const std::string& key, store::Revision revision,
    Respond respond, std::function<void()> on_deleted = [] {});

// Throws Problem 404 where there is none of this `kind` and name.
template <typename Body>
[[nodiscard]] const node::Object<Body>& find_object(const node::ObjectsByName<Body>& all,
                                                    std::string_view kind,
                                                    const std::string& name) {
    const auto found = all.find(name);
    if (found == all.end()) {
        throw Problem{404, "there is no " + std::string{kind} + " " +
                               (model::is_name(name) ? name : "of that name")};
    }
    return found->second;
}

// A page of a list, by names.
struct PageRequest {
    std::size_t limit = 0;
    std::string after;
};
inline constexpr std::size_t max_page_items = 1000;
[[nodiscard]] PageRequest page_of(const Request& request);

// The page that is asked for of a map by names, with what `write` makes JSON of; `is_asked_for`
// says which entries count.
template <typename Map, typename IsAskedFor, typename Write>
[[nodiscard]] Response list_page(const Service& service, const Request& request, const Map& all,
                                 const IsAskedFor& is_asked_for, const Write& write) {
    const PageRequest page = page_of(request);
    std::string items;
    std::string last;
    std::string next = "null";
    std::size_t count = 0;
    for (auto at = all.upper_bound(page.after); at != all.end(); ++at) {
        if (!is_asked_for(at->second)) {
            continue;
        }
        if (count++ == page.limit) {
            next = quote(last);
            break;
        }
        items += (items.empty() ? "" : ",") + write(at->second);
        last = at->first;
    }
    Response response;
    response.body = R"({"resource_version":)" + std::to_string(service.mirror.revision()) +
                    R"(,"next":)" + next + R"(,"items":[)" + items + "]}";
    return response;
}

// A list without a filter.
template <typename Map, typename Write>
[[nodiscard]] Response list_all(const Service& service, const Request& request, const Map& all,
                                const Write& write) {
    expect_parameters(request, {"limit", "after"});
    return list_page(
        service, request, all, [](const auto&) { return true; }, write);
}

// An object with its ETag.
[[nodiscard]] Response json_response(unsigned status, std::string body, store::Revision revision);

}  // namespace shoal::rest
