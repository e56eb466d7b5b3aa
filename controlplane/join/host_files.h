// The files of a host's certificate: whole or not there, and none is replaced.
#pragma once

#include <string>

#include "controlplane/cli/join_options.h"

namespace shoal::join {

// Throws CliError for one that is there already. Creates the folder.
void check_files(const cli::HostFiles& files);

enum class Secrecy { open, secret };

// NAME in the folder. Throws CliError.
void write_file(const cli::HostFiles& files, const std::string& name, const std::string& text,
                Secrecy secrecy);

// The options of shoald for these files.
[[nodiscard]] std::string shoald_words(const cli::HostFiles& files);

}  // namespace shoal::join
