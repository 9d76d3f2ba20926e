#include "tools/holdfast/cluster_status.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tools/holdfast/display_text.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

const json& array_at(const json& object, const char* field) {
  static const json none = json::array();
  const auto found = object.find(field);
  return found != object.end() && found->is_array() ? *found : none;
}

std::uint64_t number_at(const json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

/// The replica that is furthest behind.
struct lag_of_partition {
  std::uint64_t entries = 0;
  std::string node;
};
lag_of_partition largest_lag(const json& partition) {
  lag_of_partition out;
  for (const auto& replica : array_at(partition, "replicas"))
    if (const auto lag = number_at(replica, "lag"); lag > out.entries)
      out = {lag, text_at(replica, "node")};
  return out;
}

std::string lag_text(const lag_of_partition& lag) {
  return lag.entries == 0 ? "0" : std::to_string(lag.entries) + " (" + printable(lag.node) + ")";
}

table_cell leader_cell(const std::string& leader) {
  return leader.empty() ? table_cell{"none", tint::bad} : table_cell{printable(leader)};
}

/// `0 3 6`, with runs of four and more as `0-8`.
std::string numbers_text(const std::vector<std::uint64_t>& numbers) {
  std::string out;
  for (std::size_t at = 0; at < numbers.size();) {
    std::size_t end = at + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1)
      ++end;
    if (end - at < 4)
      end = at + 1;
    out += (out.empty() ? "" : " ") + std::to_string(numbers[at]);
    if (end - at > 1)
      out += "-" + std::to_string(numbers[end - 1]);
    at = end;
  }
  return out;
}

table by_leader(const json& cluster) {
  struct led {
    std::vector<std::uint64_t> partitions;
    std::uint64_t term_least = UINT64_MAX;
    std::uint64_t term_most = 0;
    lag_of_partition lag;
  };
  std::map<std::string, led> leaders;
  for (const auto& partition : array_at(cluster, "partitions")) {
    auto& one = leaders[text_at(partition, "leader")];
    one.partitions.push_back(number_at(partition, "id"));
    one.term_least = std::min(one.term_least, number_at(partition, "term"));
    one.term_most = std::max(one.term_most, number_at(partition, "term"));
    if (auto lag = largest_lag(partition); lag.entries > one.lag.entries)
      one.lag = std::move(lag);
  }
  table out;
  out.headings = {{"LEADER"}, {"TERM", true}, {"LAG"}, {"PARTITIONS"}};
  for (const auto& [name, one] : leaders) {
    auto terms = std::to_string(one.term_least);
    if (one.term_most != one.term_least)
      terms += "-" + std::to_string(one.term_most);
    out.rows.push_back(
      {leader_cell(name), {terms}, {lag_text(one.lag)}, {numbers_text(one.partitions)}});
  }
  return out;
}

table by_partition(const json& cluster) {
  table out;
  out.headings = {{"PARTITION", true}, {"LEADER"}, {"TERM", true}, {"LAG"}, {"APPLIED"}};
  for (const auto& partition : array_at(cluster, "partitions")) {
    std::string applied;
    for (const auto& replica : array_at(partition, "replicas"))
      applied += (applied.empty() ? "" : ", ") + printable(text_at(replica, "node")) + " " +
                 std::to_string(number_at(replica, "applied"));
    out.rows.push_back({{text_at(partition, "id")},
                        leader_cell(text_at(partition, "leader")),
                        {text_at(partition, "term")},
                        {lag_text(largest_lag(partition))},
                        {applied}});
  }
  return out;
}

std::string names_text(const std::set<std::string>& names) {
  std::string out;
  for (const auto& name : names)
    out += (out.empty() ? "" : ", ") + printable(name);
  return out;
}

std::set<std::string> nodes_down(const json& cluster) {
  std::set<std::string> out;
  for (const auto& node : array_at(cluster, "nodes"))
    if (text_at(node, "state") == "down")
      out.insert(text_at(node, "id"));
  return out;
}

/// Those that can elect a partition's leader.
struct voters_of_partition {
  std::size_t count = 0;
  std::set<std::string> down;
  bool have_majority() const noexcept { return (count - down.size()) * 2 > count; }
};
voters_of_partition voters_of(const json& partition, const std::set<std::string>& down) {
  voters_of_partition out;
  for (const auto& replica : array_at(partition, "replicas")) {
    const auto node = text_at(replica, "node");
    if (!replica.value("votes", true))
      continue;
    ++out.count;
    if (down.contains(node))
      out.down.insert(node);
  }
  return out;
}

/// What to do so that these partitions get leaders.
std::string way_to_leaders(const json& cluster, const std::vector<const json*>& without) {
  const auto down = nodes_down(cluster);
  std::set<std::string> missing;   // of partitions that elect nevertheless,
  std::set<std::string> required;  // and of those that cannot
  bool all_vote = true;
  for (const auto* partition : without) {
    const auto voters = voters_of(*partition, down);
    if (voters.down.empty() || voters.have_majority()) {
      missing.insert(voters.down.begin(), voters.down.end());
      continue;
    }
    required.insert(voters.down.begin(), voters.down.end());
    all_vote = all_vote && voters.count == array_at(cluster, "nodes").size();
  }
  if (!required.empty())
    return "down: " + names_text(required) + "; a majority of " +
           (all_vote ? std::to_string(array_at(cluster, "nodes").size()) + " nodes"
                     : "the nodes that vote in a partition") +
           " must be up: start them again, with their data folders as they are";
  if (!missing.empty())
    return "down: " + names_text(missing) +
           "; the others are a majority and elect within seconds: look again";
  return "an election is under way, or nodes cannot reach each other: look again in a "
         "few seconds, then at the logs for `peer-down` and `peer-refused`";
}

}  // namespace

table partitions_table(const json& cluster, const view_options& options) {
  return options.wide ? by_partition(cluster) : by_leader(cluster);
}

std::vector<std::string> cluster_findings(const json& cluster) {
  std::vector<const json*> without;
  std::vector<std::uint64_t> numbers;
  for (const auto& partition : array_at(cluster, "partitions"))
    if (text_at(partition, "leader").empty()) {
      without.push_back(&partition);
      numbers.push_back(number_at(partition, "id"));
    }
  if (without.empty())
    return {};
  return {(numbers.size() == 1 ? "partition " : "partitions ") + numbers_text(numbers) +
            " without a leader: " + (numbers.size() == 1 ? "its" : "their") + " agents wait",
          way_to_leaders(cluster, without)};
}

std::vector<std::string> membership_notes(const json& cluster) {
  std::vector<std::string> out;
  const auto& partitions = array_at(cluster, "partitions");
  std::string down;
  bool is_told = false;
  for (const auto& node : array_at(cluster, "nodes")) {
    const auto name = printable(text_at(node, "id"));
    const auto membership = text_at(node, "membership");
    const auto in = std::to_string(number_at(node, "replicas")) + " of " +
                    std::to_string(partitions.size()) + " partitions";
    const bool is_down = text_at(node, "state") == "down";
    if (membership == "joining")
      out.push_back(name + " is joining: it has a copy of " + in +
                    (is_down ? "; it is down, and goes on when it is started" : ""));
    else if (membership == "removing")
      out.push_back(name + " is being removed: it has a copy of " + in + " yet");
    else if (is_down)
      down += (down.empty() ? "" : ", ") + name;
    is_told = is_told || membership != "member";
  }
  const auto moving = std::count_if(partitions.begin(), partitions.end(),
                                    [](const auto& one) { return !one.value("settled", true); });
  if (moving != 0 && !is_told)
    out.push_back("votes of " + std::to_string(moving) +
                  (moving == 1 ? " partition" : " partitions") + " are still to be moved" +
                  (down.empty() ? "" : "; that waits for nodes that are down: " + down));
  return out;
}

}  // namespace holdfast::cli
