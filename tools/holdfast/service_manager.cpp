#include "tools/holdfast/service_manager.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string_view>

namespace holdfast {

void tell_ready() { ::sd_notify(0, "READY=1"); }
void tell_stopping() { ::sd_notify(0, "STOPPING=1"); }
void tell_alive() { ::sd_notify(0, "WATCHDOG=1"); }

std::chrono::milliseconds watchdog_interval() {
  std::uint64_t limit_us = 0;
  if (::sd_watchdog_enabled(0, &limit_us) <= 0)
    return {};
  const auto every = std::chrono::microseconds{limit_us / 3};
  return std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(every),
                    std::chrono::milliseconds{10}, std::chrono::milliseconds{60'000});
}

bool reacts(const std::string& host, std::uint16_t port, std::chrono::milliseconds limit) {
  constexpr std::string_view request =
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const std::string to = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host;
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(to.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0)
    return false;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list{found, ::freeaddrinfo};
  const int file =
    ::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, list->ai_protocol);
  if (file < 0)
    return false;
  const auto until = std::chrono::steady_clock::now() + limit;
  const auto wait_for = [&](short what) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      until - std::chrono::steady_clock::now());
    pollfd one{file, what, 0};
    return left.count() > 0 && ::poll(&one, 1, static_cast<int>(left.count())) > 0;
  };
  (void)::connect(file, list->ai_addr, list->ai_addrlen);  // how it ends, `send` says
  const bool sent =
    wait_for(POLLOUT) && ::send(file, request.data(), request.size(), MSG_NOSIGNAL) ==
                           static_cast<ssize_t>(request.size());
  const bool heard = sent && wait_for(POLLIN);
  ::close(file);
  return heard;
}

}  // namespace holdfast
