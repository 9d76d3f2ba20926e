#include <openssl/ssl.h>

#include "tests/unit/runtime_net/link_fixture.hpp"
#include "tests/unit/runtime_net/raw_socket.hpp"

using namespace holdfast::net;
using namespace holdfast::net::testing;
using namespace std::chrono_literals;

namespace {

struct link_refusal_fixture : link_fixture {
  /// A node `a` that dials `b`, which has these options. What either is told can be looked up.
  struct pair {
    pair(const peer_link::options& a_opts, const peer_link::options& b_opts)
      : a(std::make_unique<link_node>(a_opts)), b(std::make_unique<link_node>(b_opts)) {
      a->start();
      b->start();
      a->link.set_peers({{"b", b->address()}});
    }
    pair(const pair&) = delete;
    pair& operator=(const pair&) = delete;
    ~pair() {
      CHECK(a->ups + b->ups == 0);
      CHECK(a->downs + b->downs == 0);
    }

    std::unique_ptr<link_node> a, b;
  };

  static pair dialling(const peer_link::options& a, const peer_link::options& b) { return {a, b}; }
};

/// A port that answers no SYN, because its backlog is full.
struct black_hole {
  black_hole() : listener(raw_socket::listening(0, port)) {
    const auto address = raw_socket::loopback(port);
    for (int i = 0; i < 8; ++i) {
      filling.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      ::connect(filling.back().fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
  }
  uint16_t port = 0;
  raw_socket listener;
  std::vector<raw_socket> filling;
};

/// A TLS client that shows no certificate. Waits until the other side has ended it.
bool ended_without_certificate(uint16_t port) {
  const auto socket = raw_socket::connect(port);
  const timeval limit{10, 0};
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context{SSL_CTX_new(TLS_client_method()),
                                                             SSL_CTX_free};
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl{SSL_new(context.get()), SSL_free};
  SSL_set_fd(ssl.get(), socket.fd());
  if (SSL_connect(ssl.get()) != 1)
    return true;
  char byte = 0;
  return SSL_read(ssl.get(), &byte, 1) <= 0;
}

}  // namespace

TEST_CASE_FIXTURE(link_refusal_fixture, "peer_link: a certificate of another CA is refused") {
  test_authority other;
  auto stranger = options("b");
  SUBCASE("shown by the peer that was dialled") {
    stranger.tls = tls_of(other, "DNS:b");
    stranger.tls->ca_file = authority.ca_file();
    auto p = dialling(options("a"), stranger);
    CHECK(p.a->hears_refusal("b: b at " + p.b->address() +
                             " presented a certificate of another CA; issue its certificate"));
    CHECK(p.b->hears_refusal("127.0.0.1: 127.0.0.1 does not trust the CA of this node's"));
  }
  SUBCASE("shown by the peer that dialled") {
    auto dialler = options("a");
    dialler.tls = tls_of(other, "DNS:a");
    dialler.tls->ca_file = authority.ca_file();
    auto p = dialling(dialler, options("b"));
    CHECK(p.b->hears_refusal("127.0.0.1 presented a certificate of another CA"));
    CHECK(p.a->hears_refusal(" does not trust the CA of this node's certificate"));
    CHECK(p.a->stats("b").last_failure.find("does not trust the CA") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: an expired certificate is refused, and said so") {
  auto expired = options("b");
  expired.tls = tls_of(authority, "DNS:b", -1);
  auto p = dialling(options("a"), expired);
  CHECK(p.a->hears_refusal("presented a certificate that has expired; renew it there"));
  CHECK(p.b->hears_refusal("says that this node's certificate has expired"));
}

TEST_CASE_FIXTURE(link_refusal_fixture, "peer_link: a certificate of another node is refused") {
  auto impostor = options("b");
  SUBCASE("where it was dialled") {
    impostor.tls = tls_of(authority, "DNS:c,DNS:d", 1, "e");
    auto p = dialling(options("a"), impostor);
    CHECK(p.a->hears_refusal("presented a certificate for c, d, e, not for b; check the address"));
  }
  SUBCASE("where it dials") {
    auto dialler = options("a");
    dialler.tls = tls_of(authority, "DNS:aa,DNS:*");
    auto p = dialling(dialler, impostor);
    CHECK(p.b->hears_refusal("presented a certificate for aa, *, server, not for a"));
    CHECK(p.a->hears_refusal("refuses this node: presented a certificate for aa, *, server"));
  }
}

TEST_CASE_FIXTURE(link_refusal_fixture, "peer_link: a node's name may also be the common name") {
  auto opts = options("a");
  opts.tls = tls_of(authority, "", 1, "a");
  link_node a{opts};
  a.start();
  auto b = node("b");
  b->link.set_peers({{"a", a.address()}});
  CHECK(joined(a, "a", *b, "b"));
}

TEST_CASE_FIXTURE(link_refusal_fixture, "peer_link: no certificate, no connection") {
  auto a = node("a");
  CHECK(ended_without_certificate(a->link.port()));
  CHECK(a->hears_refusal("127.0.0.1 presented no certificate; set its cert_file and key_file"));
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: a node of another cluster is refused, and both say so") {
  auto blue = options("b");
  blue.self.cluster = "blue";
  auto p = dialling(options("a"), blue);
  CHECK(p.b->hears_refusal("node a is of cluster red, node b of cluster blue"));
  CHECK(p.a->hears_refusal("refuses this node: node a is of cluster red, node b of cluster blue"));
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: another node at the address, or this one itself, is found out") {
  auto a = node("a");
  auto plain = options("b");
  SUBCASE("with TLS by its certificate") {
    auto c = node("c");
    a->link.set_peers({{"b", c->address()}});
    CHECK(a->hears_refusal("presented a certificate for c, server, not for b"));
  }
  SUBCASE("a certificate of both: by its name") {
    auto both = options("c");
    both.tls = tls_of(authority, "DNS:b,DNS:c");
    link_node c{both};
    c.start();
    a->link.set_peers({{"b", c.address()}});
    CHECK(a->hears_refusal("node c is at the address given for b; correct the address"));
    CHECK(
      c.hears_refusal("a at 127.0.0.1 refuses this node: node c is at the address given for b"));
    CHECK(c.ups == 0);
  }
  SUBCASE("itself") {
    plain.tls.reset();
    link_node b{plain};
    b.start();
    b.link.set_peers({{"c", b.address()}});
    CHECK(b.hears_refusal("leads back to b itself; correct it"));
  }
  CHECK(a->ups == 0);
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: who is not admitted hears why, whoever dialled") {
  link_node a{options("a")}, b{options("b")};
  bool b_judges = true;
  SUBCASE("the node that was dialled refuses") {}
  SUBCASE("the node that dialled refuses") { b_judges = false; }
  (b_judges ? b : a).admit = [](const link_hello& peer) {
    return "the folder " + peer.folder + " is of an older life of " + peer.node;
  };
  a.start();
  b.start();
  a.link.set_peers({{"b", b.address()}});
  auto& judge = b_judges ? b : a;
  auto& refused = b_judges ? a : b;
  const std::string name = b_judges ? "a" : "b";
  CHECK(judge.hears_refusal("this node refuses it: the folder folder-of-" + name +
                            " is of an older life of " + name));
  CHECK(refused.hears_refusal("refuses this node: the folder folder-of-" + name));
  CHECK(a.ups + b.ups + a.downs + b.downs == 0);
  CHECK(a.removals + b.removals == 0);
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: who is refused for good hears that it was removed, whoever dialled") {
  const std::string long_name(60, 'n');
  link_node gone{options(long_name)}, judge{options("judge")};
  bool judge_dials = true;
  SUBCASE("the node that was dialled refuses") { judge_dials = false; }
  SUBCASE("the node that dialled refuses") {}
  judge.admit = [](const link_hello& peer) {
    return peer.node +
           " was removed from the cluster, and so much is said of it that no header "
           "and no reason of a WebSocket has room for it all, whatever its name";
  };
  judge.for_good = true;
  gone.start();
  judge.start();
  if (judge_dials)
    judge.link.set_peers({{long_name, gone.address()}});
  else
    gone.link.set_peers({{"judge", judge.address()}});
  CHECK(eventually([&] { return gone.removals > 0; }));
  CHECK(judge.removals == 0);
  CHECK(gone.ups + judge.ups == 0);
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: what a stranger says in a request removes nobody") {
  auto opts = options("a");
  opts.tls.reset();
  link_node a{opts};
  a.start();
  const std::string upgrade =
    "GET /holdfast/link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  for (const auto* header :
       {"Holdfast-Link: `a` was removed from the cluster, for good", "Holdfast-Link-Removed: a",
        "Holdfast-Link: 1\r\nHoldfast-Link-Removed: a"}) {
    auto socket = raw_socket::connect(a.link.port());
    socket.send(upgrade + header + "\r\n\r\n");
    CHECK(socket.read_all().substr(0, 12) == "HTTP/1.1 403");
    CHECK_FALSE(a.refused.pop().empty());
  }
  CHECK(a.removals == 0);
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: the same refusal is told once, however often it is tried") {
  std::atomic<int> asked = 0;
  link_node b{options("b")};
  b.admit = [&](const link_hello&) {
    ++asked;
    return std::string{"never"};
  };
  b.start();
  auto a = node("a");
  a->link.set_peers({{"b", b.address()}});
  CHECK(eventually([&] { return asked > 3; }));
  CHECK(a->refused.size() == 1);
  CHECK(b.refused.size() == 1);
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: a node without TLS and one with it do not meet") {
  auto plain = options("a");
  plain.tls.reset();
  SUBCASE("plain dials TLS") {
    auto p = dialling(plain, options("b"));
    CHECK(p.b->hears_refusal("127.0.0.1 sent plain HTTP to the TLS port of the node link"));
    CHECK(eventually(
      [&] { return p.a->stats("b").last_failure.find("does it have tls") != std::string::npos; }));
  }
  SUBCASE("TLS dials plain") {
    auto other = options("b");
    other.tls.reset();
    auto p = dialling(options("a"), other);
    CHECK(p.a->hears_refusal("does not speak TLS 1.3; check the address, and that it has tls too"));
    CHECK(p.b->hears_refusal("127.0.0.1 speaks TLS, but this node has none"));
  }
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: garbage, plain HTTP and silence on the TLS port are ended in time") {
  auto opts = options("a");
  opts.handshake = 300ms;
  link_node a{opts};
  a.start();
  std::vector<raw_socket> silent;
  for (int i = 0; i < 100; ++i)  // more than may wait: the oldest are pushed out
    silent.push_back(raw_socket::connect(a.link.port()));
  auto garbage = raw_socket::connect(a.link.port());
  CHECK(garbage.send(std::string(100'000, '\x16')));
  auto http = raw_socket::connect(a.link.port());
  CHECK(http.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  auto b = node("b");  // gets in meanwhile
  b->link.set_peers({{"a", a.address()}});
  REQUIRE(joined(a, "a", *b, "b"));
  for (auto& socket : silent)
    CHECK(socket.closed_by_peer());
  CHECK(garbage.closed_by_peer());
  CHECK(http.closed_by_peer());
  CHECK(a.link.connected("b"));
  CHECK(a.downs == 0);
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: what is no upgrade of a node is answered and ended") {
  auto opts = options("a");
  opts.tls.reset();
  opts.handshake = 300ms;
  link_node a{opts};
  a.start();
  const auto says = [&](const std::string& request) {
    auto socket = raw_socket::connect(a.link.port());
    socket.send(request);
    return socket.read_all().substr(0, 12);
  };
  const std::string upgrade =
    "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  CHECK(says("GET / HTTP/1.1\r\n" + upgrade + "\r\n") == "HTTP/1.1 404");
  CHECK(says("GET /holdfast/link HTTP/1.1\r\nHost: x\r\n\r\n") == "HTTP/1.1 426");
  CHECK(says("GET /holdfast/link HTTP/1.1\r\n" + upgrade + "\r\n") == "HTTP/1.1 403");
  CHECK(says("GET /holdfast/link HTTP/1.1\r\n" + upgrade + "\r\nand more") == "HTTP/1.1 400");
  CHECK(says("nonsense\r\n\r\n") == "HTTP/1.1 400");
  CHECK(says("GET /holdfast/link HTTP/1.1\r\nX: " + std::string(20'000, 'x')) == "HTTP/1.1 431");
  CHECK(says("GET /holdfast/link HTTP/1.1\r\n").empty());  // never ends: closed in time
  const std::string hello =
    "Holdfast-Link: 1\r\nHoldfast-Cluster: red\r\nHoldfast-Folder: f\r\nHoldfast-Version: 1\r\n"
    "Holdfast-Feature-Oldest: 1\r\nHoldfast-Feature-Newest: 1\r\nHoldfast-Partitions: "
    "1\r\nHoldfast-Run: 1\r\n";
  CHECK(says("GET /holdfast/link HTTP/1.1\r\n" + upgrade + hello +
             "Holdfast-Node: ../x\r\nHoldfast-Window: 1\r\n\r\n") == "HTTP/1.1 403");
  CHECK(says("GET /holdfast/link HTTP/1.1\r\n" + upgrade + hello +
             "Holdfast-Node: b\r\nHoldfast-Window: -1\r\n\r\n") == "HTTP/1.1 403");
  auto stays = raw_socket::connect(a.link.port());  // upgraded, and then no welcome
  stays.send("GET /holdfast/link HTTP/1.1\r\n" + upgrade + hello +
             "Holdfast-Node: b\r\nHoldfast-Window: 1\r\n\r\n");
  CHECK(stays.read_until("\r\n\r\n").substr(0, 12) == "HTTP/1.1 101");
  CHECK(stays.closed_by_peer());
  CHECK(a.ups == 0);
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: an address that accepts and says nothing delays no other peer") {
  auto opts = options("a");
  opts.handshake = 400ms;
  link_node a{opts};
  a.start();
  raw_server mute{[](raw_socket& socket, unsigned) { socket.closed_by_peer(); }};
  auto c = node("c");
  a.link.set_peers({{"b", "127.0.0.1:" + std::to_string(mute.port())},
                    {"c", c->address()},
                    {"d", "no-such-host.invalid:1"},
                    {"e", "not an address"}});
  CHECK(eventually([&] { return a.link.connected("c"); }, 2s));
  CHECK(eventually([&] {
    return a.stats("b").last_failure.find("did not finish the handshake within 400 ms") !=
           std::string::npos;
  }));
  CHECK(eventually(
    [&] { return a.stats("d").last_failure.substr(0, 28) == "d at no-such-host.invalid:1:"; }));
  CHECK(a.hears_refusal("which is not host:port"));
  a.link.stop();
}

TEST_CASE_FIXTURE(
  link_refusal_fixture,
  "peer_link: an address that answers no SYN is given up, and delays no other peer") {
  black_hole hole;
  auto opts = options("a");
  opts.connect = 300ms;
  link_node a{opts};
  a.start();
  auto c = node("c");
  a.link.set_peers({{"b", "127.0.0.1:" + std::to_string(hole.port)}, {"c", c->address()}});
  CHECK(eventually([&] { return a.link.connected("c"); }, 2s));
  CHECK(eventually([&] {
    return a.stats("b").last_failure ==
           "b at 127.0.0.1:" + std::to_string(hole.port) + ": no answer in time";
  }));
}

TEST_CASE_FIXTURE(
  link_refusal_fixture,
  "peer_link: a name that leads to a dead port is tried again until a node is there") {
  auto b = node("b");
  auto opts = options("b");
  opts.port = b->link.port();
  const auto address = "localhost:" + std::to_string(opts.port);
  b = nullptr;
  auto a = node("a");
  a->link.set_peers({{"b", address}});
  CHECK(eventually([&] { return !a->stats("b").last_failure.empty(); }));
  b = std::make_unique<link_node>(opts);
  b->start();
  CHECK(joined(*a, "a", *b, "b"));
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: a peer that falls silent is found, though nothing is sent") {
  auto opts = options("a");
  opts.tls.reset();
  link_node a{opts};
  a.start();
  // A node by hand, without TLS: it says welcome and then nothing at all, not even a pong.
  auto hand = raw_socket::connect(a.link.port());
  hand.send(
    "GET /holdfast/link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Holdfast-Link: 1\r\nHoldfast-Cluster: red\r\nHoldfast-Node: b\r\nHoldfast-Folder: f\r\n"
    "Holdfast-Version: 1\r\nHoldfast-Feature-Oldest: 1\r\nHoldfast-Feature-Newest: "
    "1\r\nHoldfast-Partitions: 1\r\nHoldfast-Run: "
    "1\r\n"
    "Holdfast-Window: 1000000\r\n\r\n");
  hand.read_until("\r\n\r\n");
  hand.send(std::string{"\x82\x85\0\0\0\0w\0\0\0\0", 11});  // masked with 0
  REQUIRE(eventually([&] { return a.link.connected("b"); }));
  const auto since = std::chrono::steady_clock::now();
  CHECK(a.down.pop().find("b: b has said nothing for 1") == 0);
  CHECK(std::chrono::steady_clock::now() - since < 2s);
  CHECK(hand.closed_by_peer());
}

TEST_CASE_FIXTURE(link_refusal_fixture,
                  "peer_link: a peer that sends more than there is room for is ended") {
  auto opts = options("a");
  opts.tls.reset();
  opts.unread_bytes_max = 1'000;
  link_node a{opts};
  std::vector<link_frame> kept;
  a.on_frame = [&](std::string_view, link_frame&& frame) { kept.push_back(std::move(frame)); };
  a.start();
  auto hand = raw_socket::connect(a.link.port());
  hand.send(
    "GET /holdfast/link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Holdfast-Link: 1\r\nHoldfast-Cluster: red\r\nHoldfast-Node: b\r\nHoldfast-Folder: f\r\n"
    "Holdfast-Version: 1\r\nHoldfast-Feature-Oldest: 1\r\nHoldfast-Feature-Newest: "
    "1\r\nHoldfast-Partitions: 1\r\nHoldfast-Run: "
    "1\r\n"
    "Holdfast-Window: 1000000\r\n\r\n");
  hand.read_until("\r\n\r\n");
  hand.send(std::string{"\x82\x85\0\0\0\0w\0\0\0\0", 11});
  for (int i = 0; i < 20; ++i)  // empty frames cost 64 each
    hand.send(std::string{"\x82\x85\0\0\0\0f\0\0\0\0", 11});
  CHECK(a.down.pop() == "b: b sent more than this node had room for");
  a.link.stop();
  CHECK(kept.size() == 16);
}
