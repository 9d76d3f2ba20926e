#include "runtime/net/peer_link.hpp"

#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

#include "tests/unit/runtime_net/link_fixture.hpp"

using namespace holdfast::net;
using namespace holdfast::net::testing;
using namespace std::chrono_literals;

TEST_CASE_FIXTURE(link_fixture, "peer_link: two nodes meet, and each knows who the other is") {
  auto a = node("a"), b = node("b");
  a->link.set_peers({{"b", b->address()}, {"a", a->address()}});
  REQUIRE(joined(*a, "a", *b, "b"));
  CHECK(a->hellos.pop() == link_hello{"red", "b", "folder-of-b", "1.0", 2, 3});
  CHECK(b->hellos.pop() == link_hello{"red", "a", "folder-of-a", "1.0", 2, 3});
  CHECK(a->link.send("b", "to b"));
  CHECK(b->frames.pop() == "to b");
  CHECK(b->link.send("a", std::string{}));
  CHECK(b->link.send("a", "to a"));
  CHECK(a->frames.pop() == "");
  CHECK(a->frames.pop() == "to a");
  CHECK_FALSE(a->link.send("c", "nobody"));
  CHECK(a->stats("b").connected);
  CHECK(a->stats("b").frames_in == 2);
  CHECK(eventually([&] { return a->stats("b").queued_bytes == 0; }));
  CHECK(eventually([&] { return a->stats("b").frames_out == 1; }));
}

TEST_CASE_FIXTURE(link_fixture, "peer_link: without TLS it works on loopback addresses only") {
  auto opts = options("a");
  opts.tls.reset();
  link_node a{opts};
  a.start();
  opts.self.node = "b";
  link_node b{opts};
  b.start();
  b.link.set_peers({{"a", a.address()}, {"c", "10.255.255.1:7071"}});
  REQUIRE(joined(a, "a", b, "b"));
  CHECK(b.link.send("a", "plain"));
  CHECK(a.frames.pop() == "plain");
  CHECK(eventually(
    [&] { return b.stats("c").last_failure.find("only loopback") != std::string::npos; }));
  opts.address = "0.0.0.0";
  peer_link open{opts};
  const auto status = open.start({});
  CHECK(status.failure == link_failure::bad_options);
  CHECK(status.detail.find("needs tls") != std::string::npos);
}

TEST_CASE_FIXTURE(link_fixture, "peer_link: 100,000 small frames each way arrive in order") {
  constexpr uint64_t count = 100'000;
  std::atomic<uint64_t> next_at_a = 0, next_at_b = 0, wrong = 0;
  link_node a{options("a")}, b{options("b")};
  const auto checking = [&wrong](std::atomic<uint64_t>& next) {
    return [&wrong, &next](std::string_view, link_frame&& frame) {
      const uint64_t n = next;
      if (frame.bytes != numbered(n, n % 100))
        ++wrong;
      next = n + 1;
    };
  };
  a.on_frame = checking(next_at_a);
  b.on_frame = checking(next_at_b);
  a.start();
  b.start();
  a.link.set_peers({{"b", b.address()}});
  REQUIRE(joined(a, "a", b, "b"));
  std::atomic<bool> sent_by_b = true;
  std::thread other{[&] {
    for (uint64_t i = 0; i < count && sent_by_b; ++i)
      sent_by_b = send_when_possible(b.link, "a", numbered(i, i % 100));
  }};
  bool sent_by_a = true;
  for (uint64_t i = 0; i < count && sent_by_a; ++i)
    sent_by_a = send_when_possible(a.link, "b", numbered(i, i % 100));
  other.join();
  CHECK(sent_by_a);
  CHECK(sent_by_b);
  CHECK(eventually([&] { return next_at_a == count && next_at_b == count; }));
  CHECK(wrong == 0);
  CHECK(a.downs_said() + b.downs_said() == "");
  CHECK(a.stats("b").frames_out == count);
  CHECK(a.stats("b").writes < count / 2);  // coalesced
}

TEST_CASE_FIXTURE(link_fixture, "peer_link: frames of 10 MB arrive whole, small ones between") {
  auto a = node("a"), b = node("b");
  a->link.set_peers({{"b", b->address()}});
  REQUIRE(joined(*a, "a", *b, "b"));
  for (uint64_t i = 0; i < 4; ++i) {
    for (auto* from : {a.get(), b.get()}) {
      const std::string to = from == a.get() ? "b" : "a";
      CHECK(send_when_possible(from->link, to, numbered(i, 10'000'000 + i)));
      CHECK(send_when_possible(from->link, to, numbered(i, 20)));
    }
  }
  for (uint64_t i = 0; i < 4; ++i)
    for (auto* at : {a.get(), b.get()}) {
      CHECK((at->frames.pop() == numbered(i, 10'000'000 + i)));  // not printed
      CHECK((at->frames.pop() == numbered(i, 20)));
    }
  CHECK(a->downs_said() + b->downs_said() == "");
}

TEST_CASE_FIXTURE(link_fixture, "peer_link: when both dial, one connection survives unseen") {
  for (int round = 0; round < 10; ++round) {
    auto a = node("a"), b = node("b");
    a->link.set_peers({{"b", b->address()}});
    b->link.set_peers({{"a", a->address()}});
    REQUIRE(joined(*a, "a", *b, "b"));
    for (int i = 0; i < 50; ++i) {
      CHECK(a->link.send("b", std::to_string(i)));
      CHECK(b->frames.pop() == std::to_string(i));
    }
    CHECK(a->ups == 1);
    CHECK(b->ups == 1);
    CHECK(a->downs + b->downs == 0);
    CHECK(a->refused.size() + b->refused.size() == 0);
  }
}

TEST_CASE_FIXTURE(link_fixture, "peer_link: three nodes that all dial have a connection per pair") {
  std::map<std::string, std::unique_ptr<link_node>> nodes;
  std::map<std::string, std::string> addresses;
  for (const std::string name : {"n1", "n2", "n3"}) {
    nodes[name] = node(name);
    addresses[name] = nodes[name]->address();
  }
  for (auto& [name, n] : nodes)
    n->link.set_peers(addresses);
  for (auto& [name, n] : nodes)
    REQUIRE(eventually([&] { return n->ups == 2; }));
  for (auto& [name, n] : nodes)
    for (auto& [other, address] : addresses)
      if (other != name)
        CHECK(n->link.send(other, name));
  for (auto& [name, n] : nodes) {
    CHECK(n->frames.wait_for_size(2));
    CHECK(n->downs == 0);
  }
}

TEST_CASE_FIXTURE(link_fixture, "peer_link: a peer that restarts is found again") {
  auto a = node("a"), b = node("b");
  const auto port = b->link.port();
  a->link.set_peers({{"b", b->address()}});
  REQUIRE(joined(*a, "a", *b, "b"));
  b = nullptr;
  CHECK(a->down.pop() == "b: b closed the connection");
  CHECK_FALSE(a->link.connected("b"));
  CHECK_FALSE(a->link.send("b", "too late"));
  auto opts = options("b");
  opts.port = port;
  b = std::make_unique<link_node>(opts);
  b->start();
  REQUIRE(eventually([&] { return a->ups == 2 && b->ups == 1; }));
  CHECK(a->link.send("b", "again"));
  CHECK(b->frames.pop() == "again");
  CHECK(a->stats("b").connects == 2);
}

TEST_CASE_FIXTURE(link_fixture,
                  "peer_link: a peer that is removed is closed, one that is added dialled") {
  auto a = node("a"), b = node("b"), c = node("c");
  a->link.set_peers({{"b", b->address()}});
  REQUIRE(joined(*a, "a", *b, "b"));
  a->link.set_peers({{"c", c->address()}});
  CHECK(b->down.pop() == "a: a closed the connection: b is not a peer of a any more");
  CHECK(a->down.pop() == "b: b is not a peer of a any more");
  CHECK(eventually([&] { return a->link.connected("c"); }));
  CHECK_FALSE(a->link.stats().contains("b"));
  a->link.set_peers({});
  CHECK(eventually([&] { return !a->link.connected("c") && a->link.stats().empty(); }));
}

TEST_CASE_FIXTURE(link_fixture,
                  "peer_link: sending stops at the queue's bound when the peer's application "
                  "stalls, and goes on when it lets go") {
  auto opts = options("a");
  opts.queue_bytes_max = 1 << 20;
  link_node a{opts};
  auto other = options("b");
  other.unread_bytes_max = 512 << 10;
  other.ping = 50ms;
  other.silent_max = 400ms;
  link_node b{other};
  std::mutex mutex;
  std::vector<link_frame> stalled;
  std::atomic<bool> keep = true;
  std::atomic<uint64_t> received = 0;
  b.on_frame = [&](std::string_view, link_frame&& frame) {
    ++received;
    std::lock_guard lock{mutex};
    if (keep)
      stalled.push_back(std::move(frame));
  };
  a.start();
  b.start();
  a.link.set_peers({{"b", b.address()}});
  REQUIRE(joined(a, "a", b, "b"));
  constexpr size_t size = 1'000;
  uint64_t sent = 0;
  const auto end = std::chrono::steady_clock::now() + wait_limit;
  const auto full = [&] {  // twice, with the link's thread given the time to take what it may
    while (a.link.send("b", std::string(size, 'x')))
      ++sent;
    return b.stats("a").unread_bytes >= other.unread_bytes_max &&
           a.stats("b").queued_bytes + size + 64 > opts.queue_bytes_max;
  };
  REQUIRE(eventually(full));
  CHECK(std::chrono::steady_clock::now() < end);
  CHECK(a.stats("b").refused_sends > 0);
  CHECK(a.stats("b").queued_bytes <= opts.queue_bytes_max);
  CHECK(b.stats("a").unread_bytes <= other.unread_bytes_max + size + 64);
  // Longer than a silent peer would be borne: it still answers.
  const auto until = std::chrono::steady_clock::now() + 2 * other.silent_max;
  CHECK(eventually([&] { return std::chrono::steady_clock::now() > until; }));
  CHECK(a.downs_said() + b.downs_said() == "");
  CHECK(b.link.send("a", "the other way is open"));
  CHECK(a.frames.pop() == "the other way is open");
  {
    std::lock_guard lock{mutex};
    keep = false;
    stalled.clear();
  }
  CHECK(eventually([&] { return received == sent; }));
  CHECK(eventually([&] { return b.stats("a").unread_bytes == 0; }));
  CHECK(send_when_possible(a.link, "b", std::string(size, 'x')));
}

TEST_CASE_FIXTURE(link_fixture, "peer_link: a frame may be held longer than the link lives") {
  channel<std::shared_ptr<void>> held;
  {
    link_node b{options("b")};
    b.on_frame = [&](std::string_view, link_frame&& frame) { held.push(std::move(frame.held)); };
    b.start();
    auto a = node("a");
    a->link.set_peers({{"b", b.address()}});
    REQUIRE(joined(*a, "a", b, "b"));
    CHECK(a->link.send("b", std::string(5'000'000, 'x')));
    CHECK(held.wait_for_size(1));
  }
  CHECK(held.pop() != nullptr);
}

TEST_CASE_FIXTURE(link_fixture,
                  "peer_link: a frame over the limit is not sent, and one received ends the "
                  "connection with the reason") {
  auto opts = options("b");
  opts.frame_bytes_max = 1'000;
  link_node b{opts};
  b.start();
  auto a = node("a");
  a->link.set_peers({{"b", b.address()}});
  REQUIRE(joined(*a, "a", b, "b"));
  CHECK_FALSE(b.link.send("a", std::string(1'001, 'x')));
  CHECK(a->link.send("b", std::string(1'000, 'x')));
  CHECK(b.frames.pop().size() == 1'000);
  CHECK(a->link.send("b", std::string(1'001, 'x')));
  CHECK(
    b.down.pop() ==
    "a: a sent a frame of 1001 bytes, over the limit of 1000; set the same limits on every node");
  CHECK(a->down.pop().find("a frame of 1001 bytes, over the limit of 1000") != std::string::npos);
}

TEST_CASE_FIXTURE(link_fixture, "peer_link: it stops while both sides send with all their might") {
  auto a = node("a");
  link_node b{options("b")};
  b.on_frame = [](std::string_view, link_frame&&) {};
  b.start();
  a->link.set_peers({{"b", b.address()}});
  b.link.set_peers({{"a", a->address()}});
  REQUIRE(joined(*a, "a", b, "b"));
  std::atomic<bool> enough = false;
  std::vector<std::thread> senders;
  for (int i = 0; i < 2; ++i)
    senders.emplace_back([&] {
      while (!enough) {
        a->link.send("b", std::string(3'000, 'x'));
        b.link.send("a", std::string(300, 'x'));
      }
    });
  CHECK(eventually([&] { return b.stats("a").frames_in > 1'000; }));
  b.link.stop();
  CHECK_FALSE(b.link.send("a", "x"));
  CHECK(a->down.pop().substr(0, 2) == "b:");
  a->link.stop();
  enough = true;
  for (auto& sender : senders)
    sender.join();
  CHECK(b.downs == 0);
}

TEST_CASE_FIXTURE(link_fixture, "peer_link: callbacks may send and set peers") {
  auto c = node("c");
  link_node a{options("a")};
  a.on_frame = [&](std::string_view from, link_frame&& frame) {
    a.link.send(from, "echo " + frame.bytes);
    a.link.set_peers({{"c", c->address()}});
  };
  a.start();
  auto b = node("b");
  b->link.set_peers({{"a", a.address()}});
  REQUIRE(joined(a, "a", *b, "b"));
  CHECK(b->link.send("a", "x"));
  CHECK(b->frames.pop() == "echo x");
  CHECK(eventually([&] { return a.link.connected("c"); }));
  CHECK(a.link.connected("b"));  // it was never in the set, and came by itself
}

TEST_CASE_FIXTURE(link_fixture,
                  "peer_link: new certificate files count from the next handshake on") {
  auto opts = options("n2");
  const auto right = *opts.tls;
  const auto other = tls_of(authority, "DNS:other", 3);
  const auto put = [&](const link_tls& files) {
    const auto over = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(files.cert_file, opts.tls->cert_file, over);
    std::filesystem::copy_file(files.key_file, opts.tls->key_file, over);
  };
  opts.tls->cert_file += ".used";
  opts.tls->key_file += ".used";
  put(other);
  link_node n2{opts};
  CHECK_FALSE(n2.link.certificate_expires_s());
  n2.start();
  const auto expires = n2.link.certificate_expires_s();
  REQUIRE(expires);
  auto n1 = node("n1");
  n1->link.set_peers({{"n2", n2.address()}});
  CHECK(n1->hears_refusal("other"));

  std::ofstream{opts.tls->key_file} << "not a key";
  const auto broken = n2.link.reload_tls();
  CHECK(broken.failure == link_failure::tls);
  CHECK(broken.detail.find(opts.tls->key_file) != std::string::npos);
  CHECK_FALSE(n1->link.connected("n2"));
  CHECK(n2.link.certificate_expires_s() == expires);

  put(right);
  CHECK(n2.link.reload_tls());
  CHECK(*n2.link.certificate_expires_s() < *expires);
  CHECK(joined(*n1, "n1", n2, "n2"));
  put(other);
  CHECK(n2.link.reload_tls());
  const auto before = n2.frames.size();
  CHECK(n1->link.send("n2", "still there"));
  CHECK(eventually([&] { return n2.frames.size() > before; }));
}

TEST_CASE_FIXTURE(link_fixture, "peer_link: options and files that cannot work are said at start") {
  const auto failure = [](const peer_link::options& opts) {
    peer_link link{opts};
    return link.start({});
  };
  auto opts = options("a");
  opts.self.node = "no such name";
  CHECK(failure(opts).failure == link_failure::bad_options);
  opts = options("a");
  opts.silent_max = opts.ping;
  CHECK(failure(opts).failure == link_failure::bad_options);
  opts = options("a");
  opts.address = "localhost";
  CHECK(failure(opts).failure == link_failure::bad_address);
  opts = options("a");
  opts.tls->ca_file = "/nonexistent.pem";
  CHECK(failure(opts).detail.find("ca_file /nonexistent.pem") == 0);
  opts = options("a");
  opts.tls->key_file = options("b").tls->key_file;
  CHECK(failure(opts).failure == link_failure::tls);
  CHECK(failure(opts).detail.find("key_file") == 0);
  auto taken = node("b");
  opts = options("a");
  opts.port = taken->link.port();
  CHECK(failure(opts).failure == link_failure::in_use);
}
