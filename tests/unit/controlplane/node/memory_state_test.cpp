#include "controlplane/node/memory_state.h"

#include <doctest/doctest.h>

namespace shoal::node {

TEST_CASE("available memory and stalls are read from the kernel's lines") {
    CHECK(available_mib_in("MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:    2097152 kB\n") ==
          2048);
    CHECK_FALSE(available_mib_in("MemTotal: 100 kB\n"));
    CHECK_FALSE(available_mib_in("MemAvailable:\n"));
    CHECK_FALSE(available_mib_in(""));
    constexpr const char* pressure =
        "some avg10=50.00 avg60=1.00 avg300=0.00 total=1\n"
        "full avg10=12.34 avg60=1.00 avg300=0.00 total=1\n";
    CHECK(stalled_percent_in(pressure) == doctest::Approx(12.34));
    CHECK_FALSE(stalled_percent_in("some avg10=50.00 avg60=1.00 avg300=0.00 total=1\n"));
    CHECK_FALSE(stalled_percent_in("full avg60=1.00\n"));
    CHECK_FALSE(stalled_percent_in("full avg10=x\n"));
}

TEST_CASE("nothing is started on what is reserved, or while everything waits for memory") {
    CHECK(shortage({}, 512).empty());
    CHECK(shortage({512, 9.9}, 512).empty());
    CHECK(shortage({511, {}}, 512) ==
          "the host has less than 512 MiB available, which are reserved");
    CHECK(shortage({4096, 10.0}, 512) ==
          "the host is short of memory: in 10% of the last 10 s or more everything waited for it");
    // Each change of it is a status of each that waits.
    CHECK(shortage({100, {}}, 512) == shortage({511, {}}, 512));
    CHECK(shortage({4096, 10.0}, 512) == shortage({4096, 99.0}, 512));
}

TEST_CASE("this host says what it has available") {
    CHECK(read_memory_state().available_mib.value_or(0) > 0);
}

}  // namespace shoal::node
