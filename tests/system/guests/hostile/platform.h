// The devices that are not virtio's.
#pragma once

#include "tests/system/guests/hostile/random.h"

namespace hostile {

// Writes nonsense to the I/O APIC, the serial port, the keyboard controller and the boot timer, but
// nothing that would end the guest or print.
void attack_platform(Random& random);

}  // namespace hostile
