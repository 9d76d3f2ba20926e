#pragma once
// Who may do what: roles, agent types, and what a call asks for. Pure.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/ids.hpp"

namespace holdfast {

/// A bit each: a key has one or more.
enum class key_role : std::uint8_t { viewer = 1, controller = 2, developer = 4, admin = 8 };
/// `viewer`, `operator`, `developer`, `admin`.
std::string_view to_string(key_role role) noexcept;
std::optional<key_role> key_role_of(std::string_view name) noexcept;

struct key_roles {
  std::uint8_t bits = 0;
  bool has(key_role role) const noexcept { return (bits & static_cast<std::uint8_t>(role)) != 0; }
  void add(key_role role) noexcept { bits |= static_cast<std::uint8_t>(role); }
  bool empty() const noexcept { return bits == 0; }
  bool operator==(const key_roles&) const = default;
};
/// The names, in the order of the enum.
std::vector<std::string_view> names_of(const key_roles& roles);

/// The agent types that a key is for; none: every type.
struct type_scope {
  std::vector<std::string> types;
  bool is_all() const noexcept { return types.empty(); }
  bool contains(std::string_view type) const noexcept;
  bool operator==(const type_scope&) const = default;
};

/// Who asks, as its key says. Immutable once it is handed out.
struct principal {
  std::string name;
  key_roles roles;
  type_scope scope;
  std::optional<time_us> expires;
  bool operator==(const principal&) const = default;
};

/// Who asks where no key is asked for: on loopback, the owner of the machine.
std::shared_ptr<const principal> local_principal();

/// What a call asks of a key.
enum class permission : std::uint8_t {
  none = 1,    ///< no key at all
  view,        ///< every role
  control,     ///< operator, admin: verbs, reconcile, dead letters
  develop,     ///< developer, admin: events, definitions, types
  administer,  ///< admin: keys, the audit log, the cluster
};

/// Which agent types a call is about.
enum class type_rule : std::uint8_t {
  nothing = 1,  ///< nothing of any agent
  path,         ///< the first parameter of the path
  found,        ///< that of what it finds: the handler leaves out, or refuses, what is not in scope
  every,        ///< all of them: only for keys without a scope
};

/// What a call leaves behind.
enum class call_effect : std::uint8_t {
  reads = 1,
  delivers,  ///< an event: the journal names its sender; only a refusal by authorisation is audited
  acts,      ///< audited
};

/// What a route asks for. Has no default, so that no route can be without one.
struct access_rule {
  permission needs;
  type_rule types;
  call_effect effect;
  /// Of a route for any method: what reading through it needs.
  permission to_read;

  constexpr access_rule(permission n, type_rule t, call_effect e,
                        permission r = permission::view) noexcept
    : needs(n), types(t), effect(e), to_read(r) {}
};

/// Reading methods change nothing, whatever the route is.
bool is_reading(std::string_view method) noexcept;

/// What the call asks for with this method. `any_method`: the route takes every method.
permission needed(const access_rule& rule, std::string_view method, bool any_method) noexcept;
call_effect effect_of(const access_rule& rule, std::string_view method, bool any_method) noexcept;

bool allows(const key_roles& roles, permission needs) noexcept;
/// The roles that it comes with, as text: `operator or admin`.
std::string_view roles_with(permission needs) noexcept;

/// Errors: `forbidden`, saying which role is missing.
status check_permission(const principal& who, permission needs, std::string_view method,
                        std::string_view route);
/// Errors: `forbidden`, saying which type the key is not for.
status check_type(const principal& who, std::string_view type);
/// Errors: `forbidden` for a key with a scope.
status check_every_type(const principal& who);

/// Who sent an event, for the journal and for the shard that routes it.
struct event_sender {
  std::string by;    ///< empty: no key was asked for
  type_scope scope;  ///< an event that agents of other types want too is refused
};

}  // namespace holdfast
