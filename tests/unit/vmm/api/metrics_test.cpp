// Metrics: lines of what was counted since the last one, and Prometheus text.
#include "vmm/api/metrics.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/unit/vmm/api/api_rig.h"

namespace shoal::api {
namespace {

using namespace testing;

std::vector<std::string> lines_of(const std::filesystem::path& path) {
    std::ifstream file{path};
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
        lines.push_back(line);
    }
    return lines;
}

TEST_CASE("metrics are flushed as lines of JSON that hold the difference to the line before") {
    const TemporaryFolder folder;
    const std::string path = folder.path / "metrics";
    ApiRig api;
    api.microvm.read_bytes = 100;
    REQUIRE(api.put("/metrics", R"({"metrics_path":")" + path +
                                    R"(","emit_id":true,"properties":{"zone":"z"},"unknown":1})")
                .status == Status::no_content);
    CHECK(fault_of(api.put("/metrics", R"({"metrics_path":")" + path + "\"}")) ==
          "Metrics error: Reinitialization of metrics not allowed.");
    api.start();
    const auto flush = [&] {
        REQUIRE(api.put("/actions", R"({"action_type":"FlushMetrics"})").status ==
                Status::no_content);
    };
    flush();
    api.microvm.read_bytes = 130;
    flush();
    const auto lines = lines_of(path);
    REQUIRE(lines.size() == 2);
    for (const std::string& line : lines) {
        CHECK_NOTHROW(static_cast<void>(parse_json(line)));
        CHECK(line.starts_with(R"({"utc_timestamp_ms":)"));
        CHECK(line.find(R"("id":"vm-1")") != std::string::npos);
        CHECK(line.find(R"("zone":"z")") != std::string::npos);
    }
    const auto has = [&lines](std::size_t line, const std::string& group) {
        INFO(lines[line]);
        CHECK(lines[line].find(group) != std::string::npos);
    };
    const std::string agg = R"(,"read_agg":{"min_us":)";
    has(0, R"("block":{"read_bytes":105)" + agg + R"(2,"max_us":9,"sum_us":106}})");
    has(0, R"("block_rootfs":{"read_bytes":100)" + agg + R"(3,"max_us":9,"sum_us":100}})");
    has(1, R"("block":{"read_bytes":30)" + agg + R"(2,"max_us":9,"sum_us":30}})");
    has(1, R"("block_scratch":{"read_bytes":0)" + agg + R"(2,"max_us":4,"sum_us":0}})");
}

TEST_CASE("a path that cannot be opened is refused with its name") {
    ApiRig api;
    CHECK(fault_of(api.put("/metrics", R"({"metrics_path":"/no/such/folder"})")) ==
          "Metrics error: /no/such/folder: No such file or directory (os error 2)");
    CHECK_FALSE(api.metrics.is_open());
}

TEST_CASE("a pipe that nobody reads loses lines and does not block; what it lost comes later") {
    const TemporaryFolder folder;
    const std::string path = folder.path / "pipe";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    std::uint64_t value = 0;
    MetricsFile metrics{[&](MetricsDocument& document) {
                            document.group("vmm", {}).counter(std::string(2000, 'n'), ++value);
                        },
                        "vm-1"};
    metrics.open(path, {});
    unsigned taken = 0;
    while (metrics.write() && taken < 10'000) {
        ++taken;
    }
    CHECK(taken > 0);
    CHECK(taken < 10'000);
    CHECK(metrics.missed_lines() == 1);
    const host::UniqueFd reader{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    std::string drained(1 << 20, '\0');
    REQUIRE(::read(reader.get(), drained.data(), drained.size()) > 0);
    CHECK(metrics.write());
    const ssize_t count = ::read(reader.get(), drained.data(), drained.size());
    REQUIRE(count > 0);
    drained.resize(static_cast<std::size_t>(count));
    CHECK(drained.ends_with("\":2}}\n"));  // this and the one that was lost
}

TEST_CASE("a line that was cut short is the only one that is lost") {
    const TemporaryFolder folder;
    const std::string path = folder.path / "pipe";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    std::uint64_t value = 0;
    MetricsFile metrics{[&](MetricsDocument& document) {
                            document.group("vmm", {}).counter(std::string(9000, 'n'), ++value);
                        },
                        "vm-1"};
    metrics.open(path, {});
    while (metrics.write()) {
    }
    const host::UniqueFd reader{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    std::string text;
    const auto drain = [&] {
        std::string piece(1 << 20, '\0');
        const ssize_t count = ::read(reader.get(), piece.data(), piece.size());
        REQUIRE(count > 0);
        text.append(piece, 0, static_cast<std::size_t>(count));
    };
    drain();
    REQUIRE_FALSE(text.ends_with("\n"));  // its beginning
    CHECK(metrics.write());
    CHECK(metrics.write());
    drain();
    std::istringstream lines{text};
    unsigned broken = 0;
    for (std::string line; std::getline(lines, line);) {
        broken += line.starts_with("{") && line.ends_with("}") ? 0U : 1U;
    }
    CHECK(broken == 1);
    CHECK(text.find("\n\n") == std::string::npos);
}

TEST_CASE("Prometheus text has every counter with its type and labels") {
    ApiRig api;
    const Response response = api.get("/metrics");
    CHECK(response.content_type == "text/plain; version=0.0.4");
    CHECK(response.body.find("# TYPE shoal_block_read_bytes counter\n"
                             "shoal_block_read_bytes{instance_id=\"vm-1\",id=\"rootfs\"} 0\n"
                             "shoal_block_read_bytes{instance_id=\"vm-1\",id=\"scratch\"} 5\n") !=
          std::string::npos);
    CHECK(response.body.find("# TYPE shoal_vcpu_exit_mmio_read counter\n"
                             "shoal_vcpu_exit_mmio_read{instance_id=\"vm-1\"} 3\n") !=
          std::string::npos);
    CHECK(
        response.body.find("# TYPE shoal_block_read_agg_min_us gauge\n"
                           "shoal_block_read_agg_min_us{instance_id=\"vm-1\",id=\"rootfs\"} 3\n") !=
        std::string::npos);
    CHECK(response.body.find(
              "# TYPE shoal_block_read_agg_sum_us counter\n"
              "shoal_block_read_agg_sum_us{instance_id=\"vm-1\",id=\"rootfs\"} 0\n"
              "shoal_block_read_agg_sum_us{instance_id=\"vm-1\",id=\"scratch\"} 6\n") !=
          std::string::npos);
}

}  // namespace
}  // namespace shoal::api
