#include "tools/bench/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace holdfast::bench {

descriptor::~descriptor() {
  if (number_ >= 0)
    ::close(number_);
}

descriptor::descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

descriptor& descriptor::operator=(descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

descriptor connect_to(std::uint16_t port) {
  descriptor out{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(out.number(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    give_up("cannot connect to port " + std::to_string(port) + ": " + std::strerror(errno));
  const int on = 1;
  ::setsockopt(out.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(out.number(), F_SETFL, O_NONBLOCK);
  return out;
}

void send_all(int socket, std::string_view bytes) {
  const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(bytes.size()))
    give_up(sent < 0 ? std::string{"cannot send: "} + std::strerror(errno)
                     : "the server does not read its requests");
}

void say_window(bool open) {
  std::puts(open ? "window open" : "window closed");
  std::fflush(stdout);
}

void give_up(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

}  // namespace holdfast::bench
