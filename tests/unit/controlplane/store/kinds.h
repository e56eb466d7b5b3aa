// The kinds of store that are tested.
#pragma once

#define STORE_KINDS InMemory, InSqlite, InEtcd
