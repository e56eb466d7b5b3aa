#include "controlplane/shoald/vmm_tls.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "controlplane/pki/openssl.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::daemon::test {

TEST_CASE("VMMs have copies of a host's certificates and key, and nothing else of their folder") {
    const store::test::ScratchFolder scratch;
    const auto write = [&](const std::string& name, const std::string& text) {
        std::ofstream{scratch.file(name), std::ios::trunc} << text;
    };
    write("ca.pem", "authority");
    write("host.pem", "certificate");
    write("host.key", "key");
    write("ca.key", "nobody's");
    const store::TlsFiles files{scratch.file("ca.pem"), scratch.file("host.pem"),
                                scratch.file("host.key")};
    const std::string folder = scratch.file("vmm-tls");
    const VmmTls tls{folder};
    tls.use(files);
    const store::TlsFiles copies = tls.files();
    CHECK(pki::read_file(copies.authority) == "authority");
    CHECK(pki::read_file(copies.certificate) == "certificate");
    CHECK(pki::read_file(copies.key) == "key");
    CHECK(std::distance(std::filesystem::directory_iterator{folder}, {}) == 3);
    struct stat made {};
    REQUIRE(::stat(folder.c_str(), &made) == 0);
    CHECK((made.st_mode & 0777) == 0700);

    write("host.pem", "renewed");
    const VmmTls next{folder};  // of the next shoald, in the folder that VMMs know
    next.use(files);
    CHECK(pki::read_file(copies.certificate) == "renewed");
    struct stat kept {};
    REQUIRE(::stat(folder.c_str(), &kept) == 0);
    CHECK(kept.st_ino == made.st_ino);
    CHECK_THROWS(next.use({scratch.file("gone"), files.certificate, files.key}));
    CHECK(pki::read_file(copies.key) == "key");
}

}  // namespace shoal::daemon::test
