// Whoever asks checks what it gets.
#include "controlplane/peer/bundle_routes.h"

#include <algorithm>
#include <memory>
#include <system_error>
#include <utility>

#include "controlplane/content/file_source.h"
#include "controlplane/content/sha256.h"
#include "controlplane/http/problem.h"
#include "controlplane/http/target.h"

namespace shoal::peer {
namespace {

using rest::Problem;

void get(const BundleFiles& files, const rest::Request& request, rest::Respond respond) {
    rest::expect_parameters(request, {});
    const std::string& digest = request.path[2];
    const std::string& name = request.path[3];
    const content::BundleKind& kind = files.folder.kind();
    if (!content::is_digest(digest) || std::ranges::find(kind.files, name) == kind.files.end()) {
        throw Problem{404, "there is no such file of " + std::string{kind.name} + "s"};
    }
    try {
        rest::Response response;
        response.content_type = "application/octet-stream";
        response.source = std::make_shared<content::FileSource>(
            files.context, files.workers, files.folder.path_of(digest) + "/" + name);
        respond(std::move(response));
    } catch (const std::system_error& error) {
        throw Problem{404, error.what()};
    }
}

}  // namespace

void add_bundle_files(rest::Api& api, const BundleFiles& files) {
    api.add("GET", "/v1/" + std::string{files.folder.kind().name} + "s/*/*",
            [&files](const rest::Request& request, rest::Respond respond) {
                get(files, request, std::move(respond));
            });
}

}  // namespace shoal::peer
