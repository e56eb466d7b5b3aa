// JSON objects, field by field as in etcd's rpc.proto.
#include "controlplane/store/etcd_request.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "controlplane/store/base64.h"
#include "controlplane/store/limits.h"

namespace shoal::store::etcd {

namespace {

namespace json = boost::json;

json::object compare(const Condition& condition) {
    return {{"key", to_base64(condition.key)},
            {"target", "MOD"},
            {"result", "EQUAL"},
            {"mod_revision", std::to_string(condition.mod_revision)}};
}

json::object operation(const Operation& operation) {
    if (const auto* put = std::get_if<Put>(&operation)) {
        return {{"request_put", json::object{{"key", to_base64(put->key)},
                                             {"value", to_base64(put->value)},
                                             {"lease", std::to_string(put->lease)}}}};
    }
    return {{"request_delete_range", json::object{{"key", to_base64(key_of(operation))}}}};
}

}  // namespace

std::string get_request(const std::string& key) {
    return json::serialize(json::object{{"key", to_base64(key)}});
}

std::string list_request(const ListRequest& request, std::size_t limit) {
    return json::serialize(json::object{{"key", to_base64(begin_of_page(request))},
                                        {"range_end", to_base64(end_of_prefix(request.prefix))},
                                        {"limit", std::to_string(limit)},
                                        {"revision", std::to_string(request.revision)}});
}

std::string commit_request(const Transaction& transaction) {
    json::array compares;
    for (const Condition& condition : transaction.conditions) {
        compares.push_back(compare(condition));
    }
    json::array operations;
    for (const Operation& one : transaction.operations) {
        operations.push_back(operation(one));
    }
    return json::serialize(json::object{{"compare", compares}, {"success", operations}});
}

std::string watch_request(const std::string& prefix, Revision from) {
    // progress_notify moves the revision from which to resume, also when nothing happens.
    return json::serialize(json::object{
        {"create_request", json::object{{"key", to_base64(prefix)},
                                        {"range_end", to_base64(end_of_prefix(prefix))},
                                        {"start_revision", std::to_string(from)},
                                        {"progress_notify", true},
                                        {"fragment", true}}}});
}

std::string grant_request(std::chrono::seconds ttl) {
    return json::serialize(json::object{{"TTL", std::to_string(ttl.count())}});
}

std::string lease_request(LeaseId lease) {
    return json::serialize(json::object{{"ID", std::to_string(lease)}});
}

std::string compact_request(Revision revision) {
    return json::serialize(json::object{{"revision", std::to_string(revision)}});
}

}  // namespace shoal::store::etcd
