// `cluster init` and `cluster join`: what is done to a stopped node's data folder before it is a member.

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/cluster_identity.hpp"
#include "cluster/restore.hpp"
#include "persistence/rocksdb_store.hpp"
#include "runtime/core/feature_levels.hpp"
#include "runtime/host/config.hpp"
#include "runtime/net/link_trial.hpp"
#include "tools/holdfast/command_tree.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr std::uint64_t folder_memory_bytes = 256ULL << 20;

struct membership_options {
  std::string config;
  std::string address;  ///< URL of a member
};

[[noreturn]] void fail_membership(const error& why) {
  throw command_failure{why.code == errc::conflict || why.code == errc::gone ? exit_code::refused
                        : why.code == errc::not_found                        ? exit_code::not_found
                        : why.code == errc::schema                           ? exit_code::usage
                                                                             : exit_code::failed,
                        why.context};
}

/// The node's settings, as `serve` would have them.
node_config settings_of(const membership_options& options) {
  auto loaded = load_config(std::filesystem::path{options.config}, {}, process_environment());
  if (!loaded) {
    command_failure failure{exit_code::usage, to_string(loaded.problems.front())};
    for (std::size_t i = 1; i < loaded.problems.size(); ++i)
      failure.details.push_back(to_string(loaded.problems[i]));
    throw failure;
  }
  const auto& config = loaded.config;
  if (config.data.empty())
    refuse_usage(options.config + " names no data folder; write `data:`");
  if (config.cluster.is_alone())
    refuse_usage(options.config +
                 " says nothing of a cluster; write `cluster: { name: NAME, advertise: "
                 "\"HOST:PORT\" }` with the address at which other nodes reach this one");
  return std::move(loaded.config);
}

std::unique_ptr<store> open_folder(const node_config& config, bool create) {
  std::error_code failed;
  if (create)
    std::filesystem::create_directories(config.data, failed);
  if (auto whole = check_restore_finished(config.data); !whole)
    fail_membership(whole.error());
  auto opened = open_rocksdb({config.data.string(), folder_memory_bytes, create});
  if (!opened)
    fail_membership(opened.error());
  return std::move(*opened);
}

using found_addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;
found_addresses look_up(const std::string& link, int flags) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = flags;
  addrinfo* found = nullptr;
  const std::string host{host_of_link(link)};
  const auto port = link.substr(link.rfind(':') + 1);
  if (::getaddrinfo(host.c_str(), port.c_str(), &wanted, &found) != 0)
    found = nullptr;
  return {found, ::freeaddrinfo};
}

/// It is an address of this machine, and its port is free.
bool can_listen(const std::string& link) {
  const auto found = look_up(link, AI_PASSIVE);
  if (!found)
    return false;
  const int file = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, found->ai_protocol);
  if (file < 0)
    return false;
  const int yes = 1;
  (void)::setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const bool bound = ::bind(file, found->ai_addr, found->ai_addrlen) == 0;
  ::close(file);
  return bound;
}

net::peer_link::options link_of(const node_config& config) {
  const auto& cluster = config.cluster;
  net::peer_link::options out;
  out.self.cluster = cluster.name;
  out.self.node = config.node;
  if (!cluster.ca.empty())
    out.tls = net::link_tls{cluster.ca.string(), cluster.cert.string(), cluster.key.string()};
  return out;
}

/// The node and each of these reach and believe each other.
void check_links(const node_config& config, const std::map<std::string, std::string>& links) {
  std::string silent;
  for (const auto& [node, trial] : net::try_links(link_of(config), links)) {
    if (trial.result == net::link_trial::outcome::refused)
      throw command_failure{exit_code::refused, "the node link would not come up: " + trial.why +
                                                  "; see `cluster.tls`"};
    if (trial.result == net::link_trial::outcome::unreachable)
      silent += (silent.empty() ? "" : ", ") + trial.why;
  }
  if (!silent.empty())
    throw command_failure{exit_code::unavailable, "this machine does not reach the link of " +
                                                    silent +
                                                    "; nodes must reach each other on these ports"};
}

/// What the members would refuse later is said now, before anything is written.
void check_join(const node_config& config, const json& cluster) {
  if (const auto name = cluster.value("name", ""); name != config.cluster.name)
    throw command_failure{exit_code::refused, "the cluster there is `" + name +
                                                "`, the configuration says `" +
                                                config.cluster.name + "`; see `cluster.name`"};
  if (!can_listen(config.cluster.advertise))
    throw command_failure{exit_code::refused,
                          "cannot listen at " + config.cluster.advertise +
                            ": it is no address of this machine, or in use; see "
                            "`cluster.advertise`"};
  std::map<std::string, std::string> links;
  for (const auto& node : cluster.value("nodes", json::array()))
    if (node.value("state", "") != "down" && node.value("membership", "") == "member" &&
        node.value("id", "") != config.node)
      links.emplace(node.value("id", ""), node.value("address", ""));
  check_links(config, links);
}

/// A data folder as `join` finds it. What it makes of an empty one it takes away again when the cluster refuses the node:
/// nothing has been promised with it.
class found_folder {
public:
  explicit found_folder(std::filesystem::path at) : at_(std::move(at)) {
    std::error_code failed;
    was_there_ = std::filesystem::exists(at_, failed);
    was_empty_ = !was_there_ || std::filesystem::is_empty(at_, failed);
  }
  /// The store in it must be closed.
  void leave_as_found() const {
    if (!was_empty_)
      return;
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator{at_, failed})
      std::filesystem::remove_all(entry.path(), failed);
    if (!was_there_)
      std::filesystem::remove(at_, failed);
  }

private:
  std::filesystem::path at_;
  bool was_there_ = false;
  bool was_empty_ = false;
};

/// No more than refused: nothing was changed there.
bool is_refusal(const command_failure& why) {
  return why.http_status >= 400 && why.http_status < 500;
}

json ask_to_join(api_client& api, const node_config& config, std::uint16_t partitions,
                 const std::string& folder) {
  return api.post(api_path{"/v1/nodes"}, {{"name", config.node},
                                          {"address", config.cluster.advertise},
                                          {"folder", folder},
                                          {"cluster", config.cluster.name},
                                          {"partitions", partitions},
                                          {"feature_level", features_of_this_release.newest},
                                          {"feature_oldest", features_of_this_release.oldest},
                                          {"roles", names_of(config.roles)}});
}

exit_code join(session& with, const membership_options& options) {
  const auto config = settings_of(options);
  auto& api = with.api_at(options.address);
  const auto cluster = api.get(api_path{"/v1/cluster"});
  check_join(config, cluster);
  const auto groups = cluster.value("partitions", json::array()).size();
  if (groups < 2)
    throw command_failure{exit_code::refused, "the node at " + api.server() + " has no partitions"};
  const auto partitions = static_cast<std::uint16_t>(groups - 1);
  const found_folder found{config.data};
  auto disk = open_folder(config, true);
  const auto folder = begin_joining(*disk, config.cluster.name, config.node, partitions);
  if (!folder)
    fail_membership(folder.error());
  json joined;
  try {
    joined = ask_to_join(api, config, partitions, *folder);
  } catch (const command_failure& why) {
    disk.reset();
    if (is_refusal(why))
      found.leave_as_found();
    throw;
  }
  std::map<std::string, std::string> members;
  for (const auto& one : joined.value("members", json::array()))
    members.emplace(one.value("name", ""), one.value("address", ""));
  if (auto marked = finish_joining(*disk, members); !marked)
    fail_membership(marked.error());
  with.out().document(joined, view::any, with.now());
  with.out().say("`" + config.node +
                 "` is let into the cluster; start it: holdfast serve --config " + options.config +
                 "\n`holdfast node describe " + config.node + "` shows how far it is");
  return exit_code::done;
}

exit_code init_cluster(session& with, const membership_options& options) {
  const auto config = settings_of(options);
  for (const auto& [name, address] : config.cluster.peers)
    if (name != config.node)
      refuse_usage("`cluster.peers` names `" + name +
                   "`: the folder becomes a cluster of one node, which the others then join; write "
                   "`advertise` alone");
  if (!owns_partitions(config.roles))
    refuse_usage(
      "`roles`: the first member of a cluster owns all partitions; give it the role "
      "`worker`, and let a gateway join");
  const auto disk = open_folder(config, false);
  if (auto made =
        make_first_member(*disk, config.cluster.name, config.node, config.cluster.advertise);
      !made)
    fail_membership(made.error());
  with.out().say(
    "the folder " + config.data.string() + " is that of `" + config.node +
    "`, the first member of the cluster `" + config.cluster.name +
    "`\nstart it: holdfast serve --config " + options.config +
    "\nthen, on each other machine: holdfast cluster join --config FILE --address URL");
  return exit_code::done;
}

CLI::App& add_config_option(CLI::App& verb, membership_options& into) {
  verb.add_option("-c,--config", into.config, "the node's settings, as for `serve`")
    ->required()
    ->option_text("FILE");
  return verb;
}

}  // namespace

void add_membership_verbs(command_tree& tree, CLI::App& cluster) {
  auto first = std::make_shared<membership_options>();
  add_config_option(
    tree.verb(cluster, "init",
              "make the stopped folder of a node that was alone the first member of a cluster",
              "holdfast cluster init --config /etc/holdfast/node.yaml",
              [first](session& with) { return init_cluster(with, *first); }),
    *first);
  auto joining = std::make_shared<membership_options>();
  auto& join_verb = add_config_option(
    tree.verb(cluster, "join",
              "let this machine into a running cluster; then start it with `serve`",
              "holdfast cluster join --config /etc/holdfast/node.yaml --address "
              "https://10.0.0.11:7070",
              [joining](session& with) { return join(with, *joining); }),
    *joining);
  join_verb.add_option("--address", joining->address, "any member (default: as --server)")
    ->option_text("URL");
}

}  // namespace holdfast::cli
