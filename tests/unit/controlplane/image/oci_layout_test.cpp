#include "controlplane/image/oci_layout.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "controlplane/model/json.h"

namespace shoal::images::test {
namespace {

using Words = std::vector<std::string>;

std::string with(const std::string& config) {
    return R"({"created":"2026-11-28T00:00:00Z","architecture":"amd64","os":"linux","config":)" +
           config + "}";
}

std::string refusal(const std::string& text) {
    try {
        static_cast<void>(defaults_in(text));
        return "";
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("an image's configuration says what runs where, and the rest of it is passed over") {
    const model::Image image = defaults_in(
        with(R"({"Entrypoint":["/bin/a"],"Cmd":["b","c"],"Env":["K=v"],"WorkingDir":"/srv",)"
             R"("User":"1000","ExposedPorts":{"80/tcp":{}},"Labels":{"x":"y"}})"));
    CHECK(image.entrypoint == Words{"/bin/a"});
    CHECK(image.arguments == Words{"b", "c"});
    CHECK(image.environment == Words{"K=v"});
    CHECK(image.working_directory == "/srv");
    CHECK(image.user == "1000");
    CHECK(defaults_in(with(R"({"User":"nginx:0"})")).user == "nginx:0");
    for (const char* root : {"", "root", "0", "0:0", "root:staff", ":5"}) {
        CHECK(defaults_in(with(R"({"User":")" + std::string{root} + R"("})")).user.empty());
    }
    for (const char* config : {"null", "{}", R"({"Entrypoint":null,"Cmd":null,"Env":null})"}) {
        CHECK(defaults_in(with(config)).entrypoint.empty());
        CHECK(defaults_in(with(config)).environment.empty());
    }
    CHECK(defaults_in(R"({"architecture":"amd64","os":"linux"})").arguments.empty());
}

TEST_CASE("a configuration that does not fit is refused with what is wrong") {
    CHECK(refusal(R"({"architecture":"arm64","os":"linux"})") ==
          "the image is for linux on arm64: linux on amd64 is needed");
    CHECK(refusal("{}") == "the image's configuration.architecture is missing");
    CHECK(refusal(with(R"({"WorkingDir":"srv"})")) ==
          "the image's WorkingDir does not begin with /");
    CHECK(refusal(with(R"({"User":")" + std::string(256, 'a') + R"("})"))
              .ends_with(".config.User has 256 bytes: 0 to 255 are allowed"));
    CHECK(refusal(with(R"({"Env":["none"]})")).ends_with(".config.Env[0] is not KEY=VALUE"));
    CHECK(refusal(with(R"({"Cmd":"sh"})")).ends_with(".config.Cmd must be an array"));
    CHECK(refusal(with("[]")).ends_with(".config must be an object"));
    CHECK(refusal("text").starts_with("this is not JSON"));
    std::string many = "[\"\"";
    for (int count = 0; count < 1024; ++count) {
        many += ",\"\"";
    }
    CHECK(refusal(with(R"({"Cmd":)" + many + "]}")).find("1025 elements") != std::string::npos);
    CHECK(refusal(std::string(model::max_json_bytes + 1, ' ')).find("524288") != std::string::npos);
}

TEST_CASE("a layout's digest is 64 digits, where it is to be") {
    const std::string digest(64, 'a');
    const auto manifest = [](const std::string& text) {
        return R"({"config":{"digest":")" + text + R"("}})";
    };
    CHECK(digest_at(manifest("sha256:" + digest), "/config/digest") == digest);
    CHECK(digest_at(R"({"manifests":[{"digest":"sha256:)" + digest + R"("}]})",
                    "/manifests/0/digest") == digest);
    for (const std::string& text :
         {manifest("sha256:../../../etc/passwd"), manifest("sha512:" + digest), manifest(digest),
          manifest("sha256:" + digest + "a"), std::string{R"({"config":[]})"}, std::string{"{"},
          std::string{}, std::string(model::max_json_bytes + 1, ' ')}) {
        CHECK_THROWS_AS(static_cast<void>(digest_at(text, "/config/digest")), std::runtime_error);
    }
}

}  // namespace shoal::images::test
