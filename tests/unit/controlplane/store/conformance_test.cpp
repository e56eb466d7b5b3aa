// What every store must do, whatever it is made of: keys, lists, transactions, limits.
#include <doctest/doctest.h>

#include <string>

#include "controlplane/store/limits.h"
#include "tests/unit/controlplane/store/conformance.h"

namespace shoal::store::test {

namespace {

Transaction swap(const std::string& key, Revision expected, const std::string& value) {
    return {{{key, expected}}, {Put{key, value}}};
}

}  // namespace

TEST_CASE_TEMPLATE("a key holds the bytes that were put last", Kind, FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    std::string bytes(256, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<char>(i);
    }
    CHECK(client.value(test.at("a")) == "(absent)");
    const auto first = client.put(test.at("a"), "1");
    const auto second = client.put(test.at("a"), bytes);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(*second > *first);

    const auto lookup = client.get(test.at("a"));
    REQUIRE(lookup);
    REQUIRE(lookup->entry);
    CHECK(*lookup->entry == Entry{test.at("a"), bytes, *first, *second, 0});
    CHECK(lookup->revision >= *second);

    REQUIRE(client.put(test.at("a"), ""));
    CHECK(client.value(test.at("a")).empty());
}

TEST_CASE_TEMPLATE("a deleted key is absent and starts anew", Kind, FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    REQUIRE(client.put(test.at("a"), "1"));
    const auto removed = client.remove(test.at("a"));
    REQUIRE(removed);
    CHECK(client.value(test.at("a")) == "(absent)");
    CHECK(client.remove(test.at("a")) == *removed);  // Nothing changed.

    const auto again = client.put(test.at("a"), "2");
    REQUIRE(again);
    CHECK(*again > *removed);
    CHECK(client.get(test.at("a"))->entry->create_revision == *again);
}

TEST_CASE_TEMPLATE("a list has the keys of its prefix in order, page by page", Kind,
                   FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    Transaction transaction;
    for (const char* name : {"b/2", "b/1", "b/3", "a", "b0", "bb/1"}) {
        transaction.operations.emplace_back(Put{test.at(name), name});
    }
    REQUIRE(client.commit(transaction));

    const auto first = client.list({.prefix = test.at("b/"), .limit = 2});
    REQUIRE(first);
    REQUIRE(first->entries.size() == 2);
    CHECK(first->entries[0].value == "b/1");
    CHECK(first->entries[1].value == "b/2");
    CHECK(first->has_more);

    // What happens between two pages is not seen by the second.
    REQUIRE(client.put(test.at("b/3"), "new"));
    REQUIRE(client.put(test.at("b/4"), "new"));
    REQUIRE(client.remove(test.at("b/1")));
    const auto second = client.list({.prefix = test.at("b/"),
                                     .after = first->entries.back().key,
                                     .revision = first->revision,
                                     .limit = 2});
    REQUIRE(second);
    REQUIRE(second->entries.size() == 1);
    CHECK(second->entries[0].value == "b/3");
    CHECK(!second->has_more);
    CHECK(second->revision == first->revision);

    CHECK(client.list({.prefix = test.at("none/")})->entries.empty());
    CHECK(client.list({.prefix = test.at("b/"), .limit = 3})->entries.size() == 3);
    CHECK(!client.list({.prefix = test.at("b/"), .limit = 3})->has_more);
}

TEST_CASE_TEMPLATE("a list of large values comes in shorter pages", Kind, FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const std::string large(max_value_bytes, 'x');
    constexpr int count = 40;
    for (int i = 0; i < count; ++i) {
        REQUIRE(client.put(test.at(std::to_string(100 + i)), large));
    }
    ListRequest request{.prefix = test.at("")};
    int seen = 0;
    for (bool has_more = true; has_more;) {
        const auto page = client.list(request);
        REQUIRE(page);
        REQUIRE(!page->entries.empty());
        seen += static_cast<int>(page->entries.size());
        has_more = page->has_more;
        request.after = page->entries.back().key;
        request.revision = page->revision;
    }
    CHECK(seen == count);
}

TEST_CASE_TEMPLATE("a transaction happens as a whole or not at all", Kind, FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const auto made = client.commit(
        {{{test.at("a"), 0}, {test.at("b"), 0}}, {Put{test.at("a"), "1"}, Put{test.at("b"), "1"}}});
    REQUIRE(made);
    CHECK(client.get(test.at("a"))->entry->mod_revision == *made);
    CHECK(client.get(test.at("b"))->entry->mod_revision == *made);

    SUBCASE("one condition of two does not hold") {
        const auto refused = client.commit({{{test.at("a"), *made}, {test.at("b"), *made + 1}},
                                            {Put{test.at("a"), "2"}, Delete{test.at("b")}}});
        CHECK(failure_of(refused) == Failure::conflict);
        CHECK(client.value(test.at("a")) == "1");
        CHECK(client.value(test.at("b")) == "1");
    }
    SUBCASE("a key that must be absent is there") {
        CHECK(failure_of(client.commit(swap(test.at("a"), 0, "2"))) == Failure::conflict);
    }
    SUBCASE("a key that must be there is absent") {
        CHECK(failure_of(client.commit(swap(test.at("c"), *made, "2"))) == Failure::conflict);
        CHECK(client.value(test.at("c")) == "(absent)");
    }
    SUBCASE("a lease is gone") {
        const auto refused =
            client.commit({{}, {Put{test.at("a"), "2"}, Put{test.at("b"), "2", 7}}});
        CHECK(failure_of(refused) == Failure::lease_gone);
        CHECK(client.value(test.at("a")) == "1");
    }
    SUBCASE("all hold") {
        const auto changed = client.commit({{{test.at("a"), *made}, {test.at("c"), 0}},
                                            {Delete{test.at("a")}, Put{test.at("b"), "2"}}});
        REQUIRE(changed);
        CHECK(client.value(test.at("a")) == "(absent)");
        CHECK(client.get(test.at("b"))->entry->mod_revision == *changed);
    }
    SUBCASE("a mark is put once, beside what it is about") {
        const auto mark = [&](Revision of, Revision before) {
            return client.commit(
                {{{test.at("a"), of}, {test.at("mark"), before}}, {Put{test.at("mark"), "gone"}}});
        };
        const auto marked = mark(*made, 0);
        REQUIRE(marked);
        CHECK(failure_of(mark(*made, 0)) == Failure::conflict);
        CHECK(mark(*made, *marked));
        REQUIRE(client.remove(test.at("a")));
        CHECK(failure_of(mark(*made, 0)) == Failure::conflict);
    }
    SUBCASE("only conditions") {
        CHECK(client.commit({{{test.at("a"), *made}}, {}}));
        CHECK(failure_of(client.commit({{{test.at("a"), 0}}, {}})) == Failure::conflict);
    }
}

TEST_CASE_TEMPLATE("what is beyond a limit is refused and changes nothing", Kind,
                   FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const auto put = [&](const std::string& key, std::size_t size) {
        return failure_of(client.put(key, std::string(size, 'x')));
    };
    CHECK(put(test.at("a"), max_value_bytes) == std::nullopt);
    CHECK(put(test.at("a"), max_value_bytes + 1) == Failure::too_large);
    CHECK(put("/" + std::string(max_key_bytes - 1, 'k'), 1) == std::nullopt);
    CHECK(put("/" + std::string(max_key_bytes, 'k'), 1) == Failure::too_large);
    for (const char* key : {"", "a", "/", "/a/", "//a", "/a b", "/a\n", "/\x80"}) {
        CAPTURE(key);
        CHECK(put(key, 1) == Failure::invalid);
    }
    Transaction many;
    for (std::size_t i = 0; i < max_operations; ++i) {
        many.operations.emplace_back(Put{test.at(std::to_string(i)), "x"});
        many.conditions.push_back({test.at(std::to_string(i)), 0});
    }
    CHECK(client.commit(many));
    many.operations.emplace_back(Put{test.at("more"), "x"});
    CHECK(failure_of(client.commit(many)) == Failure::too_large);
    CHECK(client.value(test.at("more")) == "(absent)");

    const std::string large(max_value_bytes, 'x');
    CHECK(failure_of(client.commit({{}, {Put{test.at("p"), large}, Put{test.at("q"), large}}})) ==
          Failure::too_large);
    CHECK(failure_of(client.commit({{}, {Put{test.at("p"), "1"}, Delete{test.at("p")}}})) ==
          Failure::invalid);
    CHECK(failure_of(client.list({.prefix = test.at(""), .limit = max_page_keys + 1})) ==
          Failure::too_large);
    CHECK(failure_of(client.list({.prefix = test.at("b"), .after = "/z"})) == Failure::invalid);
}

}  // namespace shoal::store::test
