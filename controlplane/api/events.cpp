// Each kind is a folder of the store's keys.
#include "controlplane/api/events.h"

#include <algorithm>
#include <array>
#include <limits>

#include "controlplane/api/event_source.h"
#include "controlplane/http/target.h"

namespace shoal::rest {
namespace {

constexpr std::array<std::string_view, 16> kinds{
    "microvms", "statuses", "placements",  "deletions", "groups",   "templates",
    "images",   "volumes",  "networks",    "addresses", "projects", "hosts",
    "moves",    "drains",   "checkpoints", "failover"};

std::string prefix_of(const Request& request) {
    const auto kind = request.query.find("kind");
    if (kind == request.query.end()) {
        return "/";
    }
    if (std::ranges::find(kinds, std::string_view{kind->second}) == kinds.end()) {
        std::string known;
        for (const std::string_view name : kinds) {
            known.append(known.empty() ? "" : ", ").append(name);
        }
        throw Problem{400, "the parameter kind must be one of " + known};
    }
    return "/" + kind->second + "/";
}

}  // namespace

void add_events(Api& api, Service& service) {
    api.add("GET", "/v1/events", [&service](const Request& request, Respond respond) {
        expect_parameters(request, {"since", "kind"});
        const store::Revision now = service.mirror.revision();
        const std::uint64_t since =
            number_of(request, "since", static_cast<std::uint64_t>(now),
                      std::numeric_limits<std::int32_t>::max() * std::uint64_t{1'000'000});
        Response response;
        response.content_type = "application/x-ndjson";
        response.source = std::make_unique<EventSource>(
            service.loop, service.store, prefix_of(request), static_cast<store::Revision>(since));
        respond(std::move(response));
    });
}

}  // namespace shoal::rest
