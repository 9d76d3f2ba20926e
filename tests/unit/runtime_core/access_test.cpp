#include <doctest/doctest.h>

#include "runtime/core/access.hpp"

using namespace holdfast;

namespace {

principal key(std::initializer_list<key_role> roles, std::vector<std::string> types = {}) {
  principal out;
  out.name = "k";
  for (const auto role : roles)
    out.roles.add(role);
  out.scope.types = std::move(types);
  return out;
}

}  // namespace

TEST_CASE("access: a role allows what it is for and nothing else") {
  struct row {
    key_role role;
    bool view, control, develop, administer;
  };
  for (const auto& [role, view, control, develop, administer] :
       {row{key_role::viewer, true, false, false, false},
        row{key_role::controller, true, true, false, false},
        row{key_role::developer, true, false, true, false},
        row{key_role::admin, true, true, true, true}}) {
    CAPTURE(to_string(role));
    const auto who = key({role});
    CHECK(allows(who.roles, permission::none));
    CHECK(allows(who.roles, permission::view) == view);
    CHECK(allows(who.roles, permission::control) == control);
    CHECK(allows(who.roles, permission::develop) == develop);
    CHECK(allows(who.roles, permission::administer) == administer);
  }
  const auto both = key({key_role::controller, key_role::developer});
  CHECK(allows(both.roles, permission::control));
  CHECK(allows(both.roles, permission::develop));
  CHECK_FALSE(allows(both.roles, permission::administer));
  CHECK(allows({}, permission::none));
  CHECK_FALSE(allows({}, permission::view));
}

TEST_CASE("access: a refusal says which role is missing, and who asked") {
  const auto who = key({key_role::viewer});
  CHECK(check_permission(who, permission::view, "GET", "/v1/runs"));
  const auto refused = check_permission(who, permission::control, "POST", "/v1/runs/{id}/cancel");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::forbidden);
  CHECK(refused.error().context ==
        "POST /v1/runs/{id}/cancel needs the role operator or admin; the key `k` has viewer");
}

TEST_CASE("access: a scope is exact, and an empty one is everything") {
  const auto all = key({key_role::viewer});
  CHECK(check_type(all, "support"));
  CHECK(check_every_type(all));
  const auto scoped = key({key_role::admin}, {"support", "billing"});
  CHECK(check_type(scoped, "support"));
  CHECK(check_type(scoped, "billing"));
  for (const auto* other : {"", "suppor", "supports", "Support", "*", "support/"})
    CHECK_FALSE(check_type(scoped, other));
  CHECK_FALSE(check_type(scoped, std::string_view("support\0", 8)));
  CHECK(check_type(scoped, "echo").error().code == errc::forbidden);
  CHECK_FALSE(check_every_type(scoped));
}

TEST_CASE("access: names of roles go both ways") {
  for (const auto role :
       {key_role::viewer, key_role::controller, key_role::developer, key_role::admin})
    CHECK(key_role_of(to_string(role)) == role);
  CHECK(to_string(key_role::controller) == "operator");
  CHECK_FALSE(key_role_of("root"));
  CHECK_FALSE(key_role_of(""));
}

TEST_CASE("access: only a route for any method is read with another permission") {
  constexpr access_rule any{permission::control, type_rule::every, call_effect::acts};
  CHECK(needed(any, "GET", true) == permission::view);
  CHECK(needed(any, "HEAD", true) == permission::view);
  CHECK(needed(any, "POST", true) == permission::control);
  CHECK(needed(any, "GET", false) == permission::control);
  CHECK(effect_of(any, "GET", true) == call_effect::reads);
  CHECK(effect_of(any, "DELETE", true) == call_effect::acts);
}

TEST_CASE("access: who is on the machine itself may do everything") {
  CHECK(local_principal()->name == "local");
  CHECK(allows(local_principal()->roles, permission::administer));
  CHECK(check_every_type(*local_principal()));
}
