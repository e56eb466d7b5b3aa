#include "devices/host/deadline_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <system_error>

#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::host {

TEST_CASE("a deadline that one process sets is seen by all that look, and lasts") {
    const store::test::ScratchFolder folder;
    const std::string path = folder.file("deadline");
    {
        DeadlineFile writer{path, DeadlineFile::Access::write};
        CHECK(writer.deadline_ns() == 0);
        CHECK(writer.has_passed());
        const DeadlineFile reader{path, DeadlineFile::Access::read};
        writer.set(boottime_ns() + 1'000'000'000'000);
        CHECK_FALSE(reader.has_passed());
        CHECK(reader.deadline_ns() == writer.deadline_ns());
        writer.set(boottime_ns());
        CHECK(reader.has_passed());
        writer.set(17);
    }
    const DeadlineFile again{path, DeadlineFile::Access::write};
    CHECK(again.deadline_ns() == 17);
    CHECK(std::filesystem::file_size(path) == 8);
}

TEST_CASE("a deadline's file is 8 bytes, and is there for those who only read") {
    const store::test::ScratchFolder folder;
    const std::string path = folder.file("deadline");
    using Access = DeadlineFile::Access;
    CHECK_THROWS_AS((DeadlineFile{path, Access::read}), std::system_error);
    { const DeadlineFile made{path, Access::write}; }
    std::filesystem::resize_file(path, 7);
    CHECK_THROWS_AS((DeadlineFile{path, Access::read}), std::system_error);
    CHECK_THROWS_AS((DeadlineFile{path, Access::write}), std::system_error);
    std::filesystem::resize_file(path, 0);
    CHECK_THROWS_AS((DeadlineFile{path, Access::read}), std::system_error);
}

}  // namespace shoal::host
