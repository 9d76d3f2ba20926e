#pragma once

#include <doctest/doctest.h>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/net/peer_link.hpp"
#include "tests/unit/runtime_net/test_certificates.hpp"
#include "tests/unit/runtime_net/waiting.hpp"

namespace holdfast::net::testing {

/// One node's link, with a record of all it said.
class link_node {
public:
  explicit link_node(peer_link::options opts) : link(std::move(opts)) {}
  ~link_node() { link.stop(); }

  void start() {
    const auto status = link.start({
      .admit =
        [this](const link_hello& peer) {
          return link_verdict{admit ? admit(peer) : std::string{}, for_good};
        },
      .up =
        [this](const link_hello& peer) {
          ++ups;
          hellos.push(peer);
        },
      .down =
        [this](std::string_view node, std::string_view why) {
          ++downs;
          down.push(std::string{node} + ": " + std::string{why});
        },
      .frame =
        [this](std::string_view node, link_frame&& frame) {
          if (on_frame)
            on_frame(node, std::move(frame));
          else
            frames.push(std::move(frame.bytes));
        },
      .refused =
        [this](std::string_view who, std::string_view why) {
          refused.push(std::string{who} + ": " + std::string{why});
        },
      .removed = [this](std::string_view) { ++removals; },
    });
    REQUIRE_MESSAGE(status, status.detail);
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(link.port()); }

  link_peer_stats stats(const std::string& node) const { return link.stats()[node]; }

  /// Waits for a refusal that contains the text; what else comes before is dropped.
  bool hears_refusal(const std::string& text) {
    for (int i = 0; i < 20; ++i) {
      const auto said = refused.pop();
      if (said.find(text) != std::string::npos)
        return true;
      if (said.empty())
        return false;
      MESSAGE("instead of '" << text << "': " << said);
    }
    return false;
  }

  /// What was said with `down` so far and not yet looked at.
  std::string downs_said() {
    std::string all;
    while (down.size() > 0)
      all += down.pop() + "; ";
    return all;
  }

  // Set before `start`.
  std::function<std::string(const link_hello&)> admit;
  std::function<void(std::string_view, link_frame&&)> on_frame;

  bool for_good = false;  ///< what `admit` refuses

  std::atomic<int> ups = 0, downs = 0, removals = 0;
  channel<link_hello> hellos;
  channel<std::string> down, refused, frames;
  peer_link link;
};

/// Makes nodes of one cluster with certificates of one authority.
struct link_fixture {
  test_authority authority;

  static link_tls tls_of(test_authority& with, const std::string& names, int days = 1,
                         const std::string& common_name = "server") {
    const auto files = with.issue(names, days, common_name);
    return {with.ca_file(), files.certificate, files.key};
  }

  peer_link::options options(const std::string& node) {
    peer_link::options opts;
    opts.self = {"red", node, "folder-of-" + node, "1.0", 2, 3};
    opts.tls = tls_of(authority, "DNS:" + node);
    return opts;
  }

  std::unique_ptr<link_node> node(const std::string& name) {
    auto out = std::make_unique<link_node>(options(name));
    out->start();
    return out;
  }

  static bool joined(link_node& a, const std::string& a_name, link_node& b,
                     const std::string& b_name) {
    return eventually(
      [&] { return a.link.connected(b_name) && b.link.connected(a_name) && a.ups && b.ups; });
  }
};

/// `size` bytes that no other number gives.
inline std::string numbered(uint64_t number, size_t size) {
  std::string out = std::to_string(number) + "/";
  while (out.size() < size)
    out += static_cast<char>('a' + (number + out.size()) % 26);
  return out;
}

/// Sends when there is room.
inline bool send_when_possible(peer_link& from, const std::string& to, const std::string& frame) {
  return eventually([&] { return from.send(to, frame); });
}

}  // namespace holdfast::net::testing
