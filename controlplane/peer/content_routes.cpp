// What has the right digest is right, whoever sent it.
#include "controlplane/peer/content_routes.h"

#include <memory>
#include <utility>

#include "controlplane/api/problem.h"
#include "controlplane/api/target.h"
#include "controlplane/content/file_source.h"
#include "controlplane/content/save.h"
#include "controlplane/content/sha256.h"

namespace shoal::peer {
namespace {

using rest::Problem;
using rest::Request;
using rest::Respond;
using rest::Response;

const std::string& digest_in(const Request& request) {
    rest::expect_parameters(request, {});
    const std::string& digest = request.path[2];
    if (!content::is_digest(digest)) {
        throw Problem{400, "content is named by 64 hexadecimal digits, its SHA-256"};
    }
    return digest;
}

void get(const ContentService& service, const Request& request, Respond respond) {
    const std::string& digest = digest_in(request);
    if (!service.folder.has(digest)) {
        throw Problem{404, "there is no content " + digest};
    }
    Response response;
    response.content_type = "application/octet-stream";
    response.source = std::make_shared<content::FileSource>(service.context, service.workers,
                                                            service.folder.path_of(digest));
    respond(std::move(response));
}

void put(const ContentService& service, const Request& request, Respond respond) {
    const std::string& digest = digest_in(request);
    if (service.folder.has(digest)) {
        return respond({204});
    }
    content::save(service.context, service.workers, request.source,
                  {service.folder.path_of(digest), digest},
                  [respond = std::move(respond)](const content::Saved& saved) mutable {
                      respond(saved.problem ? to_response(*saved.problem) : Response{201});
                  });
}

}  // namespace

void add_content(rest::Api& api, const ContentService& service) {
    api.add("GET", "/v1/content/*", [&service](const Request& request, Respond respond) {
        get(service, request, std::move(respond));
    });
    api.add("PUT", "/v1/content/*", [&service](const Request& request, Respond respond) {
        put(service, request, std::move(respond));
    });
}

}  // namespace shoal::peer
