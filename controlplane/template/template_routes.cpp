// Whoever asks checks what it gets.
#include "controlplane/template/template_routes.h"

#include <algorithm>
#include <memory>
#include <system_error>
#include <utility>

#include "controlplane/api/problem.h"
#include "controlplane/api/target.h"
#include "controlplane/content/file_source.h"
#include "controlplane/content/sha256.h"

namespace shoal::templates {
namespace {

using rest::Problem;

void get(const TemplateFiles& files, const rest::Request& request, rest::Respond respond) {
    rest::expect_parameters(request, {});
    const std::string& digest = request.path[2];
    const std::string& name = request.path[3];
    if (!content::is_digest(digest) || std::ranges::find(file_names, name) == file_names.end()) {
        throw Problem{404, "there is no such file of a template"};
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

void add_template_files(rest::Api& api, const TemplateFiles& files) {
    api.add("GET", "/v1/templates/*/*",
            [&files](const rest::Request& request, rest::Respond respond) {
                get(files, request, std::move(respond));
            });
}

}  // namespace shoal::templates
