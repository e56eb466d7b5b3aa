#include "controlplane/image/image_source.h"

#include <doctest/doctest.h>

namespace shoal::images::test {

TEST_CASE("an image's source is one of six, with a path that does not depend on a folder") {
    for (const char* from :
         {"docker://docker.io/library/redis:7", "oci:/srv/layout:tag", "docker-archive:/srv/a.tar",
          "erofs:/srv/root.erofs", "kernel:/boot/vmlinuz", "initramfs:/boot/initrd.img"}) {
        CHECK(refuse_source(from).empty());
    }
    for (const char* from :
         {"oci:layout", "oci:", "docker-archive:a.tar", "erofs:x", "kernel:x", "initramfs:"}) {
        CHECK(refuse_source(from).ends_with("needs an absolute path of the host"));
    }
    for (const char* from : {"", "redis", "dir:/srv", "--help", "docker:redis", "/srv/layout"}) {
        CHECK(refuse_source(from).starts_with("it begins with none of"));
    }
    CHECK(file_path("erofs:/a:b") == "/a:b");
    CHECK(file_path("kernel:/k") == "/k");
    CHECK(file_path("initramfs:/i") == "/i");
    CHECK(file_path("oci:/a").empty());
    CHECK(kind_of("kernel:/k") == model::ImageKind::kernel);
    CHECK(kind_of("initramfs:/k") == model::ImageKind::initramfs);
    CHECK(kind_of("erofs:/k") == model::ImageKind::root);
}

}  // namespace shoal::images::test
