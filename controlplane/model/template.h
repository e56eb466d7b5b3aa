// A template: a prepared program's snapshot, of which microVMs are clones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shoal::model {

// What is asked for: a program that is run until it is ready, or a folder of the host with a
// snapshot's files.
struct TemplateSpec {
    std::string name;
    std::string program;
    std::vector<std::string> arguments;
    std::vector<std::string> environment;  // KEY=VALUE
    std::string from;                // instead of a program: a folder with `state` and `memory`
    std::uint64_t memory_mib = 128;  // of a folder: as its files have it
    std::uint64_t vcpus = 1;         // of a folder too
    bool vsock = false;              // of a folder too
    bool exec = false;               // of a folder too
    bool network = false;            // of a folder too
    std::optional<std::string> ready_line;  // of its output; none: it waits at /dev/clone
    std::uint64_t timeout_s = 300;          // to get ready
};

// What is there. Never changed.
struct Template {
    std::string name;
    std::string digest;  // SHA-256 of its files, in hexadecimal digits: the name of its folder
    std::string program;
    std::uint64_t memory_mib = 0;
    std::uint64_t vcpus = 1;
    bool vsock = false;
    std::uint64_t size_bytes = 0;  // on the disk
    bool exec = false;
    bool network = false;  // its clones have one, each with an address of its own
};

// That a host has the files of a template or image.
struct BundleCopy {
    std::string digest;
};

}  // namespace shoal::model
