#include "controlplane/store/etcd_answer.h"

#include <doctest/doctest.h>

#include <string>

namespace shoal::store::test {

namespace {

using etcd::Effect;

Failure failure(std::string_view body, Effect effect) {
    return etcd::decode_error(body, effect).failure;
}

// Of the answer to a transaction.
Failure failure_of(const std::string& body) {
    return etcd::decode_commit(body).error().failure;
}

}  // namespace

TEST_CASE("a range has its entries, its revision and whether there is more") {
    const auto page = etcd::decode_range(
        R"({"header":{"cluster_id":"1","revision":"9"},"kvs":[{"key":"L2E=","value":"AA==",)"
        R"("create_revision":"3","mod_revision":"8","version":"2","lease":"-5"}],"more":true,"count":"2"})");
    REQUIRE(page);
    REQUIRE(page->entries.size() == 1);
    CHECK(page->entries[0] == Entry{"/a", std::string(1, '\0'), 3, 8, -5});
    CHECK(page->revision == 9);
    CHECK(page->has_more);
    CHECK(etcd::decode_range(R"({"header":{"revision":"1"}})")->entries.empty());
}

TEST_CASE("an answer that makes no sense is unavailable after a read and uncertain after a write") {
    for (const char* body :
         {"", "{", "[]", "null", "{}", R"({"header":7})", R"({"header":{"revision":"x"}})",
          R"({"header":{"revision":"-1"}})", R"({"header":{"revision":"99999999999999999999"}})",
          R"({"header":{"revision":"1 "}})", R"({"header":{"revision":1.5}})"}) {
        CAPTURE(body);
        CHECK(etcd::decode_range(body).error().failure == Failure::unavailable);
        CHECK(etcd::decode_commit(body).error().failure == Failure::uncertain);
        CHECK(etcd::decode_revision(body).error().failure == Failure::uncertain);
        CHECK(!etcd::decode_watch(body));
    }
    for (const char* kvs :
         {"7", "[7]", "[{}]", R"([{"key":"L2E="}])", R"([{"mod_revision":"1"}])",
          R"([{"key":"!","mod_revision":"1"}])", R"([{"key":7,"mod_revision":"1"}])",
          R"([{"key":"L2E=","mod_revision":"-1"}])"}) {
        CAPTURE(kvs);
        CHECK(!etcd::decode_range(R"({"header":{"revision":"1"},"kvs":)" + std::string{kvs} + "}"));
    }
    const std::string deep(100'000, '[');
    CHECK(!etcd::decode_range(deep));
}

TEST_CASE("a transaction says whether its conditions held, and if not how old is what is there") {
    const auto done = etcd::decode_commit(R"({"header":{"revision":"7"},"succeeded":true})");
    REQUIRE(done);
    CHECK(done->is_done);
    CHECK(done->revision == 7);
    const auto refused = [](const std::string& responses) {
        const auto outcome =
            etcd::decode_commit(R"({"header":{"revision":"7"},"responses":)" + responses + "}");
        REQUIRE(outcome);
        CHECK(!outcome->is_done);
        return outcome->oldest_change;
    };
    const std::string absent = R"({"response_range":{"header":{"revision":"7"}}})";
    const auto present = [](int revision) {
        return R"({"response_range":{"kvs":[{"key":"L2E=","create_revision":"1","mod_revision":")" +
               std::to_string(revision) + R"("}],"count":"1"}})";
    };
    CHECK(refused("[]") == 0);
    CHECK(refused("[" + absent + "]") == 0);
    CHECK(refused("[" + present(5) + "," + absent + "," + present(3) + "," + present(6) + "]") ==
          3);
    CHECK(refused(R"([{"response_put":{}},{}])") == 0);
    for (const char* responses :
         {"7", "[7]", R"([{"response_range":7}])", R"([{"response_range":{"kvs":[{}]}}])",
          R"([{"response_range":{"kvs":[{"key":"L2E=","mod_revision":"-3"}]}}])"}) {
        CAPTURE(responses);
        CHECK(failure_of(R"({"header":{"revision":"7"},"responses":)" + std::string{responses} +
                         "}") == Failure::uncertain);
    }
}

TEST_CASE("a lease that is gone has no time to live") {
    CHECK(etcd::decode_grant(R"({"header":{"revision":"7"},"ID":"5","TTL":"2"})") == 5);
    CHECK(etcd::decode_keep_alive(R"({"result":{"ID":"5","TTL":"2"}})"
                                  "\n") == 5);
    CHECK(etcd::decode_keep_alive(R"({"result":{"ID":"5"}})").error().failure ==
          Failure::lease_gone);
    CHECK(etcd::decode_keep_alive("{}").error().failure == Failure::unavailable);
}

TEST_CASE("messages of a watch are told apart") {
    const auto created =
        etcd::decode_watch(R"({"result":{"header":{"revision":"4"},"created":true}})");
    REQUIRE(created);
    CHECK(created->is_created);
    CHECK(created->events.empty());
    const auto changed = etcd::decode_watch(
        R"({"result":{"header":{"revision":"4"},"fragment":true,"events":[{"kv":{"key":"L2E=",)"
        R"("create_revision":"3","mod_revision":"3","value":"MQ=="}},{"type":"DELETE","kv":{)"
        R"("key":"L2E=","mod_revision":"4"}}]}})");
    REQUIRE(changed);
    CHECK(changed->is_fragment);
    REQUIRE(changed->events.size() == 2);
    CHECK(changed->events[0] == Event{Event::Kind::put, {"/a", "1", 3, 3, 0}});
    CHECK(changed->events[1] == Event{Event::Kind::deleted, {"/a", "", 0, 4, 0}});
    const auto compacted = etcd::decode_watch(
        R"({"result":{"header":{"member_id":"9"},"canceled":true,"compact_revision":"8"}})");
    REQUIRE(compacted);
    CHECK(compacted->is_canceled);
    CHECK(compacted->compacted == 8);
    CHECK(!etcd::decode_watch(R"({"error":{"message":"no"}})"));
}

TEST_CASE("etcd's errors are typed by their gRPC codes") {
    const auto body = [](int code, const std::string& message) {
        return R"({"error":"x","code":)" + std::to_string(code) + R"(,"message":")" + message +
               "\"}";
    };
    const auto compacted = body(11, "etcdserver: mvcc: required revision has been compacted");
    CHECK(failure(compacted, Effect::reads) == Failure::compacted);
    const auto future = body(11, "etcdserver: mvcc: required revision is a future revision");
    CHECK(failure(future, Effect::reads) == Failure::invalid);
    CHECK(failure(body(5, "etcdserver: requested lease not found"), Effect::writes) ==
          Failure::lease_gone);
    CHECK(failure(body(8, "etcdserver: mvcc: database space exceeded"), Effect::writes) ==
          Failure::no_space);
    CHECK(failure(body(8, "etcdserver: too many requests"), Effect::writes) ==
          Failure::unavailable);
    CHECK(failure(body(3, "etcdserver: request is too large"), Effect::writes) ==
          Failure::too_large);
    CHECK(failure(body(14, "etcdserver: leader changed"), Effect::reads) == Failure::unavailable);
    CHECK(failure(body(14, "etcdserver: leader changed"), Effect::writes) == Failure::uncertain);
    CHECK(failure("<html>", Effect::writes) == Failure::uncertain);
    CHECK(etcd::decode_error(body(14, std::string(5000, 'x')), Effect::reads).reason.size() < 300);
}

}  // namespace shoal::store::test
