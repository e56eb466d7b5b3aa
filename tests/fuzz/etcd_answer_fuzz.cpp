// Fuzzes what etcd answers: the first byte says which decoder reads the rest.
//
// Whatever comes, memory is bounded and what is decoded keeps its promises.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "controlplane/store/base64.h"
#include "controlplane/store/etcd_answer.h"
#include "devices/host/check.h"

namespace {

namespace store = shoal::store;

void check(const store::Entry& entry) {
    SHOAL_CHECK(!entry.key.empty());
    SHOAL_CHECK(entry.mod_revision > 0);
    SHOAL_CHECK(entry.create_revision >= 0);
}

void check(const store::Error& error) {
    SHOAL_CHECK(!error.reason.empty() && error.reason.size() < 500);
}

void range(std::string_view body) {
    const auto page = store::etcd::decode_range(body);
    if (!page) {
        return check(page.error());
    }
    SHOAL_CHECK(page->revision > 0);
    for (const store::Entry& entry : page->entries) {
        check(entry);
    }
}

void watch(std::string_view message) {
    const auto decoded = store::etcd::decode_watch(message);
    if (!decoded) {
        return check(decoded.error());
    }
    SHOAL_CHECK(decoded->compacted >= 0);
    SHOAL_CHECK(decoded->is_canceled || decoded->revision > 0);
    for (const store::Event& event : decoded->events) {
        check(event.entry);
        SHOAL_CHECK(event.kind == store::Event::Kind::put || event.entry.value.empty());
    }
}

void commit(std::string_view body) {
    const auto outcome = store::etcd::decode_commit(body);
    if (!outcome) {
        return check(outcome.error());
    }
    SHOAL_CHECK(outcome->revision > 0 && outcome->oldest_change >= 0);
    SHOAL_CHECK(!outcome->is_done || outcome->oldest_change == 0);
}

template <typename T>
void number(const store::Result<T>& decoded) {
    if (decoded) {
        SHOAL_CHECK(*decoded != 0);
    } else {
        check(decoded.error());
    }
}

void base64(std::string_view text) {
    if (const auto bytes = store::from_base64(text)) {
        // Canonical but for the unused bits of the last character.
        SHOAL_CHECK(store::to_base64(*bytes).size() == text.size());
        SHOAL_CHECK(store::from_base64(store::to_base64(*bytes)) == bytes);
    }
    SHOAL_CHECK(store::from_base64(store::to_base64(text)) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    if (size_bytes < 1) {
        return 0;
    }
    // SAFETY: bytes are read as the characters that a socket would bring.
    const std::string_view body{reinterpret_cast<const char*>(data) + 1, size_bytes - 1};
    switch (data[0] % 8) {
        case 0:
            range(body);
            break;
        case 1:
            watch(body);
            break;
        case 2:
            commit(body);
            break;
        case 3:
            number(store::etcd::decode_grant(body));
            break;
        case 4:
            number(store::etcd::decode_keep_alive(body));
            break;
        case 5:
            number(store::etcd::decode_revision(body));
            break;
        case 6:
            check(store::etcd::decode_error(body, store::etcd::Effect::reads));
            check(store::etcd::decode_error(body, store::etcd::Effect::writes));
            break;
        default:
            base64(body);
            break;
    }
    return 0;
}
