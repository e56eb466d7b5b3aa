// Preconditions, pages and commits.
#include "controlplane/api/service.h"

#include <charconv>
#include <exception>
#include <utility>

#include "controlplane/api/store_problem.h"
#include "controlplane/http/target.h"

namespace shoal::rest {

namespace {

Response made_by(std::move_only_function<Response(store::Revision)>& make,
                 store::Revision revision) {
    try {
        return make(revision);
    } catch (const Problem& problem) {
        return to_response(problem);
    } catch (const std::exception& error) {
        return to_failure(error);
    }
}

}  // namespace

void commit(Service& service, store::Transaction transaction, Respond respond,
            std::move_only_function<Response(store::Revision)> make) {
    service.store.commit(
        std::move(transaction), [&service, respond = std::move(respond), make = std::move(make)](
                                    store::Result<store::Revision> result) mutable {
            if (!result) {
                return respond(to_response(to_problem(result.error())));
            }
            service.mirror.when(
                *result, [revision = *result, respond = std::move(respond),
                          make = std::move(make)]() mutable { respond(made_by(make, revision)); });
        });
}

store::Revision if_match(const Request& request) {
    const auto found = request.headers.find("if-match");
    if (found == request.headers.end()) {
        return 0;
    }
    std::string_view text = found->second;
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
    }
    store::Revision revision = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
    if (error != std::errc{} || rest != text.data() + text.size() || revision <= 0) {
        throw Problem{400, "If-Match is not the resource_version of an answer"};
    }
    return revision;
}

void expect_match(const Request& request, store::Revision revision) {
    const store::Revision expected = if_match(request);
    if (expected != 0 && expected != revision) {
        throw Problem{412, "its resource_version is " + std::to_string(revision) + ", not " +
                               std::to_string(expected)};
    }
}

bool is_dry_run(const Request& request) {
    return is_asked(request, "dry_run");
}

Response show_dry_run(const std::string& spec) {
    Response response;
    response.body = R"({"dry_run":true,"spec":)" + spec + "}";
    return response;
}

void forget(Service& service, const Request& request, const std::string& key,
            store::Revision revision, Respond respond, std::function<void()> on_deleted) {
    expect_match(request, revision);
    store::Transaction transaction;
    transaction.conditions = {{key, revision}};
    transaction.operations.emplace_back(store::Delete{key});
    commit(service, std::move(transaction), std::move(respond),
           [on_deleted = std::move(on_deleted)](store::Revision) {
               on_deleted();
               Response response;
               response.status = 204;
               return response;
           });
}

PageRequest page_of(const Request& request) {
    PageRequest page;
    page.limit = number_of(request, "limit", max_page_items, max_page_items);
    if (page.limit == 0) {
        throw Problem{400, "the parameter limit must be 1 to " + std::to_string(max_page_items)};
    }
    const auto after = request.query.find("after");
    page.after = after == request.query.end() ? "" : after->second;
    return page;
}

Response json_response(unsigned status, std::string body, store::Revision revision) {
    Response response;
    response.status = status;
    response.body = std::move(body);
    response.headers["ETag"] = "\"" + std::to_string(revision) + "\"";
    return response;
}

}  // namespace shoal::rest
