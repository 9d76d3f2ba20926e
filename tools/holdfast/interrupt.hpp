#pragma once
// Ctrl-C while a client verb waits: a last word on stderr, then exit code 130.

#include <string_view>

namespace holdfast::cli {

/// Makes SIGINT end the process at once with 130. For client verbs only: nodes shut down in order.
void exit_on_interrupt() noexcept;

/// What SIGINT prints before it ends the process, at most 1,000 bytes; empty: nothing. Only one
/// thread at a time may set it.
void say_on_interrupt(std::string_view text) noexcept;

}  // namespace holdfast::cli
