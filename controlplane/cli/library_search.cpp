// The search orders of glibc and musl.
#include "controlplane/cli/library_search.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <utility>

namespace shoal::cli {
namespace {

constexpr std::array glibc_folders{"/lib/x86_64-linux-gnu",
                                   "/usr/lib/x86_64-linux-gnu",
                                   "/lib64",
                                   "/usr/lib64",
                                   "/lib",
                                   "/usr/lib"};
constexpr std::string_view musl_folders = "/lib:/usr/local/lib:/usr/lib";
constexpr const char* musl_path_file = "/etc/ld-musl-x86_64.path";
constexpr const char* cache_file = "/etc/ld.so.cache";

std::string read_text(const char* path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

// The folders of a DT_RPATH, DT_RUNPATH or LD_LIBRARY_PATH.
std::vector<std::string> folders_of(std::string_view list, const std::string& origin) {
    if (list.empty()) {
        return {};
    }
    std::vector<std::string> folders = split(list, ":;");
    for (std::string& folder : folders) {
        for (const auto& [name, value] :
             {std::pair<std::string_view, std::string_view>{"ORIGIN", origin},
              {"LIB", "lib/x86_64-linux-gnu"},
              {"PLATFORM", "x86_64"}}) {
            replace_all(folder, "${" + std::string{name} + "}", value);
            replace_all(folder, "$" + std::string{name}, value);
        }
    }
    // A relative one depends on the working directory, which in the guest is the root.
    std::erase_if(folders, [](const std::string& folder) { return !folder.starts_with('/'); });
    return folders;
}

void append(std::vector<std::string>& to, std::vector<std::string> more) {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

std::vector<std::string> split(std::string_view text, std::string_view separators) {
    std::vector<std::string> words;
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t end = std::min(text.find_first_of(separators, start), text.size());
        words.emplace_back(text.substr(start, end - start));
        start = end + 1;
    }
    return words;
}

LibrarySearch::LibrarySearch(std::string_view interpreter, std::string_view library_path)
    : is_musl_{interpreter.find("/ld-musl-") != std::string_view::npos},
      library_path_{folders_of(library_path, "/")},
      cache_{is_musl_ ? LibraryCache{{}} : read_library_cache(cache_file)} {
    if (!is_musl_) {
        standard_folders_.assign(glibc_folders.begin(), glibc_folders.end());
        return;
    }
    const std::string configured = read_text(musl_path_file);
    standard_folders_ = split(configured.empty() ? musl_folders : configured, ":\n");
    std::erase(standard_folders_, "");
}

// musl's libc is its dynamic linker, whatever part of it is asked for.
bool LibrarySearch::is_built_in(std::string_view name) const {
    if (!is_musl_ || !name.starts_with("lib")) {
        return false;
    }
    constexpr std::array<std::string_view, 7> parts{"c",  "pthread", "rt",  "m",
                                                    "dl", "util",    "xnet"};
    const std::string_view part = name.substr(3, name.find('.') - 3);
    return std::ranges::find(parts, part) != parts.end();
}

std::vector<std::string> LibrarySearch::candidates(const std::string& name,
                                                   const Requester& requester) const {
    if (is_built_in(name)) {
        return {};
    }
    if (name.find('/') != std::string::npos) {
        return {name.starts_with('/') ? name : "/" + name};
    }
    std::vector<std::string> folders;
    if (requester.elf.runpath.empty()) {
        for (const Requester* at = &requester; at != nullptr; at = at->parent) {
            if (at->elf.runpath.empty()) {
                append(folders, folders_of(at->elf.rpath, at->folder));
            }
        }
    }
    append(folders, library_path_);
    append(folders, folders_of(requester.elf.runpath, requester.folder));
    std::vector<std::string> paths;
    paths.reserve(folders.size() + 1 + standard_folders_.size());
    for (const std::string& folder : folders) {
        paths.push_back(folder + "/" + name);
    }
    if (const auto cached = cache_.find(name)) {
        paths.push_back(*cached);
    }
    for (const std::string& folder : standard_folders_) {
        paths.push_back(folder + "/" + name);
    }
    return paths;
}

}  // namespace shoal::cli
