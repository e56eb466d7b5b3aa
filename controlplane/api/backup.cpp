// The client names a path of the host, where shoald writes as itself: the socket's permissions say
// who may.
#include "controlplane/api/backup.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "controlplane/api/store_problem.h"
#include "controlplane/http/problem.h"
#include "controlplane/http/target.h"

namespace shoal::rest {
namespace {

constexpr std::size_t max_path_bytes = 4095;

std::string path_in(const std::string& body) {
    boost::json::error_code error;
    const boost::json::value document = boost::json::parse(body, error);
    const boost::json::value* path =
        !error && document.is_object() && document.get_object().size() == 1
            ? document.get_object().if_contains("path")
            : nullptr;
    if (path == nullptr || !path->is_string()) {
        throw Problem{400, R"(a backup is asked for by {"path": "/..."})"};
    }
    std::string text{path->get_string()};
    if (!text.starts_with('/') || text.size() > max_path_bytes ||
        text.find('\0') != std::string::npos) {
        throw Problem{400, "path must be absolute and have at most " +
                               std::to_string(max_path_bytes) + " bytes"};
    }
    return text;
}

}  // namespace

void add_backup(Api& api, store::SqliteStore* store) {
    api.add("POST", "/v1/backup", [store](const Request& request, Respond respond) {
        expect_parameters(request, {});
        std::string path = path_in(request.body);
        if (store == nullptr) {
            throw Problem{409, "the state is in etcd: back it up there (etcdctl snapshot save)"};
        }
        store->backup(path, [path, respond = std::move(respond)](
                                store::Result<store::Revision> revision) mutable {
            if (!revision) {
                return respond(to_response(to_problem(revision.error())));
            }
            Response response;
            response.status = 201;
            response.body = R"({"path":)" + quote(path) + R"(,"resource_version":)" +
                            std::to_string(*revision) + "}";
            respond(std::move(response));
        });
    });
}

}  // namespace shoal::rest
