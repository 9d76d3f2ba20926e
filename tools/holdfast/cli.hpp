#pragma once
// The command line of INTERFACE §1.

#include <string>
#include <vector>

#include "tools/holdfast/session.hpp"

namespace holdfast::cli {

/// Runs one command; `arguments` without the program's name. Returns the exit code of the contract.
int run_command(const std::vector<std::string>& arguments, command_host& host);

}  // namespace holdfast::cli

namespace holdfast {

/// `run_command` in this process, with its streams, variables and terminal.
int run_cli(int argc, const char* const* argv);

}  // namespace holdfast
