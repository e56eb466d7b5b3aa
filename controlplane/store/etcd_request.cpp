// JSON objects, field by field as in etcd's rpc.proto.
#include "controlplane/store/etcd_request.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "controlplane/store/base64.h"
#include "controlplane/store/limits.h"

namespace shoal::store::etcd {

namespace {

namespace json = boost::json;

// No path, so that no list or watch of a store sees it.
constexpr std::string_view signature_key = "signature";

json::object compare(const Condition& condition) {
    return {{"key", to_base64(condition.key)},
            {"target", "MOD"},
            {"result", "EQUAL"},
            {"mod_revision", std::to_string(condition.mod_revision)}};
}

json::object put_request(std::string_view key, std::string_view value, LeaseId lease) {
    return {{"request_put", json::object{{"key", to_base64(key)},
                                         {"value", to_base64(value)},
                                         {"lease", std::to_string(lease)}}}};
}

json::object lookup_request(std::string_view key) {
    return {{"request_range", json::object{{"key", to_base64(key)}, {"keys_only", true}}}};
}

json::object operation(const Operation& operation) {
    if (const auto* put = std::get_if<Put>(&operation)) {
        return put_request(put->key, put->value, put->lease);
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

bool happens_once(const Transaction& transaction) {
    return std::ranges::any_of(transaction.conditions, [&](const Condition& condition) {
        return std::ranges::any_of(transaction.operations, [&](const Operation& operation) {
            // To delete what is absent changes nothing.
            return key_of(operation) == condition.key &&
                   (std::holds_alternative<Put>(operation) || condition.mod_revision != 0);
        });
    });
}

std::string commit_request(const Transaction& transaction, const std::string& signature) {
    json::array compares;
    for (const Condition& condition : transaction.conditions) {
        compares.push_back(compare(condition));
    }
    json::array operations;
    json::array lookups;
    for (const Operation& one : transaction.operations) {
        operations.push_back(operation(one));
        if (!signature.empty() && std::holds_alternative<Put>(one)) {
            lookups.push_back(lookup_request(key_of(one)));
        }
    }
    if (!signature.empty()) {
        operations.push_back(put_request(signature_key, signature, 0));
    }
    return json::serialize(
        json::object{{"compare", compares}, {"success", operations}, {"failure", lookups}});
}

std::string signature_request(Revision revision) {
    return json::serialize(
        json::object{{"key", to_base64(signature_key)}, {"revision", std::to_string(revision)}});
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
