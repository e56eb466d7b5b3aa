#include "controlplane/cli/image_words.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "controlplane/cli/cli_error.h"

namespace shoal::cli::test {

TEST_CASE("an image is called as its source calls it, without the tag") {
    CHECK(image_name("docker://docker.io/library/redis:7") == "redis");
    CHECK(image_name("docker://localhost:5000/team/Web_App@sha256:00") == "web-app");
    CHECK(image_name("oci:/srv/layout") == "layout");
    CHECK(image_name("oci:/srv/layout/") == "layout");
    CHECK(image_name("docker-archive:/srv/a.tar") == "a-tar");
    CHECK(image_name("kernel:/boot/vmlinuz-6.1") == "vmlinuz-6-1");
    for (const std::string& from : {std::string{}, std::string{"oci:"}, std::string{"oci:/"},
                                    std::string{"oci:/___"}, "oci:/" + std::string(64, 'x')}) {
        CHECK_THROWS_AS(static_cast<void>(image_name(from)), CliError);
    }
    CHECK(image_name("oci:/" + std::string(63, 'x')).size() == 63);
}

TEST_CASE("a path is said so that shoald finds it") {
    const std::string here = std::filesystem::current_path();
    CHECK(with_absolute_path("oci:a/../layout:tag") == "oci:" + here + "/layout:tag");
    CHECK(with_absolute_path("docker-archive:/srv/a.tar") == "docker-archive:/srv/a.tar");
    CHECK(with_absolute_path("kernel:k") == "kernel:" + here + "/k");
    CHECK(with_absolute_path("docker://redis") == "docker://redis");
    CHECK(with_absolute_path("other:x") == "other:x");
    CHECK(with_absolute_path("oci:") == "oci:");
}

}  // namespace shoal::cli::test
