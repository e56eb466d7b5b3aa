// ManualStore: a store in memory whose time the test moves, for what a shoald has inside. Declare
// what uses it behind it.
#pragma once

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>

#include "controlplane/store/memory_store.h"
#include "tests/unit/controlplane/node/manual_loop.h"

namespace shoal::node::test {

struct ManualStore {
    void commit(store::Transaction transaction) {
        std::optional<bool> done;
        store.commit(std::move(transaction), [&done](const store::Result<store::Revision>& result) {
            done = result.has_value();
        });
        loop.settle();
        REQUIRE(done == true);
    }
    void put(const std::string& key, const std::string& value) {
        commit({{}, {store::Put{key, value}}});
    }

    ManualLoop loop;
    store::MemoryStore store{loop};
};

}  // namespace shoal::node::test
