#include "guest/kernel/sched/queue.h"

#include <doctest/doctest.h>

#include <string>

namespace shoal::guest {
namespace {

struct Item {
    char name = '?';
    int key = 0;
    QueueLink<Item> link{};
};
using Items = Queue<Item, &Item::link>;

std::string names(const Items& items) {
    std::string result;
    for (const Item* at = items.first(); at != nullptr; at = Items::behind(*at)) {
        result.push_back(at->name);
    }
    return result;
}

TEST_CASE("a queue gives back what was put in, first in first out") {
    Items items;
    Item a{'a'};
    Item b{'b'};
    Item c{'c'};
    CHECK(items.pop_front() == nullptr);
    for (Item* item : {&a, &b, &c}) {
        items.push_back(*item);
    }
    CHECK(names(items) == "abc");
    CHECK(items.pop_front() == &a);
    CHECK(names(items) == "bc");
    items.push_back(a);
    CHECK(names(items) == "bca");
}

TEST_CASE("an item leaves a queue wherever it is, and only once") {
    Items items;
    Item a{'a'};
    Item b{'b'};
    Item c{'c'};
    for (Item* item : {&a, &b, &c}) {
        items.push_back(*item);
    }
    SUBCASE("first") {
        items.remove(a);
        CHECK(names(items) == "bc");
    }
    SUBCASE("in the middle") {
        items.remove(b);
        items.remove(b);
        CHECK(names(items) == "ac");
        CHECK_FALSE(b.link.is_queued);
    }
    SUBCASE("last") {
        items.remove(c);
        CHECK(names(items) == "ab");
        items.push_back(c);
        CHECK(names(items) == "abc");
    }
    SUBCASE("all") {
        items.remove(b);
        items.remove(a);
        items.remove(c);
        CHECK(items.empty());
    }
}

TEST_CASE("a sorted queue keeps those with the same key in the order of their coming") {
    Items items;
    Item late{'z', 9};
    Item early{'a', 1};
    Item middle{'m', 5};
    Item second{'n', 5};
    const auto key = [](const Item& item) { return item.key; };
    for (Item* item : {&late, &early, &middle, &second}) {
        items.insert_sorted(*item, key);
    }
    CHECK(names(items) == "amnz");
}

}  // namespace
}  // namespace shoal::guest
