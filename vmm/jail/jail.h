// Takes from threads what they do not need of the kernel. For good: nothing gives it back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "devices/host/sanitizers.h"
#include "vmm/jail/filter_file.h"
#include "vmm/jail/filters.h"

namespace shoal::jail {

// Built with ASan or TSan, whose runtime asks for far more than the lists allow: such a program
// runs without filters.
constexpr bool is_sanitized = host::has_asan || host::has_tsan;

// As Firecracker's, for a system call that is not allowed.
constexpr int bad_call_exit_code = 148;

enum class Filters { on, off };

struct JailOptions {
    Filters filters = is_sanitized ? Filters::off : Filters::on;
    std::string filter_path;  // other filters than ours; empty: ours
    // Where the service may open files, each PATH or PATH,ro; empty: everywhere. See landlock.h.
    std::vector<std::string> allowed_paths;
};

class Jail {
public:
    // Who makes a call that is not allowed ends the process with bad_call_exit_code and a sentence
    // on stderr. Throws with one sentence when the file is none.
    explicit Jail(const JailOptions& options);

    // This thread, and those that it starts from now on, may only make the calls that its role
    // needs (and only those that it might make before). Thread-safe. Throws std::system_error.
    void enter(Role role) const;

private:
    bool has_filters_;
    std::vector<std::string> allowed_paths_;
    std::optional<FilterFile> file_;
};

}  // namespace shoal::jail
