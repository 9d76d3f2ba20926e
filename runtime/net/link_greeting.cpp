#include "runtime/net/link_greeting.hpp"

#include <algorithm>
#include <charconv>
#include <random>

namespace holdfast::net {

namespace {

constexpr std::string_view header_version = "Holdfast-Link";
constexpr std::string_view header_cluster = "Holdfast-Cluster";
constexpr std::string_view header_node = "Holdfast-Node";
constexpr std::string_view header_folder = "Holdfast-Folder";
constexpr std::string_view header_software = "Holdfast-Version";
constexpr std::string_view header_oldest = "Holdfast-Feature-Oldest";
constexpr std::string_view header_newest = "Holdfast-Feature-Newest";
constexpr std::string_view header_partitions = "Holdfast-Partitions";
constexpr std::string_view header_run = "Holdfast-Run";
constexpr std::string_view header_window = "Holdfast-Window";
constexpr std::string_view header_trial = "Holdfast-Link-Trial";

constexpr size_t name_bytes_max = 63;
constexpr size_t text_bytes_max = 128;
constexpr size_t printable_bytes_max = 160;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool is_token(std::string_view text, size_t bytes_max) {
  return text.size() <= bytes_max && std::all_of(text.begin(), text.end(), is_name_character);
}

bool is_line(std::string_view text) {
  return text.size() <= text_bytes_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; });
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  return failure == std::errc{} && end == text.data() + text.size();
}

}  // namespace

bool is_node_name(std::string_view text) {
  return !text.empty() && text.front() != '.' && is_token(text, name_bytes_max);
}

std::string problem_with(const link_hello& hello) {
  if (!is_node_name(hello.cluster))
    return "the cluster's name must be 1 to 63 of A-Z a-z 0-9 . _ -";
  if (!is_node_name(hello.node))
    return "the node's name must be 1 to 63 of A-Z a-z 0-9 . _ -";
  if (!is_token(hello.folder, text_bytes_max))
    return "the folder's id must be up to 128 of A-Z a-z 0-9 . _ -";
  if (!is_line(hello.version))
    return "the version must be up to 128 printable characters";
  return {};
}

std::vector<std::pair<std::string, std::string>> to_headers(const link_greeting& from) {
  std::vector<std::pair<std::string, std::string>> out{
    {std::string{header_version}, std::string{link_version}},
    {std::string{header_cluster}, from.hello.cluster},
    {std::string{header_node}, from.hello.node},
    {std::string{header_folder}, from.hello.folder},
    {std::string{header_software}, from.hello.version},
    {std::string{header_oldest}, std::to_string(from.hello.feature_oldest)},
    {std::string{header_newest}, std::to_string(from.hello.feature_newest)},
    {std::string{header_partitions}, std::to_string(from.hello.partitions)},
    {std::string{header_run}, from.run},
    {std::string{header_window}, std::to_string(from.window)}};
  if (from.trial)
    out.emplace_back(header_trial, "1");
  return out;
}

std::string from_headers(const std::function<std::string_view(std::string_view)>& find,
                         link_greeting& out) {
  const auto version = find(header_version);
  if (version != link_version)
    return version.empty() ? "does not say that it is a Holdfast node; check the address"
                           : "speaks version " + printable(version) + " of the link, this node " +
                               std::string{link_version} + "; run the same release on both";
  out.hello.cluster = find(header_cluster);
  out.hello.node = find(header_node);
  out.hello.folder = find(header_folder);
  out.hello.version = find(header_software);
  out.run = find(header_run);
  out.trial = !find(header_trial).empty();
  const bool numbers = read_number(find(header_oldest), out.hello.feature_oldest) &&
                       read_number(find(header_newest), out.hello.feature_newest) &&
                       read_number(find(header_partitions), out.hello.partitions) &&
                       read_number(find(header_window), out.window) && out.window > 0;
  if (!numbers || out.run.empty() || !is_token(out.run, name_bytes_max) ||
      !problem_with(out.hello).empty())
    return "introduces itself with headers that are missing or malformed";
  return {};
}

std::string mismatch_of(const link_greeting& self, const link_greeting& peer,
                        std::string_view dialled) {
  if (peer.run == self.run)
    return "the address of " + std::string{dialled.empty() ? self.hello.node : dialled} +
           " leads back to " + self.hello.node + " itself; correct it";
  if (peer.hello.cluster != self.hello.cluster)
    return "node " + peer.hello.node + " is of cluster " + peer.hello.cluster + ", node " +
           self.hello.node + " of cluster " + self.hello.cluster +
           "; check the cluster's name and the addresses";
  if (!dialled.empty() && peer.hello.node != dialled)
    return "node " + peer.hello.node + " is at the address given for " + std::string{dialled} +
           "; correct the address";
  if (peer.hello.node == self.hello.node)
    return "two nodes have the name " + self.hello.node + "; give each its own";
  return {};
}

std::string printable(std::string_view text) {
  std::string out{text.substr(0, printable_bytes_max)};
  std::replace_if(
    out.begin(), out.end(), [](char c) { return c < ' ' || c >= 0x7f; }, '?');
  return out;
}

std::string random_run() {
  static constexpr char digits[] = "0123456789abcdef";
  std::random_device source;
  std::string out;
  for (int i = 0; i < 4; ++i)
    for (auto [word, k] = std::pair{source(), 0}; k < 8; ++k, word >>= 4)
      out += digits[word & 15u];
  return out;
}

bool split_address(std::string_view text, std::string& host, uint16_t& port) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || !read_number(text.substr(colon + 1), port) ||
      port == 0)
    return false;
  auto name = text.substr(0, colon);
  const bool bracketed = name.size() > 2 && name.front() == '[' && name.back() == ']';
  if (bracketed)
    name = name.substr(1, name.size() - 2);
  else if (name.find(':') != std::string_view::npos)
    return false;
  host = name;
  return true;
}

}  // namespace holdfast::net
