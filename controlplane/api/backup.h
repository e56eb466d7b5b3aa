// /v1/backup: a copy of the store, whole or not there.
#pragma once

#include "controlplane/api/api.h"
#include "controlplane/store/sqlite_store.h"

namespace shoal::rest {

// Adds the route. Borrows the store; null: it is not this host's to copy.
void add_backup(Api& api, store::SqliteStore* store);

}  // namespace shoal::rest
