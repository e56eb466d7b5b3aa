#include "controlplane/node/process/cgroups.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {

namespace {

namespace fs = std::filesystem;

void touch(const fs::path& path, const std::string& text = "") {
    fs::create_directories(path.parent_path());
    std::ofstream{path} << text;
}

std::string text_of(const fs::path& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

}  // namespace

TEST_CASE("a cgroup of version 1 has its limits in each controller's hierarchy") {
    const store::test::ScratchFolder scratch;
    const fs::path mount = scratch.file("cgroup");
    touch(mount / "memory/cgroup.procs");
    touch(mount / "pids/cgroup.procs");
    const Cgroups cgroups{mount, "shoal"};
    CHECK(cgroups.has_memory());
    // In a real one the kernel makes the files with the folder.
    touch(mount / "memory/shoal/a/memory.limit_in_bytes");
    touch(mount / "pids/shoal/a/pids.max");
    CHECK(cgroups.make("a", {128, 2}).files ==
          std::vector<std::string>{mount / "memory/shoal/a/tasks", mount / "pids/shoal/a/tasks"});
    CHECK(text_of(mount / "memory/shoal/a/memory.limit_in_bytes") == "201326592");
    CHECK(text_of(mount / "pids/shoal/a/pids.max") == "512");
    CHECK(cgroups.names() == std::vector<std::string>{"a"});
    CHECK_FALSE(cgroups.remove("a"));  // not while it has something in it
    fs::remove(mount / "memory/shoal/a/memory.limit_in_bytes");
    fs::remove(mount / "pids/shoal/a/pids.max");
    CHECK(cgroups.remove("a"));
    CHECK(cgroups.remove("a"));
    CHECK(cgroups.names().empty());
}

TEST_CASE("a cgroup of version 2 has all limits in one folder") {
    const store::test::ScratchFolder scratch;
    const fs::path mount = scratch.file("cgroup");
    touch(mount / "cgroup.controllers", "cpuset cpu memory\n");
    touch(mount / "cgroup.subtree_control");
    touch(mount / "shoal/cgroup.subtree_control");
    const Cgroups cgroups{mount, "shoal"};
    touch(mount / "shoal/a/memory.max");
    touch(mount / "shoal/a/cpu.weight");
    const CgroupEntry entry = cgroups.make("a", {1, 2});
    CHECK(entry.files.empty());
    CHECK(fs::read_symlink("/proc/self/fd/" + std::to_string(entry.folder.get())) ==
          fs::canonical(mount / "shoal/a"));
    CHECK(text_of(mount / "shoal/a/memory.max") == "68157440");
    CHECK(text_of(mount / "shoal/a/cpu.weight") == "200");
}

TEST_CASE("a host without control groups has none") {
    const store::test::ScratchFolder scratch;
    const Cgroups cgroups{scratch.file("none"), "shoal"};
    CHECK_FALSE(cgroups.has_memory());
    const CgroupEntry entry = cgroups.make("a", {128, 1});
    CHECK(entry.files.empty());
    CHECK_FALSE(entry.folder);
    CHECK(cgroups.remove("a"));
}

}  // namespace shoal::node::test
