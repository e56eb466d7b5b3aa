// The implementations that the conformance tests run against, each with a folder of keys of its
// own.
#pragma once

#include <memory>
#include <string>

#include "controlplane/store/etcd_store.h"
#include "controlplane/store/fanned_store.h"
#include "controlplane/store/memory_store.h"
#include "controlplane/store/sqlite_store.h"
#include "tests/unit/controlplane/store/etcd_cluster.h"
#include "tests/unit/controlplane/store/scratch_folder.h"
#include "tests/unit/controlplane/store/store_client.h"

namespace shoal::store::test {

struct InMemory {
    [[nodiscard]] std::unique_ptr<Store> open(EventLoopRunner& runner) const {
        return std::make_unique<MemoryStore>(runner.loop());
    }
};

struct InSqlite {
    [[nodiscard]] std::unique_ptr<Store> open(EventLoopRunner& runner) const {
        return std::make_unique<SqliteStore>(runner.loop(), SqliteOptions{folder.file("store")});
    }
    ScratchFolder folder;
};

// One server for all cases: they differ by their folders of keys.
struct InEtcd {
    [[nodiscard]] std::unique_ptr<Store> open(EventLoopRunner& runner) const {
        auto store = std::make_unique<EtcdStore>(runner.context(), cluster().options());
        wait_until_serving(runner, *store);
        return store;
    }
    static EtcdCluster& cluster() {
        static EtcdCluster one{1};
        return one;
    }
};

struct Fanned {
    [[nodiscard]] std::unique_ptr<Store> open(EventLoopRunner& runner) const {
        return std::make_unique<FannedStore>(runner.loop(),
                                             std::make_unique<MemoryStore>(runner.loop()));
    }
};

template <typename Kind>
class Conformance {
public:
    // A key or prefix in this test's folder.
    [[nodiscard]] std::string at(const std::string& name) const { return root_ + name; }

    [[nodiscard]] StoreClient& client() noexcept { return client_; }
    [[nodiscard]] EventLoopRunner& runner() noexcept { return runner_; }

private:
    static std::string next_root() {
        static int last = 0;
        return "/test" + std::to_string(++last) + "/";
    }

    EventLoopRunner runner_;
    Kind kind_;
    std::unique_ptr<Store> store_ = kind_.open(runner_);
    StoreClient client_{runner_, *store_};
    std::string root_ = next_root();
};

}  // namespace shoal::store::test

// With their own limit of watches, and all.
#define STORE_KINDS InMemory, InSqlite, InEtcd
#define FANNED_STORE_KINDS STORE_KINDS, Fanned
