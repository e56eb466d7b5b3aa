// Turn: one thread after the other, where one of them may wait for a disk in the middle.
#pragma once

#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/sched/wait_queue.h"

namespace shoal::guest {

class Turn {
public:
    // The calling thread's turn, as long as this lives. Waits for others, whatever signals come.
    // The turn must outlive it.
    class Holder {
    public:
        explicit Holder(Turn& turn) : turn_{turn} {
            while (turn_.is_taken_) {
                Waiter waiter;
                WaitPlace place;
                place.join(turn_.queue_, waiter);
                block_uninterrupted(waiter);
            }
            turn_.is_taken_ = true;
        }
        ~Holder() {
            turn_.is_taken_ = false;
            turn_.queue_.wake_one();
        }
        Holder(const Holder&) = delete;
        Holder& operator=(const Holder&) = delete;

    private:
        Turn& turn_;
    };

private:
    bool is_taken_ = false;
    WaitQueue queue_;
};

}  // namespace shoal::guest
