#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/net/peer_link.hpp"

namespace holdfast::net {

/// What the two ends of a link tell each other in the headers of the upgrade.
struct link_greeting {
  link_hello hello;
  std::string run;      // random, new for every start of the link
  uint64_t window = 0;  // `unread_bytes_max`: cost of frames it takes before it lets go of any
  bool trial = false;   // it wants to know whether it is believed, and no connection
};

inline constexpr std::string_view link_path = "/holdfast/link";
inline constexpr std::string_view link_version = "1";  // of the records and these headers
inline constexpr std::string_view link_refusal_header = "Holdfast-Link-Refusal";
inline constexpr std::string_view link_for_good_header = "Holdfast-Link-Removed";  // who
inline constexpr std::string_view link_trial_passed = "believed";  // in place of a refusal
inline constexpr size_t link_head_bytes_max = 8 << 10;

/// Why a WebSocket was closed, beside the codes of RFC 6455.
inline constexpr uint16_t link_close_duplicate = 4001;  // another connection is the one
inline constexpr uint16_t link_close_dropped = 4002;    // no longer a peer here
inline constexpr uint16_t link_close_for_good = 4003;   // and no member any more: it shall end

std::vector<std::pair<std::string, std::string>> to_headers(const link_greeting& from);

/// `find` gives a header's value, or nothing. Returns what is wrong; empty: `out` is complete.
std::string from_headers(const std::function<std::string_view(std::string_view)>& find,
                         link_greeting& out);

/// Why these two are no pair of one cluster, fit for both; empty: they are. `dialled`: whom `self` meant, if it dialled.
std::string mismatch_of(const link_greeting& self, const link_greeting& peer,
                        std::string_view dialled);

/// What is wrong with a hello of our own; empty: nothing.
std::string problem_with(const link_hello& hello);
bool is_node_name(std::string_view text);

/// What somebody else wrote, fit for a log line: printable ASCII, at most 160 bytes.
std::string printable(std::string_view text);

/// 128 random bits in hex.
std::string random_run();

/// `host:port` or `[v6]:port`; false: neither.
bool split_address(std::string_view text, std::string& host, uint16_t& port);

}  // namespace holdfast::net
