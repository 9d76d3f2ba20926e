#pragma once
// Non-blocking client sockets and the window protocol between a benchmark program and tools/bench/run.

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::bench {

/// A file descriptor, closed at the end.
class descriptor {
public:
  descriptor() = default;
  explicit descriptor(int number) : number_(number) {}
  ~descriptor();
  descriptor(descriptor&& other) noexcept;
  descriptor& operator=(descriptor&& other) noexcept;
  int number() const noexcept { return number_; }

private:
  int number_ = -1;
};

/// Connects to 127.0.0.1, then makes the socket non-blocking. Ends the program when nobody listens.
descriptor connect_to(std::uint16_t port);

/// Sends all of it or ends the program: requests are small, so a full socket means a stuck server.
void send_all(int socket, std::string_view bytes);

/// Prints `window open` or `window closed`: at that moment tools/bench/run reads the server's counters.
void say_window(bool open);

/// Says why and ends the program.
[[noreturn]] void give_up(const std::string& why);

}  // namespace holdfast::bench
