#include "runtime/host/config_cluster.hpp"

#include <fstream>

#include "runtime/host/config.hpp"
#include "runtime/host/config_reader.hpp"

namespace holdfast {

bool is_link_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size())
    return false;
  const auto port = text.substr(colon + 1);
  constexpr std::string_view of_hosts =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
  if (text.substr(0, colon).find_first_not_of(of_hosts) != std::string_view::npos)
    return false;
  return port.size() <= 5 && port.find_first_not_of("0123456789") == std::string_view::npos &&
         std::stoul(std::string{port}) <= 65'535;
}

std::string_view host_of_link(std::string_view address) {
  auto host = address.substr(0, address.rfind(':'));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  return host;
}

namespace {

constexpr std::size_t peers_max = 9;
constexpr std::int64_t election_ms_min = 150;
constexpr std::int64_t election_ms_max = 60'000;

bool is_readable(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  return in && in.peek() != std::ifstream::traits_type::eof();
}

void read_link_tls(map_reader in, const std::filesystem::path& base, cluster_config& out) {
  const auto read = [&](const char* name, const char* what, std::filesystem::path& into) {
    std::string text;
    if (!in.text(name, text)) {
      if (!in.has(name))
        in.missing(name, what);
      return;
    }
    into = (base / text).lexically_normal();
    if (!is_readable(into))
      in.problem(in.node().find(name)->value, "/" + std::string{name},
                 "`cluster.tls." + std::string{name} + "`: " + into.string() +
                   " cannot be read, or is empty");
  };
  read("ca", "the certificate of the cluster's own authority, a PEM file", out.ca);
  read("cert", "this node's certificate, a PEM file", out.cert);
  read("key", "the certificate's private key, a PEM file", out.key);
  in.finish();
}

std::string check_link_tls(const cluster_config& config, const std::string& name,
                           const std::string& address, const std::string& node) {
  if (!config.ca.empty() || address.empty() || is_loopback(host_of_link(address)))
    return {};
  return "`cluster.tls` is needed: `" + name + "` at " + address +
         " is beyond loopback; `holdfast cluster certs DIR --nodes " + node +
         ",...` makes what it takes";
}

void read_peers(map_reader& in, cluster_config& out) {
  const auto* peers = in.take("peers");
  if (peers == nullptr)
    return;
  const auto wrong = [&](const std::string& why) {
    in.problem(peers->value, "/peers", "`peers`: " + why);
  };
  if (!peers->value.is_map() || peers->value.entries.empty() ||
      peers->value.entries.size() > peers_max)
    return wrong("expected 1 to " + std::to_string(peers_max) +
                 " nodes with their links, as in { n1: \"10.0.0.11:7071\" }");
  for (const auto& entry : peers->value.entries) {
    if (!is_valid_type(entry.key))
      return wrong("`" + entry.key + "` is no name of a node: lower-case letters, digits and -");
    if (!is_link_address(entry.value.text))
      return wrong("`" + entry.key + "`: expected HOST:PORT, not `" + entry.value.text + "`");
    for (const auto& [other, address] : out.peers)
      if (address == entry.value.text)
        return wrong("`" + other + "` and `" + entry.key + "` have the same address");
    out.peers.emplace(entry.key, entry.value.text);
  }
}

}  // namespace

void read_cluster(map_reader in, const std::filesystem::path& base, cluster_config& out) {
  in.text("name", out.name, 63);
  if (std::uint16_t given = 0; in.number("partitions", given, 1, 4096))
    out.partitions = given;
  in.duration("election_timeout", out.election_timeout_ms, election_ms_min);
  if (out.election_timeout_ms > election_ms_max)
    in.problem(in.node().find("election_timeout")->value, "/election_timeout",
               "`election_timeout`: at most 60s");
  read_peers(in, out);
  if (in.text("advertise", out.advertise) && !is_link_address(out.advertise))
    in.problem(in.node().find("advertise")->value, "/advertise",
               "`advertise`: expected HOST:PORT, not `" + out.advertise + "`");
  if (const auto* tls = in.take("tls"))
    read_link_tls(map_reader{tls->value, in.pointer_of("tls"), in.problems()}, base, out);
  in.number("replication", out.replication, 1, peers_max);
  in.finish();
}

std::string check_cluster(const cluster_config& config, const std::string& node) {
  if (config.peers.empty())
    return check_link_tls(config, node, config.advertise, node);
  const auto self = config.peers.find(node);
  if (self == config.peers.end() && config.advertise.empty())
    return "`cluster.peers`: this node, `" + node +
           "`, is not one of them; one that joins says under `advertise` where others reach it";
  if (self != config.peers.end() && !config.advertise.empty() && config.advertise != self->second)
    return "`cluster.advertise`: " + config.advertise + " is not what `peers` says of `" + node +
           "`, " + self->second;
  for (const auto& [name, address] : config.peers)
    if (auto wrong = check_link_tls(config, name, address, node); !wrong.empty())
      return wrong;
  return check_link_tls(config, node, config.advertise, node);
}

}  // namespace holdfast
