// What a client asks for first, to see whether somebody is there.
#include "controlplane/api/host.h"

#include "controlplane/api/problem.h"
#include "controlplane/api/target.h"
#include "controlplane/model/json.h"
#include "devices/host/version.h"

namespace shoal::rest {

void add_host(Api& api, const std::string& name, const node::Placer& placer) {
    api.add("GET", "/v1/host", [&placer, name](const Request& request, Respond respond) {
        expect_parameters(request, {});
        Response response;
        response.body = R"({"name":)" + quote(name) + R"(,"version":)" + quote(host::version) +
                        R"(,"allocatable":)" + model::to_json(placer.allocatable()) +
                        R"(,"used":)" + model::to_json(placer.used()) + "}";
        respond(std::move(response));
    });
}

}  // namespace shoal::rest
