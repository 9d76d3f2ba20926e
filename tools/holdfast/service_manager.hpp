#pragma once
// What a node tells systemd (sd_notify(3)); nothing happens where nobody listens.

#include <chrono>
#include <cstdint>
#include <string>

namespace holdfast {

void tell_ready();
void tell_stopping();
void tell_alive();

/// How often to say that the process is alive: a third of what the service manager waits. 0: it does not ask.
std::chrono::milliseconds watchdog_interval();

/// Whether the server that listens there does anything about a request within the limit: an answer, or hanging up, as
/// one with TLS does when it is spoken to without. A kernel accepts connections for a process that is stuck, so
/// connecting proves nothing. Blocks.
bool reacts(const std::string& host, std::uint16_t port, std::chrono::milliseconds limit);

}  // namespace holdfast
