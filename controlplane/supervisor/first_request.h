// FirstRequest: what a VMM is asked as soon as it runs, over a connection that nobody else has: a
// clone's VMM is told by it which template to load.
#pragma once

#include <string>
#include <vector>

#include "devices/host/unique_fd.h"

namespace shoal::supervisor {

class FirstRequest {
public:
    // Nothing is asked if the run folder, which is the working directory, has no such file. Throws
    // std::system_error.
    FirstRequest();

    [[nodiscard]] bool is_wanted() const noexcept { return !request_.empty(); }
    // The command's words and, for a request, those that name the VMM's end of the connection. The
    // texts live as long as this object and the words.
    [[nodiscard]] std::vector<char*> with_connection(const std::vector<char*>& words);
    // In the child, before it becomes the VMM.
    void pass_on() const noexcept;
    // In the parent, once the child has its end.
    void send();

    // To be polled; -1 when there is nothing to wait for.
    [[nodiscard]] int connection() const noexcept { return is_answered_ ? -1 : ours_.get(); }
    // When it is readable. True once the VMM has said yes; when it says no, refusal() is its
    // sentence, and it ends by itself.
    [[nodiscard]] bool read_answer();
    [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

private:
    std::string request_;
    host::UniqueFd ours_;
    host::UniqueFd theirs_;
    std::string theirs_text_;
    std::string answer_;
    std::string refusal_;
    bool is_answered_ = false;
};

// What an HTTP answer says: nothing before it is whole, "" for success, else why not.
enum class Verdict { incomplete, accepted, refused };
[[nodiscard]] Verdict verdict_of(const std::string& answer);

}  // namespace shoal::supervisor
