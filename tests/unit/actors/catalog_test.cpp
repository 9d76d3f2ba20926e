#include "runtime/definition/compilers.hpp"
#include "tests/unit/actors/actor_fixture.hpp"

using namespace holdfast;

namespace {

definition_applied greeter(const std::string& says) {
  return {
    "agent", "greeter", 0,
    R"({"behaviour":"native","description":")" + says + R"(","kind":"agent","type":"greeter"})",
    "test"};
}

/// A catalogue's owner beside the shard of the fixture.
struct catalog_fixture : actor_fixture {
  catalog_actor owner;

  catalog_fixture() {
    services->compile_with = standard_compilers();
    REQUIRE(log.lead(catalog_group));
    settle();
  }
  ~catalog_fixture() override { caf::anon_send_exit(owner, caf::exit_reason::kill); }

  void leading(group_id group, std::uint64_t term) override {
    if (group != catalog_group)
      return actor_fixture::leading(group, term);
    owner = spawn_catalog(system, services, term);
  }
  void committed(group_id group, std::uint64_t term, std::uint64_t index,
                 std::vector<std::shared_ptr<const turn_record>> records) override {
    if (group != catalog_group)
      return actor_fixture::committed(group, term, index, std::move(records));
    caf::anon_send(owner, atom::commit_v, committed_group{index, std::move(records)});
  }
  std::shared_ptr<const catalog> read() const {
    auto known = load_catalog(disk, services->compile_with);
    REQUIRE(known);
    return *known;
  }
  void define(const std::string& says) {
    caf::anon_send(owner, atom::define_v, definition_request{{greeter(says)}, false, {1, 1}, {}});
    settle();
  }
};

}  // namespace

TEST_CASE("catalog_view: a newer catalogue stays when an older one comes late") {
  catalog_view view;
  auto older = std::make_shared<catalog>();
  older->index = 1;
  auto newer = std::make_shared<catalog>();
  newer->index = 2;
  view.set(newer);
  view.set(older);
  CHECK(view.get() == newer);
  auto newest = std::make_shared<catalog>();
  newest->index = 3;
  view.set(newest);
  CHECK(view.get() == newest);
}

TEST_CASE_FIXTURE(catalog_fixture,
                  "catalog: what is read from the disk is as new as what was published of it") {
  const auto before = read();
  caf::anon_send(owner, atom::cut_v, std::uint64_t{1});  // an entry without a definition
  settle();
  define("Hello.");
  const auto once = definitions.get();
  CHECK(once->index > before->index);
  CHECK(read()->index == once->index);
  define("Hello.");  // changes nothing
  CHECK(definitions.get()->index == once->index);
  define("Good day.");
  CHECK(definitions.get()->index > once->index);
  CHECK(read()->index == definitions.get()->index);
  definitions.set(once);  // read long ago, put in place late
  CHECK(definitions.get()->agent("greeter")->def.version == 2);
}
