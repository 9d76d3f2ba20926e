#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "tests/unit/runtime_net/waiting.hpp"

namespace holdfast::net::testing {

/// A blocking TCP socket that says exactly what a test tells it to. Waits are limited.
class raw_socket {
public:
  raw_socket() = default;
  explicit raw_socket(int fd) : fd_(fd) {}
  raw_socket(raw_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  raw_socket& operator=(raw_socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~raw_socket() { close(); }

  static raw_socket connect(uint16_t port) {
    raw_socket out{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const auto address = loopback(port);
    if (out.fd_ < 0 ||
        ::connect(out.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("connect");
    const int on = 1;
    ::setsockopt(out.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return out;
  }

  /// On any free port of the loopback address, which it says; nobody accepts.
  static raw_socket listening(int backlog, uint16_t& port) {
    raw_socket out{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    auto address = loopback(0);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(out.fd_, generic, size) != 0 || ::listen(out.fd_, backlog) != 0 ||
        ::getsockname(out.fd_, generic, &size) != 0)
      throw std::runtime_error("listen");
    port = ntohs(address.sin_port);
    return out;
  }

  static sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0)
        return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  /// What is there; nothing at the end, on an error and after the limit.
  std::string read_some(std::chrono::milliseconds limit = wait_limit) {
    if (!buffer_.empty())
      return std::exchange(buffer_, {});
    pollfd wait{fd_, POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(limit.count())) <= 0)
      return {};
    std::string bytes(64 << 10, '\0');
    const auto size = ::recv(fd_, bytes.data(), bytes.size(), 0);
    bytes.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return bytes;
  }

  /// Everything up to the end of the connection.
  std::string read_all() {
    std::string all;
    while (true) {
      const auto piece = read_some();
      if (piece.empty())
        return all;
      all += piece;
    }
  }

  /// Everything up to and including the first `mark`; what follows is kept for the next read.
  std::string read_until(std::string_view mark) {
    std::string all;
    while (true) {
      const auto at = all.find(mark);
      if (at != std::string::npos) {
        buffer_ = all.substr(at + mark.size());
        return all.substr(0, at + mark.size());
      }
      const auto piece = read_some();
      if (piece.empty())
        return all;
      all += piece;
    }
  }

  std::string read_exactly(size_t size) {
    std::string all = std::exchange(buffer_, {});
    while (all.size() < size) {
      const auto piece = read_some();
      if (piece.empty())
        return all;
      all += piece;
    }
    buffer_ = all.substr(size);
    all.resize(size);
    return all;
  }

  /// One response with Content-Length: head and body.
  std::string read_response() {
    const auto head = read_until("\r\n\r\n");
    const auto at = head.find("Content-Length: ");
    if (at == std::string::npos)
      return head;
    return head + read_exactly(std::stoul(head.substr(at + 16)));
  }

  /// True when the peer closes or resets within the limit; what it says before is dropped.
  bool closed_by_peer(std::chrono::milliseconds limit = wait_limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
      pollfd wait{fd_, POLLIN, 0};
      if (::poll(&wait, 1, 50) <= 0)
        continue;
      std::string bytes(64 << 10, '\0');
      if (::recv(fd_, bytes.data(), bytes.size(), 0) <= 0)
        return true;
    }
    return false;
  }

  void half_close() { ::shutdown(fd_, SHUT_WR); }

  /// Ends the connection with a reset instead of an orderly end.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

  void set_receive_buffer(int bytes) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }

  void close() {
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
  }

  int fd() const { return fd_; }

private:
  int fd_ = -1;
  std::string buffer_;
};

/// A server that does to each connection what the test says, one after the other, on its own
/// thread.
class raw_server {
public:
  using script = std::function<void(raw_socket& socket, unsigned connection_no)>;

  explicit raw_server(script play) : play_(std::move(play)) {
    listener_ = raw_socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    auto address = raw_socket::loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener_.fd(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_.fd(), 64) != 0 ||
        ::getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("listen");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { run(); }};
  }

  ~raw_server() {
    ::shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
  }

  uint16_t port() const { return port_; }
  std::string url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string{path};
  }

private:
  void run() {
    for (unsigned no = 1;; ++no) {
      raw_socket accepted{::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC)};
      if (accepted.fd() < 0)
        return;
      play_(accepted, no);
    }
  }

  script play_;
  raw_socket listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace holdfast::net::testing
