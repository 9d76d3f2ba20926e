#include "runtime/net/link_trial.hpp"

#include "tests/unit/runtime_net/link_fixture.hpp"
#include "tests/unit/runtime_net/raw_socket.hpp"

using namespace holdfast::net;
using namespace holdfast::net::testing;

namespace {

using outcome = link_trial::outcome;

struct link_trial_fixture : link_fixture {
  link_trial_fixture() {
    member.admit = [](const link_hello&) { return std::string{"it is no member"}; };
    member.start();
  }
  ~link_trial_fixture() { CHECK(member.ups == 0); }

  link_trial try_member(const peer_link::options& opts) {
    return try_links(opts, {{"b", member.address()}}).at("b");
  }

  link_node member{options("b")};
};

bool says(const link_trial& trial, const std::string& text) {
  const bool found = trial.why.find(text) != std::string::npos;
  if (!found)
    MESSAGE("instead of '" << text << "': " << trial.why);
  return found;
}

}  // namespace

TEST_CASE_FIXTURE(link_trial_fixture,
                  "link_trial: who is believed need be no member, and nobody hears of it") {
  for (int i = 0; i < 3; ++i) {
    const auto trial = try_member(options("x"));
    CHECK(trial.result == outcome::believed);
    CHECK(trial.why.empty());
  }
  CHECK(member.refused.size() == 0);
}

TEST_CASE_FIXTURE(link_trial_fixture,
                  "link_trial: a certificate that either side does not believe") {
  test_authority other;
  auto stranger = options("x");
  SUBCASE("ours is of another CA") {
    stranger.tls = tls_of(other, "DNS:x");
    stranger.tls->ca_file = authority.ca_file();
    const auto trial = try_member(stranger);
    CHECK(trial.result == outcome::refused);
    CHECK(says(trial, "does not trust the CA of this node's certificate"));
    CHECK(member.hears_refusal("presented a certificate of another CA"));
  }
  SUBCASE("theirs is of another CA") {
    stranger.tls->ca_file = other.ca_file();
    const auto trial = try_member(stranger);
    CHECK(trial.result == outcome::refused);
    CHECK(says(trial, "b at " + member.address() + " presented a certificate of another CA"));
  }
  SUBCASE("ours is of another node") {
    stranger.tls = tls_of(authority, "DNS:y");
    const auto trial = try_member(stranger);
    CHECK(trial.result == outcome::refused);
    CHECK(says(trial, "refuses this node: presented a certificate for y, server, not for x"));
  }
  SUBCASE("theirs is of another node") {
    const auto trial = try_links(options("x"), {{"c", member.address()}}).at("c");
    CHECK(trial.result == outcome::refused);
    CHECK(says(trial, "presented a certificate for b, server, not for c"));
  }
  SUBCASE("ours cannot be read") {
    stranger.tls->key_file += ".gone";
    const auto trial = try_member(stranger);
    CHECK(trial.result == outcome::refused);
    CHECK(says(trial, "key_file"));
  }
  SUBCASE("we have none") {
    stranger.tls = std::nullopt;
    CHECK(try_member(stranger).result == outcome::unreachable);
  }
}

TEST_CASE_FIXTURE(link_trial_fixture, "link_trial: another cluster, and a name that is taken") {
  auto stranger = options("x");
  stranger.self.cluster = "blue";
  CHECK(says(try_member(stranger), "is of cluster blue"));
  CHECK(
    says(try_links(options("b"), {{"b", member.address()}}).at("b"), "two nodes have the name b"));
}

TEST_CASE_FIXTURE(link_trial_fixture, "link_trial: nobody there, and somebody who says nothing") {
  std::uint16_t silent_port = 0;
  const auto silent = raw_socket::listening(8, silent_port);
  auto opts = options("x");
  opts.handshake = std::chrono::milliseconds{100};
  const auto trials = try_links(opts, {{"b", member.address()},
                                       {"c", "127.0.0.1:1"},
                                       {"d", "127.0.0.1:" + std::to_string(silent_port)},
                                       {"e", "nowhere"}});
  CHECK(trials.at("b").result == outcome::believed);
  CHECK(trials.at("c").result == outcome::unreachable);
  CHECK(says(trials.at("c"), "c at 127.0.0.1:1: Connection refused"));
  CHECK(trials.at("d").result == outcome::unreachable);
  CHECK(says(trials.at("d"), "did not finish the handshake within 100 ms"));
  CHECK(says(trials.at("e"), "not host:port"));
  CHECK(try_links(opts, {}).empty());
}
