// EtcdStore: the store that many hosts share, an etcd cluster spoken with through its JSON gateway.
//
// Heals by itself: a member that is gone, silent or without a leader is left for the next one, and
// watches resume from their revisions. A transaction with a condition on what it changes is sent
// again when its answer is lost, and signed, so that its own success is told from a conflict. Any
// other write is not, and Failure::uncertain. Each watch has a connection of its own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "controlplane/store/etcd_client.h"
#include "controlplane/store/etcd_watch.h"
#include "controlplane/store/store.h"

namespace shoal::store {

class EtcdStore final : public Store {
public:
    // Borrows the context. Connects when there is something to ask. Throws std::runtime_error with
    // one sentence for certificates that cannot be read.
    EtcdStore(boost::asio::io_context& context, EtcdOptions options);
    EtcdStore(const EtcdStore&) = delete;
    EtcdStore& operator=(const EtcdStore&) = delete;
    ~EtcdStore() override = default;

    void get(std::string key, Handler<Lookup> handler) override;
    void list(ListRequest request, Handler<Page> handler) override;
    void commit(Transaction transaction, Handler<Revision> handler) override;
    [[nodiscard]] Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision from,
                                                       Watcher& watcher) override;
    void grant(std::chrono::seconds ttl, Handler<LeaseId> handler) override;
    void keep_alive(LeaseId lease, Handler<LeaseId> handler) override;
    void revoke(LeaseId lease, Handler<LeaseId> handler) override;
    void compact(Revision revision, Handler<Revision> handler) override;

private:
    class Handle;

    template <typename T>
    void refuse_later(Handler<T> handler, Error error);
    void list_some(ListRequest request, std::size_t limit, Handler<Page> handler);
    void find_out(const std::string& signature, Revision changed, Handler<Revision> handler);
    void probe_later();

    EtcdClient client_;
    const std::string writer_;  // this store's, of all that ever were
    std::uint64_t signature_count_ = 0;
    std::set<EtcdWatch*> watches_;
    bool is_probing_ = false;
    // What waits in the loop, and watches that outlive the store, find it gone.
    std::shared_ptr<EtcdStore*> self_ = std::make_shared<EtcdStore*>(this);
};

}  // namespace shoal::store
