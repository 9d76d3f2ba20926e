#include "schemas/node_roles.hpp"

namespace holdfast {

std::vector<std::string_view> names_of(node_roles roles) {
  std::vector<std::string_view> out;
  if (takes_requests(roles))
    out.emplace_back("gateway");
  if (owns_partitions(roles))
    out.emplace_back("worker");
  return out;
}

std::optional<node_roles> parse_node_roles(const std::vector<std::string>& names) {
  bool gateway = false;
  bool worker = false;
  for (const auto& name : names) {
    if (name != "gateway" && name != "worker")
      return std::nullopt;
    gateway = gateway || name == "gateway";
    worker = worker || name == "worker";
  }
  if (!gateway && !worker)
    return std::nullopt;
  return gateway && worker ? node_roles::both : gateway ? node_roles::gateway : node_roles::worker;
}

}  // namespace holdfast
