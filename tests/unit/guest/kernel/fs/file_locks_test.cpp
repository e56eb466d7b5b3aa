// Who has locked what of a file.
#include "guest/kernel/fs/file_locks.h"

#include <doctest/doctest.h>

namespace shoal::guest {
namespace {

using Kind = FileLocks::Kind;
using Lock = FileLocks::Lock;

const int first = 1;
const int second = 2;

TEST_CASE("shared locks are beside one another, exclusive ones are alone") {
    FileLocks locks;
    REQUIRE(locks.set({&first, Kind::shared, 10, 19}));
    CHECK(locks.find_conflict({&second, Kind::shared, 0, FileLocks::end}) == nullptr);
    CHECK(locks.find_conflict({&second, Kind::exclusive, 0, 9}) == nullptr);
    CHECK(locks.find_conflict({&second, Kind::exclusive, 20, 20}) == nullptr);
    CHECK(locks.find_conflict({&second, Kind::exclusive, 19, 19})->first == 10);
    CHECK(locks.find_conflict({&first, Kind::exclusive, 0, FileLocks::end}) == nullptr);
    REQUIRE(locks.set({&first, Kind::exclusive, 10, 19}));
    CHECK(locks.find_conflict({&second, Kind::shared, 0, 10}) != nullptr);
    locks.release(&second);
    CHECK(locks.find_conflict({&second, Kind::shared, 0, 10}) != nullptr);
    locks.release(&first);
    CHECK(locks.find_conflict({&second, Kind::shared, 0, 10}) == nullptr);
}

TEST_CASE("a new lock takes the place of its owner's, which are split and become one") {
    FileLocks locks;
    const auto is_locked = [&](std::uint64_t at, Kind kind) {
        const Lock* found = locks.find_conflict({&second, Kind::exclusive, at, at});
        return found == nullptr ? kind == Kind::none : found->kind == kind;
    };
    REQUIRE(locks.set({&first, Kind::exclusive, 0, FileLocks::end}));
    REQUIRE(locks.set({&first, Kind::none, 100, 199}));
    CHECK(is_locked(0, Kind::exclusive));
    CHECK(is_locked(99, Kind::exclusive));
    CHECK(is_locked(100, Kind::none));
    CHECK(is_locked(199, Kind::none));
    CHECK(is_locked(200, Kind::exclusive));
    CHECK(is_locked(FileLocks::end, Kind::exclusive));
    REQUIRE(locks.set({&first, Kind::shared, 150, 249}));
    CHECK(is_locked(149, Kind::none));
    CHECK(is_locked(150, Kind::shared));
    CHECK(is_locked(249, Kind::shared));
    CHECK(is_locked(250, Kind::exclusive));
    // Neighbours of one kind are one lock.
    REQUIRE(locks.set({&first, Kind::shared, 100, 149}));
    const Lock* found = locks.find_conflict({&second, Kind::exclusive, 120, 120});
    CHECK(found->first == 100);
    CHECK(found->last == 249);
    REQUIRE(locks.set({&first, Kind::none, 0, FileLocks::end}));
    CHECK(is_locked(120, Kind::none));
}

TEST_CASE("there is a limit to locks, not to giving them back") {
    FileLocks locks;
    for (std::size_t i = 0; i < FileLocks::limit; ++i) {
        REQUIRE(locks.set({&first, Kind::shared, 2 * i, 2 * i}));
    }
    CHECK(locks.set({&first, Kind::shared, 2 * FileLocks::limit, FileLocks::end}).error() ==
          Errno::nolck);
    CHECK(locks.set({&first, Kind::none, 0, 0}));
    CHECK(locks.set({&first, Kind::shared, 2 * FileLocks::limit, FileLocks::end}));
}

}  // namespace
}  // namespace shoal::guest
