// Offsets are those of the file, of which the oldest part may be gone.
#include "controlplane/api/logs.h"

#include <limits>

#include "controlplane/api/log_source.h"
#include "controlplane/api/microvms.h"
#include "controlplane/api/pass_on.h"
#include "controlplane/http/target.h"

namespace shoal::rest {
namespace {

// Of the microVM's host, when that is another one: for the beginning.
constexpr std::chrono::seconds answer_timeout{10};

}  // namespace

void add_logs(Api& api, LogService& logs) {
    api.add("GET", "/v1/microvms/*/logs", [&logs](const Request& request, Respond respond) {
        expect_parameters(request, {"follow", "offset"});
        const node::MicroVm& microvm = find_microvm(logs.service, request.path[2]);
        if (pass_on(logs.service, microvm, request, answer_timeout, respond)) {
            return;
        }
        LogRequest wanted;
        wanted.name = microvm.spec.name;
        wanted.path = logs.folder + "/" + wanted.name + ".log";
        wanted.offset = number_of(request, "offset", 0, std::numeric_limits<off_t>::max());
        if (is_asked(request, "follow")) {
            wanted.is_over = [](const node::MicroVm* now) {
                return now == nullptr || node::has_ended(*now);
            };
        }
        Response response;
        response.content_type = "text/plain; charset=utf-8";
        response.source = std::make_unique<LogSource>(logs.context, logs.service.mirror, wanted);
        respond(std::move(response));
    });
}

}  // namespace shoal::rest
