// Every field is looked for, typed and bounded; an unknown one is ignored.
#include "controlplane/store/etcd_answer.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <charconv>

#include "controlplane/store/base64.h"

namespace shoal::store::etcd {

namespace {

namespace json = boost::json;

// Thrown and caught within this file.
struct Malformed {
    const char* what;
};

const json::value* find(const json::object& object, std::string_view name) {
    return object.if_contains(name);
}

const json::object& object_of(const json::value& value) {
    const json::object* object = value.if_object();
    return object != nullptr ? *object : throw Malformed{"an object is missing"};
}

const json::object& object_at(const json::object& object, std::string_view name) {
    static const json::object empty;
    const json::value* value = find(object, name);
    return value == nullptr ? empty : object_of(*value);
}

// Absent: 0. Strings, as 64-bit numbers come, or small numbers.
std::int64_t number_at(const json::object& object, std::string_view name) {
    const json::value* value = find(object, name);
    if (value == nullptr) {
        return 0;
    }
    if (const std::int64_t* number = value->if_int64()) {
        return *number;
    }
    const json::string* text = value->if_string();
    std::int64_t number = 0;
    if (text == nullptr) {
        throw Malformed{"a number is of another kind"};
    }
    const char* end = text->data() + text->size();
    if (const auto [at, error] = std::from_chars(text->data(), end, number);
        error != std::errc{} || at != end) {
        throw Malformed{"a number is malformed"};
    }
    return number;
}

Revision revision_at(const json::object& object, std::string_view name) {
    const Revision revision = number_at(object, name);
    return revision >= 0 ? revision : throw Malformed{"a revision is negative"};
}

bool flag_at(const json::object& object, std::string_view name) {
    const json::value* value = find(object, name);
    return value != nullptr && value->is_bool() && value->get_bool();
}

std::string bytes_at(const json::object& object, std::string_view name) {
    const json::value* value = find(object, name);
    if (value == nullptr) {
        return {};
    }
    const json::string* text = value->if_string();
    auto bytes = text != nullptr ? from_base64(*text) : std::nullopt;
    return bytes ? std::move(*bytes) : throw Malformed{"bytes are not base64"};
}

std::string text_at(const json::object& object, std::string_view name) {
    const json::value* value = find(object, name);
    const json::string* text = value != nullptr ? value->if_string() : nullptr;
    return text != nullptr ? std::string{*text} : std::string{};
}

template <typename Each>
void for_each_at(const json::object& object, std::string_view name, Each each) {
    const json::value* value = find(object, name);
    if (value == nullptr) {
        return;
    }
    const json::array* array = value->if_array();
    if (array == nullptr) {
        throw Malformed{"an array is of another kind"};
    }
    for (const json::value& item : *array) {
        each(object_of(item));
    }
}

// Of the newest change that the server knew when it answered. Always 1 or more.
Revision header_revision(const json::object& object) {
    const Revision revision = revision_at(object_at(object, "header"), "revision");
    return revision > 0 ? revision : throw Malformed{"its revision is missing"};
}

Entry entry_of(const json::object& object) {
    Entry entry{bytes_at(object, "key"), bytes_at(object, "value"),
                revision_at(object, "create_revision"), revision_at(object, "mod_revision"),
                number_at(object, "lease")};
    if (entry.key.empty() || entry.mod_revision == 0) {
        throw Malformed{"an entry has no key or no revision"};
    }
    return entry;
}

Event event_of(const json::object& object) {
    Event event{Event::Kind::put, entry_of(object_at(object, "kv"))};
    if (text_at(object, "type") == "DELETE") {
        event = {Event::Kind::deleted, {event.entry.key, {}, 0, event.entry.mod_revision, 0}};
    }
    return event;
}

Page page_of(const json::object& object) {
    Page page{{}, header_revision(object), flag_at(object, "more")};
    for_each_at(object, "kvs",
                [&page](const json::object& entry) { page.entries.push_back(entry_of(entry)); });
    return page;
}

WatchMessage watch_message_of(const json::object& stream) {
    if (find(stream, "error") != nullptr) {
        throw Malformed{"the watch failed"};
    }
    const json::object& object = object_at(stream, "result");
    // The end of a watch has no revision.
    const bool is_canceled = flag_at(object, "canceled");
    WatchMessage message{.revision = is_canceled ? 0 : header_revision(object),
                         .is_created = flag_at(object, "created"),
                         .is_canceled = is_canceled,
                         .compacted = revision_at(object, "compact_revision"),
                         .is_fragment = flag_at(object, "fragment"),
                         .events = {}};
    for_each_at(object, "events", [&message](const json::object& event) {
        message.events.push_back(event_of(event));
    });
    return message;
}

Error nonsense(const char* what, Effect effect) {
    return {effect == Effect::reads ? Failure::unavailable : Failure::uncertain,
            std::string{"etcd's answer makes no sense: "} + what};
}

template <typename T, typename Decode>
Result<T> decode(std::string_view body, Effect effect, Decode decode_object) {
    boost::system::error_code error;
    const json::value document = json::parse(body, error);
    if (error) {
        return std::unexpected{nonsense("it is not JSON", effect)};
    }
    try {
        return decode_object(object_of(document));
    } catch (const Malformed& malformed) {
        return std::unexpected{nonsense(malformed.what, effect)};
    }
}

std::unexpected<Error> lease_gone() {
    return std::unexpected{Error{Failure::lease_gone, "there is no such lease"}};
}

// gRPC's status codes.
enum class Code { invalid_argument = 3, not_found = 5, resource_exhausted = 8, out_of_range = 11 };

Failure failure_of(std::int64_t code, std::string_view message, Effect effect) {
    switch (static_cast<Code>(code)) {
        case Code::invalid_argument:
            return message.contains("too large") || message.contains("too many")
                       ? Failure::too_large
                       : Failure::invalid;
        case Code::not_found:
            return Failure::lease_gone;
        case Code::resource_exhausted:
            if (message.contains("space exceeded")) {
                return Failure::no_space;
            }
            return message.contains("larger than max") ? Failure::too_large : Failure::unavailable;
        case Code::out_of_range:
            return message.contains("compacted") ? Failure::compacted : Failure::invalid;
    }
    return effect == Effect::reads ? Failure::unavailable : Failure::uncertain;
}

Outcome outcome_of(const json::object& object) {
    Outcome outcome{header_revision(object), flag_at(object, "succeeded"), 0};
    if (outcome.is_done) {
        return outcome;
    }
    for_each_at(object, "responses", [&outcome](const json::object& response) {
        for_each_at(object_at(response, "response_range"), "kvs", [&](const json::object& entry) {
            const Revision change = entry_of(entry).mod_revision;
            const bool is_first = outcome.oldest_change == 0;
            outcome.oldest_change = is_first ? change : std::min(outcome.oldest_change, change);
        });
    });
    return outcome;
}

}  // namespace

Result<Page> decode_range(std::string_view body) {
    return decode<Page>(body, Effect::reads,
                        [](const json::object& object) -> Result<Page> { return page_of(object); });
}

Result<Outcome> decode_commit(std::string_view body) {
    return decode<Outcome>(body, Effect::writes, [](const json::object& object) -> Result<Outcome> {
        return outcome_of(object);
    });
}

Result<LeaseId> decode_grant(std::string_view body) {
    return decode<LeaseId>(body, Effect::writes, [](const json::object& object) -> Result<LeaseId> {
        const LeaseId lease = number_at(object, "ID");
        return lease != 0 ? lease : throw Malformed{"the lease is missing"};
    });
}

Result<LeaseId> decode_keep_alive(std::string_view body) {
    return decode<LeaseId>(body, Effect::reads, [](const json::object& stream) -> Result<LeaseId> {
        const json::object& object = object_at(stream, "result");
        if (number_at(object, "ID") == 0) {
            throw Malformed{"the lease is missing"};
        }
        if (number_at(object, "TTL") <= 0) {
            return lease_gone();
        }
        return number_at(object, "ID");
    });
}

Result<Revision> decode_revision(std::string_view body) {
    return decode<Revision>(
        body, Effect::writes,
        [](const json::object& object) -> Result<Revision> { return header_revision(object); });
}

Result<WatchMessage> decode_watch(std::string_view message) {
    return decode<WatchMessage>(message, Effect::reads,
                                [](const json::object& object) -> Result<WatchMessage> {
                                    return watch_message_of(object);
                                });
}

Error decode_error(std::string_view body, Effect effect) {
    boost::system::error_code error;
    const json::value document = json::parse(body, error);
    const json::object* object = error ? nullptr : document.if_object();
    if (object == nullptr) {
        return nonsense("an error without JSON", effect);
    }
    try {
        constexpr std::size_t max_reason_bytes = 200;
        const std::string message = text_at(*object, "message");
        return {failure_of(number_at(*object, "code"), message, effect),
                "etcd: " + message.substr(0, max_reason_bytes)};
    } catch (const Malformed& malformed) {
        return nonsense(malformed.what, effect);
    }
}

}  // namespace shoal::store::etcd
