// The console: what the program's stdin, stdout and stderr lead to. A virtio console if the machine
// has one, else the serial port. Devices are set up at their first use.
#pragma once

#include "guest/drivers/virtio_mmio.h"
#include "guest/kernel/boot/command_line.h"
#include "guest/kernel/fs/console_file.h"

namespace shoal::guest {

// Chooses the device; call once.
[[nodiscard]] ConsoleDevice& start_console(const CommandLine& command_line,
                                           std::span<const VirtioMmioDevice> devices);
// Returns once everything written has left the microVM.
void flush_console();

}  // namespace shoal::guest
