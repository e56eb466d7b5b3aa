// The limits of a store, checked, each refusal with its number.
#include "controlplane/store/limits.h"

#include <algorithm>
#include <set>

namespace shoal::store {

namespace {

Error too_large(std::string_view what, std::size_t size, std::size_t limit) {
    return {Failure::too_large, std::string{what} + " is " + std::to_string(size) +
                                    "; the limit is " + std::to_string(limit)};
}

Error invalid(std::string reason) {
    return {Failure::invalid, std::move(reason)};
}

std::size_t size_of(const Operation& operation) noexcept {
    const auto* put = std::get_if<Put>(&operation);
    return key_of(operation).size() + (put != nullptr ? put->value.size() : 0);
}

std::optional<Error> refuse_operation(const Operation& operation) {
    if (auto error = refuse_key(key_of(operation))) {
        return error;
    }
    const auto* put = std::get_if<Put>(&operation);
    if (put != nullptr && put->value.size() > max_value_bytes) {
        return too_large("the value's size in bytes", put->value.size(), max_value_bytes);
    }
    return std::nullopt;
}

std::optional<Error> refuse_operations(const std::vector<Operation>& operations) {
    std::set<std::string_view> keys;
    std::size_t size_bytes = 0;
    for (const Operation& operation : operations) {
        if (auto error = refuse_operation(operation)) {
            return error;
        }
        if (!keys.insert(key_of(operation)).second) {
            return invalid("two operations of a transaction change " + key_of(operation));
        }
        size_bytes += size_of(operation);
    }
    if (size_bytes > max_transaction_bytes) {
        return too_large("the transaction's size in bytes", size_bytes, max_transaction_bytes);
    }
    return std::nullopt;
}

}  // namespace

bool is_prefix(std::string_view text) noexcept {
    return text.starts_with('/') && text.size() <= max_key_bytes && !text.contains("//") &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

bool is_key(std::string_view text) noexcept {
    return is_prefix(text) && !text.ends_with('/');
}

std::optional<Error> refuse_key(std::string_view key) {
    if (key.size() > max_key_bytes) {
        return too_large("the key's size in bytes", key.size(), max_key_bytes);
    }
    if (!is_key(key)) {
        return invalid("a key is a path of printable characters, such as /hosts/a");
    }
    return std::nullopt;
}

std::optional<Error> refuse(const Transaction& transaction) {
    if (transaction.operations.size() > max_operations) {
        return too_large("the number of operations", transaction.operations.size(), max_operations);
    }
    if (transaction.conditions.size() > max_conditions) {
        return too_large("the number of conditions", transaction.conditions.size(), max_conditions);
    }
    for (const Condition& condition : transaction.conditions) {
        if (auto error = refuse_key(condition.key)) {
            return error;
        }
        if (condition.mod_revision < 0) {
            return invalid("a revision is not negative");
        }
    }
    return refuse_operations(transaction.operations);
}

std::optional<Error> refuse(const ListRequest& request) {
    if (!is_prefix(request.prefix)) {
        return invalid("a prefix is the beginning of a path, such as /hosts/");
    }
    if (!request.after.empty() && !request.after.starts_with(request.prefix)) {
        return invalid("a page begins after a key with the list's prefix");
    }
    if (request.after.size() > max_key_bytes) {
        return too_large("the key's size in bytes", request.after.size(), max_key_bytes);
    }
    if (request.limit > max_page_keys) {
        return too_large("the page's number of keys", request.limit, max_page_keys);
    }
    if (request.revision < 0) {
        return invalid("a revision is not negative");
    }
    return std::nullopt;
}

std::optional<Error> refuse_watch(std::string_view prefix, Revision from, std::size_t watch_count) {
    if (!is_prefix(prefix)) {
        return invalid("a prefix is the beginning of a path, such as /hosts/");
    }
    if (from < 1) {
        return invalid("a watch begins at a revision of 1 or more");
    }
    if (watch_count >= max_watches) {
        return too_large("the number of watches", watch_count + 1, max_watches);
    }
    return std::nullopt;
}

std::optional<Error> refuse_lease(std::chrono::seconds ttl) {
    if (ttl < min_lease || ttl > max_lease) {
        return invalid("a lease lasts from " + std::to_string(min_lease.count()) + " to " +
                       std::to_string(max_lease.count()) + " seconds");
    }
    return std::nullopt;
}

const std::string& key_of(const Operation& operation) noexcept {
    const auto* put = std::get_if<Put>(&operation);
    return put != nullptr ? put->key : std::get_if<Delete>(&operation)->key;
}

std::size_t page_keys(const ListRequest& request) noexcept {
    return request.limit == 0 ? max_page_keys : request.limit;
}

std::string end_of_prefix(std::string_view prefix) {
    std::string end{prefix};
    ++end.back();  // Printable, so it does not wrap.
    return end;
}

std::string begin_of_page(const ListRequest& request) {
    return request.after.empty() ? request.prefix : request.after + '\0';
}

Error compacted_error(Revision asked, Revision compacted) {
    return {Failure::compacted, "revision " + std::to_string(asked) + " is forgotten: all up to " +
                                    std::to_string(compacted) + " are compacted"};
}

Error future_error(Revision asked, Revision newest) {
    return invalid("revision " + std::to_string(asked) + " is not there yet: the newest is " +
                   std::to_string(newest));
}

}  // namespace shoal::store
