// Which load an open file has seen, and the words of the next one.
#include "guest/kernel/fs/clone_file.h"

#include <algorithm>

#include "guest/kernel/fs/open_file.h"

namespace shoal::guest {

Result<void> CloneFile::opened(OpenFile& file) {
    file.generation = source_.generation();
    return {};
}

// The words are kept, because there may be another load before all of them are read.
Result<std::size_t> CloneFile::read(OpenFile& file, std::uint64_t, Destination& to,
                                    std::size_t count) {
    if (!file.has_words) {
        if (source_.generation() == file.generation) {
            return fail(Errno::again);
        }
        const auto words = source_.words();
        file.content.assign(words.begin(), words.end());
        file.has_words = true;
    }
    const auto rest = std::span<const char>{file.content}.subspan(
        std::min<std::uint64_t>(file.position, file.content.size()));
    const auto part = rest.first(std::min(rest.size(), count));
    if (!to.put(std::as_bytes(part))) {
        return fail(Errno::fault);
    }
    file.position += part.size();  // nobody else counts where seeking is refused
    return part.size();
}

Readiness CloneFile::readiness(const OpenFile& file) const {
    Readiness ready;
    const bool is_copy = file.has_words || source_.generation() != file.generation;
    ready.readable = is_copy ? Readiness::Is::yes : Readiness::Is::no;
    ready.writable = Readiness::Is::no;
    return ready;
}

WaitQueue* CloneFile::wait_queue(const OpenFile&) noexcept {
    return &source_.load_queue();
}

}  // namespace shoal::guest
