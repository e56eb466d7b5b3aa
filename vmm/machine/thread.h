// Thread: a named thread with a small stack, joined by its destructor.
//
// std::jthread gives every thread 8 MiB of address space and touches more of it than a vCPU needs.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "devices/host/os_error.h"

namespace shoal::vmm {

class Thread {
public:
    // `body` must not throw.
    Thread(const std::string& name, std::size_t stack_bytes, std::function<void()> body) {
        auto owned = std::make_unique<Start>(Start{name, std::move(body)});
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, stack_bytes);
        const int error = pthread_create(&thread_, &attributes, &Thread::enter, owned.get());
        pthread_attr_destroy(&attributes);
        if (error != 0) {
            host::throw_os_error("thread " + name, error);
        }
        owned.release();  // the thread's from now on
    }
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    ~Thread() { pthread_join(thread_, nullptr); }

    // Interrupts the system call that the thread is in.
    void signal(int number) const noexcept { pthread_kill(thread_, number); }

private:
    struct Start {
        std::string name;
        std::function<void()> body;
    };

    // A thread may name itself without opening a file.
    static void* enter(void* start) {
        const std::unique_ptr<Start> owned{static_cast<Start*>(start)};
        pthread_setname_np(pthread_self(), owned->name.c_str());
        owned->body();
        return nullptr;
    }

    pthread_t thread_{};
};

}  // namespace shoal::vmm
