// What is kept in a store, asked of it and answered by it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/store/result.h"

namespace shoal::store {

// Counts the changes of the whole store and only grows. 0 is before the first.
using Revision = std::int64_t;

// 0: no lease.
using LeaseId = std::int64_t;

struct Entry {
    std::string key;
    std::string value;
    Revision create_revision = 0;
    Revision mod_revision = 0;
    LeaseId lease = 0;

    bool operator==(const Entry&) const = default;
};

// One key changed, at `entry.mod_revision`. A deleted entry has only its key and that revision.
struct Event {
    enum class Kind { put, deleted };

    Kind kind = Kind::put;
    Entry entry;

    bool operator==(const Event&) const = default;
};

struct Put {
    std::string key;
    std::string value;
    LeaseId lease = 0;
};

struct Delete {
    std::string key;
};

using Operation = std::variant<Put, Delete>;

// Holds while the key was last changed at `mod_revision`; 0: while it is absent.
struct Condition {
    std::string key;
    Revision mod_revision = 0;
};

// All operations happen, at one revision, or none does. No key occurs in two operations.
struct Transaction {
    std::vector<Condition> conditions;
    std::vector<Operation> operations;
};

struct ListRequest {
    std::string prefix{};
    std::string after{};    // the last key of the page before
    Revision revision = 0;  // 0: the newest; the following pages ask for the first one's
    std::size_t limit = 0;  // 0: as many as a page may have
};

// In the order of keys. A page may be shorter than asked for: `has_more` decides.
struct Page {
    std::vector<Entry> entries;
    Revision revision = 0;
    bool has_more = false;
};

struct Lookup {
    std::optional<Entry> entry;
    Revision revision = 0;
};

// Called once with the answer.
template <typename T>
using Handler = std::move_only_function<void(Result<T>)>;

}  // namespace shoal::store
