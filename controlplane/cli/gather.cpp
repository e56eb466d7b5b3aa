// From the program to all that it names, breadth first as the dynamic linker goes.
#include "controlplane/cli/gather.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/library_search.h"
#include "controlplane/cli/program.h"

namespace shoal::cli {
namespace {

constexpr std::size_t script_line_max = 255;  // as Linux reads
constexpr unsigned script_depth_max = 5;
constexpr std::size_t requesters_max = 10'000;

// What glibc reads or loads without being asked, where the host has it.
constexpr std::array glibc_files{"/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/passwd",
                                 "/etc/group",       "/etc/hosts",         "/etc/resolv.conf",
                                 "/etc/localtime"};
constexpr const char* glibc_library = "libc.so.6";
constexpr const char* unwinder_library = "libgcc_s.so.1";  // for pthread_exit()

class Gatherer {
public:
    Gatherer(RootTree& tree, const GatherRequest& request) : tree_{tree}, request_{request} {}

    void run() {
        add_program(request_.program, request_.name, 0);
        for (const std::string& path : request_.with) {
            add_with(path);
        }
        while (next_ < requesters_.size()) {
            add_needs_of(requesters_[next_++]);
        }
    }

private:
    void add_program(const std::string& path, const std::string& name, unsigned depth);
    void add_script(const host::UniqueFd& file, const std::string& name, unsigned depth);
    void add_interpreter(const std::string& interpreter, const std::string& name);
    void add_with(const std::string& path);
    void add_object_if_any(const RootTree::Resolved& file);
    void add_needs_of(const Requester& requester);
    void add_library(const std::string& name, const Requester& requester);
    void add_glibc_files();
    bool try_library(const std::string& path, const Requester& requester);
    void require(const std::string& path, ElfFile elf, const Requester* parent);
    void tell(const std::string& path, const std::string& needed_by) const;

    RootTree& tree_;
    const GatherRequest& request_;
    std::optional<LibrarySearch> search_;  // once a program with a dynamic linker was seen
    std::deque<Requester> requesters_;     // addresses stay
    std::size_t next_ = 0;
    std::set<std::string> known_libraries_;  // by name, as the dynamic linker knows them
};

void Gatherer::tell(const std::string& path, const std::string& needed_by) const {
    if (request_.verbosity == Verbosity::verbose) {
        std::fprintf(stderr, "shoal: takes %s for %s\n", path.c_str(), needed_by.c_str());
    }
}

[[noreturn]] void refuse(const std::string& sentence) {
    throw CliError(sentence, ExitCode::not_executable);
}

ElfFile read_program(const host::UniqueFd& file, const std::string& name) {
    try {
        return read_elf_file(file.get());
    } catch (const ElfError& error) {
        refuse(name + " " + error.what());
    }
}

// Empty for what is no ELF file that can be used, or not open.
std::optional<ElfFile> try_read(const host::UniqueFd& file) {
    try {
        return file ? std::optional{read_elf_file(file.get())} : std::nullopt;
    } catch (const ElfError&) {
        return std::nullopt;
    }
}

void Gatherer::require(const std::string& path, ElfFile elf, const Requester* parent) {
    if (requesters_.size() == requesters_max) {
        refuse("more than " + std::to_string(requesters_max) +
               " programs and libraries are needed; the last is " + path);
    }
    requesters_.push_back({path, folder_of(path), std::move(elf), parent});
}

// NOLINTNEXTLINE(misc-no-recursion): script_depth_max bounds the depth.
void Gatherer::add_program(const std::string& path, const std::string& name, unsigned depth) {
    const auto resolved = tree_.add(path);
    const host::UniqueFd file = resolved ? tree_.open(*resolved) : host::UniqueFd{};
    if (!file) {
        refuse(name + " needs " + path + ", which is not there");
    }
    std::array<char, 2> start{};
    if (::pread(file.get(), start.data(), start.size(), 0) == 2 && start[0] == '#' &&
        start[1] == '!') {
        add_script(file, name, depth);
        return;
    }
    ElfFile elf = read_program(file, name);
    if (!elf.interpreter.empty()) {
        add_interpreter(elf.interpreter, name);
        require(resolved->path, std::move(elf), nullptr);
    }
}

// The interpreter of a script, and what env(1) will look for.
// NOLINTNEXTLINE(misc-no-recursion): script_depth_max bounds the depth.
void Gatherer::add_script(const host::UniqueFd& file, const std::string& name, unsigned depth) {
    std::array<char, script_line_max> bytes{};
    const ssize_t size = ::pread(file.get(), bytes.data(), bytes.size(), 0);
    std::string_view line{bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
    line = line.substr(2, std::min(line.find('\n'), line.size()) - 2);
    std::vector<std::string> words = split(line, " \t");
    std::erase(words, "");
    if (words.empty() || !words[0].starts_with('/') || depth == script_depth_max) {
        refuse(name + " is a script without an interpreter that can be used");
    }
    tell(words[0], name);
    add_program(words[0], name, depth + 1);
    if (std::filesystem::path{words[0]}.filename() == "env" && words.size() > 1) {
        const std::string& wanted = words.back();
        const Program program = find_program(wanted, tree_.root_fd());
        tell(program.guest_path, name);
        add_program(program.guest_path, name, depth + 1);
    }
}

void Gatherer::add_interpreter(const std::string& interpreter, const std::string& name) {
    if (!tree_.add(interpreter)) {
        refuse(name + " needs the dynamic linker " + interpreter + ", which is not there");
    }
    tell(interpreter, name);
    if (!search_) {
        std::string_view library_path;
        for (const std::string& word : request_.env) {
            if (word.starts_with("LD_LIBRARY_PATH=")) {
                library_path = std::string_view{word}.substr(word.find('=') + 1);
            }
        }
        search_.emplace(interpreter, library_path);
    }
}

// Programs and libraries have the execute bit or are called so; other files are not opened.
bool may_be_object(const std::string& path, const struct stat& status) {
    return S_ISREG(status.st_mode) &&
           ((status.st_mode & S_IXUSR) != 0 || path.find(".so") != std::string::npos);
}

void Gatherer::add_object_if_any(const RootTree::Resolved& file) {
    const host::UniqueFd fd = tree_.open(file);
    auto elf = try_read(fd);
    if (!elf) {
        return;
    }
    if (!elf->interpreter.empty()) {
        add_interpreter(elf->interpreter, file.path);
    }
    require(file.path, std::move(*elf), requesters_.empty() ? nullptr : &requesters_.front());
}

void Gatherer::add_with(const std::string& path) {
    const std::string absolute = std::filesystem::absolute(path).lexically_normal();
    const auto resolved = tree_.add(absolute);
    if (!resolved) {
        throw CliError("--with: there is no " + path);
    }
    if (!S_ISDIR(resolved->item.status.st_mode)) {
        add_object_if_any(*resolved);
        return;
    }
    tree_.add_below(*resolved);
    const std::string prefix = resolved->path + "/";
    const auto& items = tree_.items();
    std::vector<RootTree::Resolved> objects;
    for (auto at = items.lower_bound(prefix); at != items.end() && at->first.starts_with(prefix);
         ++at) {
        if (may_be_object(at->first, at->second.status)) {
            objects.push_back({at->first, at->second});
        }
    }
    for (const RootTree::Resolved& object : objects) {
        add_object_if_any(object);
    }
}

bool Gatherer::try_library(const std::string& path, const Requester& requester) {
    auto resolved = tree_.find(path);
    const host::UniqueFd file = resolved ? tree_.open(*resolved) : host::UniqueFd{};
    auto elf = try_read(file);
    if (!elf) {
        return false;  // of another machine, for example: the dynamic linker goes on, too
    }
    tree_.add(path);
    tell(path, requester.path);
    require(path, std::move(*elf), &requester);
    return true;
}

void Gatherer::add_glibc_files() {
    for (const char* path : glibc_files) {
        if (tree_.add(path)) {
            tell(path, glibc_library);
        }
    }
    if (known_libraries_.insert(unwinder_library).second) {
        const Requester& libc = requesters_.back();
        std::ranges::any_of(search_->candidates(unwinder_library, libc),
                            [&](const std::string& path) { return try_library(path, libc); });
    }
}

void Gatherer::add_library(const std::string& name, const Requester& requester) {
    const auto candidates = search_->candidates(name, requester);
    for (const std::string& path : candidates) {
        if (try_library(path, requester)) {
            if (name == glibc_library) {
                add_glibc_files();
            }
            return;
        }
    }
    if (!candidates.empty()) {
        refuse(requester.path + " needs the library " + name + ", which is not to be found" +
               (requester.path == request_.program ? "" : " (for " + request_.name + ")"));
    }
}

void Gatherer::add_needs_of(const Requester& requester) {
    if (!search_) {
        return;  // libraries that were added for a static program
    }
    for (const std::string& name : requester.elf.needed) {
        if (known_libraries_.insert(name).second) {
            add_library(name, requester);
        }
    }
}

}  // namespace

void gather(RootTree& tree, const GatherRequest& request) {
    Gatherer{tree, request}.run();
}

}  // namespace shoal::cli
