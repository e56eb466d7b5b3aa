#include "controlplane/model/json.h"

#include <doctest/doctest.h>

#include <string>

#include "controlplane/model/group.h"
#include "controlplane/model/image.h"
#include "controlplane/model/template.h"
#include "devices/abi/address_map.h"

namespace shoal::model::test {

namespace {

// What is said of a microVM that is refused; empty: it is not.
template <typename Body = MicroVmSpec>
std::string refusal(std::string_view text) {
    try {
        static_cast<void>(from_json<Body>(text));
        return "";
    } catch (const JsonError& error) {
        return error.what();
    }
}

// A microVM with one more field.
std::string with(const std::string& field) {
    return R"({"program":"/bin/true",)" + field + "}";
}

MicroVmSpec make_microvm() {
    MicroVmSpec spec;
    spec.name = "a-1";
    spec.project = "p";
    spec.group = "a";
    spec.program = "/bin/echo";
    spec.arguments = {"", "\"x\"", "\xC3\xA9"};
    spec.environment = {"A=", "B=c=d"};
    spec.memory_mib = 64;
    spec.vcpus = 2;
    spec.labels = {{"tier", "web"}, {"x", ""}};
    spec.priority = -5;
    spec.restart = RestartPolicy::on_failure;
    spec.on_host_failure = HostFailurePolicy::restore;
    spec.checkpoint = CheckpointPlan{5, 2};
    spec.time_limit_s = 7;
    spec.metadata = {{"note", "y"}};
    spec.vsock = true;
    spec.exec = true;
    spec.stop = Deletion{3};
    return spec;
}

}  // namespace

TEST_CASE("a microVM's fields are written in the order of their table and read back") {
    const std::string text = to_json(make_microvm());
    CHECK(
        text ==
        R"({"name":"a-1","project":"p","group":"a","program":"/bin/echo","template":"","image":"",)"
        R"("kernel":"","initramfs":"","cmdline":"",)"
        R"("arguments":["","\"x\"","é"],"environment":["A=","B=c=d"],"memory_mib":64,"vcpus":2,)"
        R"("labels":{"tier":"web","x":""},"metadata":{"note":"y"},"priority":-5,"restart":"on_failure",)"
        R"("on_host_failure":"restore","checkpoint":{"interval_s":5,"copies":2},"time_limit_s":7,"vsock":true,"exec":true,"stop":{"grace_s":3},"network":"","volumes":[]})");
    CHECK(to_json(from_json<MicroVmSpec>(text)) == text);
}

TEST_CASE("what a microVM does not say is as its structure has it") {
    MicroVmSpec expected;
    expected.program = "/bin/true";
    const auto read = from_json<MicroVmSpec>(R"({"program":"/bin/true","time_limit_s":null})");
    CHECK(to_json(read) == to_json(expected));
    CHECK(!read.time_limit_s);
    CHECK(to_json(expected).ends_with(
        R"("time_limit_s":null,"vsock":false,"exec":false,"stop":null,"network":"","volumes":[]})"));
    CHECK(to_json(from_json<MicroVmSpec>(to_json(expected))) == to_json(expected));
}

TEST_CASE("assignments and what a group does on suspicion are read as they were written") {
    const auto assignment = from_json<Assignment>(to_json(Assignment{3, Assignment::Wanted::stop}));
    CHECK(assignment.epoch == 3);
    CHECK(assignment.wanted == Assignment::Wanted::stop);
    Group group;
    group.name = "g";
    group.microvm.program = "/bin/true";
    group.on_suspicion = OnSuspicion::replace;
    CHECK(from_json<Group>(to_json(group)).on_suspicion == OnSuspicion::replace);
}

TEST_CASE("volumes of a group's members are read as they were written, each within its limits") {
    const std::string before =
        R"({"name":"g","count":1,"microvm":{"program":"/bin/true"},"volumes":)";
    const auto group = from_json<Group>(
        before + R"([{"name":"data","size_mib":64},{"name":"log","size_mib":1}]})");
    REQUIRE(group.volumes.size() == 2);
    CHECK(group.volumes[0].size_mib == 64);
    CHECK(volumes_of(group, "g-3") == std::vector<std::string>{"g-3-data", "g-3-log"});
    CHECK(to_json(from_json<Group>(to_json(group))) == to_json(group));
    const auto refusal = [&before](const std::string& volumes) {
        try {
            static_cast<void>(from_json<Group>(before + volumes + "}"));
        } catch (const JsonError& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    CHECK(refusal("7") == "group.volumes must be an array");
    CHECK(refusal("[7]") == "group.volumes[0] must be an object");
    CHECK(refusal(R"([{"name":"data"}])") == "group.volumes[0].size_mib is missing");
    CHECK(refusal(R"([{"name":"data","size_mib":0}])").find("size_mib") != std::string::npos);
    CHECK(refusal(R"([{"name":"data","size_mib":1},{"name":"D","size_mib":1}])")
              .starts_with("group.volumes[1].name is no name"));
    CHECK(refusal(R"([{"name":"data","size_mib":1,"host":"h"}])").find("\"host\"") !=
          std::string::npos);
    std::string nine = R"({"name":"data","size_mib":1})";
    for (int more = 0; more < 8; ++more) {
        nine += R"(,{"name":"data","size_mib":1})";
    }
    CHECK(refusal("[" + nine + "]").find("8") != std::string::npos);
}

TEST_CASE("hosts, heartbeats, placements, statuses and groups are read as they were written") {
    const Host host{.name = "h1",
                    .zone = "z",
                    .labels = {{"disk", "ssd"}},
                    .cpu_model = "A CPU",
                    .peer_address = "h1:7000",
                    .allocatable = {1024, 4000, 100},
                    .scheduling = Scheduling::draining,
                    .certificate_expires = "2027-11-28T00:00:00.000Z",
                    .authority_expires = "2036-11-28T00:00:00.000Z",
                    .renews_certificates = true,
                    .memory_pressure = "it has too little"};
    CHECK(to_json(from_json<Host>(to_json(host))) == to_json(host));
    CHECK(from_json<Host>(to_json(host)).memory_pressure == "it has too little");
    CHECK(from_json<Host>(to_json(host)).allocatable == host.allocatable);

    const auto heartbeat = from_json<Heartbeat>(to_json(Heartbeat{3, 9}));
    CHECK(heartbeat.epoch == 3);
    CHECK(heartbeat.sequence == 9);

    const auto placement = from_json<Placement>(to_json(Placement{"h1", 3}));
    CHECK(placement.host == "h1");
    CHECK(placement.epoch == 3);

    MicroVmStatus status;
    status.phase = Phase::failed;
    status.host = "h1";
    status.restarts = 2;
    status.exit_code = 137;
    status.reason = "out of time";
    CHECK(to_json(from_json<MicroVmStatus>(to_json(status))) == to_json(status));

    Group group;
    group.name = "g";
    group.count = 30;
    group.microvm = make_microvm();
    group.microvm.name.clear();
    group.anti_affinity = AntiAffinity::zone;
    CHECK(to_json(from_json<Group>(to_json(group))) == to_json(group));
}

TEST_CASE("of an image's words a microVM's own arguments replace the arguments alone") {
    Image image;
    image.name = "i";
    image.digest = std::string(64, 'a');
    image.from = "oci:/x";
    CHECK(command_of(image, {}).empty());
    CHECK(command_of(image, {"sh"}) == std::vector<std::string>{"sh"});
    image.arguments = {"serve"};
    CHECK(command_of(image, {}) == std::vector<std::string>{"serve"});
    image.entrypoint = {"/app", "-v"};
    image.environment = {"A=b"};
    image.working_directory = "/srv";
    image.user = "nginx";
    image.size_bytes = 4096;
    CHECK(command_of(image, {}) == std::vector<std::string>{"/app", "-v", "serve"});
    CHECK(command_of(image, {"x", "y"}) == std::vector<std::string>{"/app", "-v", "x", "y"});
    image.kind = ImageKind::kernel;
    image.cmdline = "quiet";
    CHECK(to_json(from_json<Image>(to_json(image))) == to_json(image));
    CHECK(refusal<ImageSpec>(R"({"name":"i"})") == "image.from is missing");
}

TEST_CASE("a microVM is a program, a clone of a template or of an image, one of them") {
    CHECK(from_json<MicroVmSpec>(R"({"template":"t","vsock":true})").vsock);
    CHECK(refusal("{}") ==
          "microvm has neither program, template, image nor kernel: one is needed");
    CHECK(refusal(with(R"("template":"t")")) ==
          "microvm has both program and template: one is needed");
    CHECK(from_json<MicroVmSpec>(R"({"image":"i"})").image == "i");
    CHECK(refusal(with(R"("image":"i")")) == "microvm has both program and image: one is needed");
    CHECK(refusal<Group>(R"({"name":"g","count":1,"microvm":{"image":"i","template":"t"}})") ==
          "group.microvm has both template and image: one is needed");
    CHECK(refusal(with(R"("vsock":1)")) == "microvm.vsock must be true or false");
    CHECK(
        refusal<Group>(R"({"name":"g","count":1,"microvm":{}})").starts_with("group.microvm has"));
    CHECK(refusal<TemplateSpec>(R"({"name":"t"})") ==
          "template has neither program nor from: one is needed");
    const Template made{.name = "t",
                        .digest = std::string(64, 'a'),
                        .program = "/bin/true",
                        .memory_mib = 64,
                        .vcpus = 2,
                        .vsock = true,
                        .size_bytes = 5,
                        .exec = true};
    CHECK(to_json(from_json<Template>(to_json(made))) == to_json(made));
    CHECK(refusal<Template>(R"({"name":"t","digest":"a","memory_mib":1,"vcpus":1,"vsock":false})")
              .starts_with("template.digest has 1 bytes"));
}

TEST_CASE(
    "a kernel may have a root, an initramfs and a command line; nothing else has the latter") {
    const auto spec =
        from_json<MicroVmSpec>(R"({"kernel":"k","image":"i","initramfs":"f","cmdline":"quiet"})");
    CHECK(spec.image_names() == std::vector<std::string>{"i", "k", "f"});
    CHECK(to_json(from_json<MicroVmSpec>(to_json(spec))) == to_json(spec));
    CHECK(from_json<MicroVmSpec>(R"({"kernel":"k"})").image_names() ==
          std::vector<std::string>{"k"});
    CHECK(refusal(with(R"("kernel":"k")")) == "microvm has both program and kernel: one is needed");
    CHECK(refusal(R"({"kernel":"k","template":"t"})") ==
          "microvm has both template and kernel: one is needed");
    CHECK(refusal(with(R"("initramfs":"f")")) == "microvm.initramfs needs a kernel");
    CHECK(refusal(R"({"image":"i","cmdline":"quiet"})") == "microvm.cmdline needs a kernel");
    CHECK(refusal<Group>(R"({"name":"g","count":1,"microvm":{"image":"i","cmdline":"x"}})") ==
          "group.microvm.cmdline needs a kernel");
    const auto of = [](std::size_t bytes) {
        return R"({"kernel":"k","cmdline":")" + std::string(bytes, 'x') + "\"}";
    };
    CHECK(from_json<MicroVmSpec>(of(2047)).cmdline.size() == 2047);
    CHECK(refusal(of(2048)).starts_with("microvm.cmdline has 2048 bytes"));
}

TEST_CASE("a field that nobody knows is refused in a request and skipped in the store") {
    const std::string text = with(R"("memory":5)");
    CHECK(refusal(text) == "microvm has no field \"memory\"");
    CHECK(from_json<MicroVmSpec>(text, UnknownFields::ignored).program == "/bin/true");

    CHECK(refusal(with('"' + std::string(65, 'x') + R"(":1)")) ==
          "microvm has a field that nobody knows");

    const std::string group = R"({"name":"g","count":1,"microvm":)" + text + "}";
    CHECK(refusal<Group>(group) == "group.microvm has no field \"memory\"");
    CHECK(from_json<Group>(group, UnknownFields::ignored).count == 1);
}

TEST_CASE("a number beyond its limit is refused with the limit") {
    CHECK(refusal(with(R"("memory_mib":1)")).empty());
    CHECK(refusal(with(R"("memory_mib":4194304)")).empty());
    CHECK(refusal(with(R"("memory_mib":0)")) ==
          "microvm.memory_mib is 0: 1 to 4194304 are allowed");
    CHECK(refusal(with(R"("memory_mib":4194305)")) ==
          "microvm.memory_mib is 4194305: 1 to 4194304 are allowed");
    CHECK(refusal(with(R"("vcpus":-1)")) == "microvm.vcpus is -1: 1 to 32 are allowed");
    CHECK(refusal(with(R"("vcpus":33)")) == "microvm.vcpus is 33: 1 to 32 are allowed");
    CHECK(refusal(with(R"("vcpus":)" + std::to_string(abi::max_vcpus))).empty());
    CHECK(refusal(with(R"("priority":1000001)")) ==
          "microvm.priority is 1000001: -1000000 to 1000000 are allowed");
    CHECK(refusal(with(R"("checkpoint":{"interval_s":0})")) ==
          "microvm.checkpoint.interval_s is 0: 1 to 86400 are allowed");
    CHECK(refusal(with(R"("checkpoint":{"copies":3})")) ==
          "microvm.checkpoint.copies is 3: 1 to 2 are allowed");
    CHECK(refusal(with(R"("time_limit_s":0)")) ==
          "microvm.time_limit_s is 0: 1 to 31536000 are allowed");
    CHECK(refusal(with(R"("vcpus":18446744073709551615)")) ==
          "microvm.vcpus is too large a number");
    CHECK(refusal(with(R"("vcpus":1.0)")) == "microvm.vcpus must be a whole number");
    CHECK(refusal(with(R"("vcpus":99999999999999999999)")) ==
          "microvm.vcpus must be a whole number");
}

TEST_CASE("a value of another type is refused with what it must be") {
    CHECK(refusal(with(R"("vcpus":"1")")) == "microvm.vcpus must be a whole number");
    CHECK(refusal(with(R"("vcpus":null)")) == "microvm.vcpus must be a whole number");
    CHECK(refusal(with(R"("name":1)")) == "microvm.name must be a string");
    CHECK(refusal(with(R"("arguments":"x")")) == "microvm.arguments must be an array");
    CHECK(refusal(with(R"("arguments":["x",1])")) == "microvm.arguments[1] must be a string");
    CHECK(refusal(with(R"("labels":[])")) == "microvm.labels must be an object");
    CHECK(refusal(with(R"("labels":{"a":1})")) == "microvm.labels.a must be a string");
    CHECK(refusal(with(R"("restart":"sometimes")")) ==
          "microvm.restart must be one of never, on_failure, always");
    CHECK(refusal("[]") == "microvm must be an object");
    CHECK(refusal<Group>(R"({"name":"g","count":1,"microvm":7})") ==
          "group.microvm must be an object");
}

TEST_CASE("a field that must be there is named when it is missing") {
    CHECK(refusal("{}") ==
          "microvm has neither program, template, image nor kernel: one is needed");
    CHECK(refusal(R"({"program":""})") ==
          "microvm has neither program, template, image nor kernel: one is needed");
    CHECK(refusal<Group>(R"({"name":"g","count":1,"microvm":{}})") ==
          "group.microvm has neither program, template, image nor kernel: one is needed");
    CHECK(refusal<Heartbeat>(R"({"epoch":1})") == "heartbeat.sequence is missing");
    CHECK(refusal<Placement>(R"({"host":"","epoch":1})").starts_with("placement.host is no name"));
}

TEST_CASE("texts and lists beyond their limits are refused") {
    std::string words = R"("")";
    for (int count = 1; count < 1024; ++count) {
        words += R"(,"")";
    }
    CHECK(refusal(with(R"("arguments":[)" + words + "]")).empty());
    CHECK(refusal(with(R"("arguments":[)" + words + R"(,""])")) ==
          "microvm.arguments has 1025 elements: 0 to 1024 are allowed");
    CHECK(refusal(with(R"("arguments":[")" + std::string(131'071, 'x') + R"("])")).empty());
    CHECK(refusal(with(R"("arguments":[")" + std::string(131'072, 'x') + R"("])")) ==
          "microvm.arguments[0] has 131072 bytes: 0 to 131071 are allowed");
    CHECK(refusal(with(R"("labels":{"":"x"})")) ==
          "a key of microvm.labels has 0 bytes: 1 to 63 are allowed");
    CHECK(refusal(with(R"("labels":{"x":")" + std::string(256, 'x') + R"("})")) ==
          "microvm.labels.x has 256 bytes: 0 to 255 are allowed");
    CHECK(refusal(std::string(max_json_bytes, ' ') + " ") ==
          "the JSON has 524289 bytes: up to 524288 are allowed");
}

TEST_CASE("a NUL byte is refused, since it would end a word of the program") {
    CHECK(refusal(with(R"("arguments":["a\u0000b"])")) == "microvm.arguments[0] has a NUL byte");
    CHECK(refusal(R"({"program":"/bin/\u0000"})") == "microvm.program has a NUL byte");
    CHECK(refusal(with(R"("labels":{"a\u0000":"x"})")) == "a key of microvm.labels has a NUL byte");
}

TEST_CASE("an environment is words of KEY=VALUE") {
    CHECK(refusal(with(R"("environment":["A=b"])")).empty());
    for (const char* word : {"", "A", "=", "=b"}) {
        CAPTURE(word);
        CHECK(refusal(with(R"("environment":[")" + std::string{word} + R"("])")) ==
              "microvm.environment[0] is not KEY=VALUE");
    }
}

TEST_CASE("a name is 1 to 63 letters, digits and dashes, with a letter or digit at both ends") {
    for (const std::string& name :
         {std::string{"a"}, std::string{"0"}, std::string{"a-b--c-9"}, std::string(63, 'z')}) {
        CAPTURE(name);
        CHECK(is_name(name));
        CHECK(refusal(with(R"("name":")" + name + '"')).empty());
    }
    for (const std::string& name :
         {std::string{"-"}, std::string{"-a"}, std::string{"a-"}, std::string{"A"},
          std::string{"a/b"}, std::string{".."}, std::string{"a b"}, std::string{"\xC3\xA9"},
          std::string(64, 'z')}) {
        CAPTURE(name);
        CHECK(!is_name(name));
        CHECK(refusal(with(R"("name":")" + name + '"')).starts_with("microvm.name "));
    }
    CHECK(!is_name(""));
}

TEST_CASE("a group's microVM has no name of its own") {
    CHECK(refusal<Group>(R"({"name":"g","count":1,"microvm":)" + with(R"("name":"x")") + "}") ==
          "group.microvm.name must be empty: members are called g-0, g-1 and so on");
}

TEST_CASE("what is no JSON is refused") {
    for (const std::string& text : {std::string{}, std::string{"{"}, std::string{"{} {}"},
                                    std::string{"{\"a\":\"\xFF\"}"}, std::string(10'000, '[')}) {
        CAPTURE(text.size());
        CHECK(refusal(text).starts_with("this is not JSON: "));
    }
}

}  // namespace shoal::model::test
