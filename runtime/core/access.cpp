#include "runtime/core/access.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace holdfast {

namespace {

constexpr std::array role_names{
  std::pair{key_role::viewer, std::string_view{"viewer"}},
  std::pair{key_role::controller, std::string_view{"operator"}},
  std::pair{key_role::developer, std::string_view{"developer"}},
  std::pair{key_role::admin, std::string_view{"admin"}},
};

std::string joined(const auto& words) {
  std::string out;
  for (const auto& word : words)
    out += (out.empty() ? "" : ", ") + std::string{word};
  return out;
}

}  // namespace

std::string_view roles_with(permission needs) noexcept {
  switch (needs) {
    case permission::none:
    case permission::view:
      return "viewer, or any other";
    case permission::control:
      return "operator or admin";
    case permission::develop:
      return "developer or admin";
    case permission::administer:
      return "admin";
  }
  return "admin";
}

std::string_view to_string(key_role role) noexcept {
  for (const auto& [one, name] : role_names)
    if (one == role)
      return name;
  return "viewer";
}

std::optional<key_role> key_role_of(std::string_view name) noexcept {
  for (const auto& [one, known] : role_names)
    if (known == name)
      return one;
  return std::nullopt;
}

std::vector<std::string_view> names_of(const key_roles& roles) {
  std::vector<std::string_view> out;
  for (const auto& [one, name] : role_names)
    if (roles.has(one))
      out.push_back(name);
  return out;
}

bool type_scope::contains(std::string_view type) const noexcept {
  return types.empty() || std::find(types.begin(), types.end(), type) != types.end();
}

std::shared_ptr<const principal> local_principal() {
  static const auto local = [] {
    principal out;
    out.name = "local";
    out.roles.add(key_role::admin);
    return std::make_shared<const principal>(std::move(out));
  }();
  return local;
}

bool is_reading(std::string_view method) noexcept { return method == "GET" || method == "HEAD"; }

permission needed(const access_rule& rule, std::string_view method, bool any_method) noexcept {
  return any_method && is_reading(method) ? rule.to_read : rule.needs;
}

call_effect effect_of(const access_rule& rule, std::string_view method, bool any_method) noexcept {
  return any_method && is_reading(method) ? call_effect::reads : rule.effect;
}

bool allows(const key_roles& roles, permission needs) noexcept {
  switch (needs) {
    case permission::none:
      return true;
    case permission::view:
      return !roles.empty();
    case permission::control:
      return roles.has(key_role::controller) || roles.has(key_role::admin);
    case permission::develop:
      return roles.has(key_role::developer) || roles.has(key_role::admin);
    case permission::administer:
      return roles.has(key_role::admin);
  }
  return false;
}

status check_permission(const principal& who, permission needs, std::string_view method,
                        std::string_view route) {
  if (allows(who.roles, needs))
    return ok_status();
  return error{errc::forbidden, std::string{method} + " " + std::string{route} +
                                  " needs the role " + std::string{roles_with(needs)} +
                                  "; the key `" + who.name + "` has " +
                                  joined(names_of(who.roles))};
}

status check_type(const principal& who, std::string_view type) {
  if (who.scope.contains(type))
    return ok_status();
  return error{errc::forbidden, "the key `" + who.name + "` is for agents of type " +
                                  joined(who.scope.types) + ", and not of this one"};
}

status check_every_type(const principal& who) {
  if (who.scope.is_all())
    return ok_status();
  return error{errc::forbidden, "this is about agents of every type; the key `" + who.name +
                                  "` is for type " + joined(who.scope.types) +
                                  ", and a key for types \"*\" is needed"};
}

}  // namespace holdfast
