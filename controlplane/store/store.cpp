// The short forms of a transaction.
#include "controlplane/store/store.h"

namespace shoal::store {

void Store::put(Put put, Handler<Revision> handler) {
    Transaction transaction;
    transaction.operations.emplace_back(std::move(put));
    commit(std::move(transaction), std::move(handler));
}

void Store::remove(std::string key, Handler<Revision> handler) {
    Transaction transaction;
    transaction.operations.emplace_back(Delete{std::move(key)});
    commit(std::move(transaction), std::move(handler));
}

}  // namespace shoal::store
