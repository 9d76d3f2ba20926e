#include "tools/holdfast/service_manager.hpp"

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/tools/fake_server.hpp"

using namespace holdfast;
using namespace std::chrono_literals;

namespace {

/// Takes connections, as a kernel does for a process that is stuck, and nothing else.
struct stuck_server {
  int file = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port = 0;
  stuck_server() {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(file, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(file, 8) == 0);
    REQUIRE(::getsockname(file, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    port = ntohs(at.sin_port);
  }
  ~stuck_server() { ::close(file); }
  stuck_server(const stuck_server&) = delete;
  stuck_server& operator=(const stuck_server&) = delete;
};

}  // namespace

TEST_CASE("watchdog: a server that answers reacts, whatever its answer is") {
  const test::fake_server server{test::always(test::problem(503, "draining", "later"))};
  const auto port =
    static_cast<std::uint16_t>(std::stoul(server.url().substr(server.url().rfind(':') + 1)));
  CHECK(reacts("127.0.0.1", port, 5s));
  CHECK(reacts("localhost", port, 5s));
  CHECK(reacts("0.0.0.0", port, 5s));
}

TEST_CASE("watchdog: one that only takes the connection does not react, nor does nobody") {
  std::uint16_t port = 0;
  {
    const stuck_server stuck;
    port = stuck.port;
    CHECK(!reacts("127.0.0.1", port, 50ms));
  }
  CHECK(!reacts("127.0.0.1", port, 5s));
}
