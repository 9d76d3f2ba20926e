#include <doctest/doctest.h>

#include <vector>

#include "runtime/net/client_connection.hpp"

using namespace holdfast::net;

namespace {

/// A transport that does nothing by itself: the test says what happened.
struct fake_transport final : transport {
  transport_owner* owner = nullptr;
  bool tls = false;
  bool reading = false;
  std::string_view writing;
  bool closed = false;
  bool was_reset = false;

  bool open(transport_owner& o) override {
    owner = &o;
    return tls;
  }
  void read(size_t) override { reading = true; }
  size_t write_now(std::string_view, io_status& status) override {
    status = io_status::would_block;
    return 0;
  }
  void write(std::string_view bytes) override { writing = bytes; }
  bool shut_down() override { return false; }
  void prepare_for_streaming(size_t) override {}
  void close(bool reset) override {
    closed = true;
    was_reset = reset;
  }
  bool is_tls() const noexcept override { return tls; }
};

struct recording_user final : connection_user {
  std::vector<std::string> seen;
  void on_opened(io_status status) override { note("opened", status); }
  void on_received(io_status status, std::string_view bytes) override {
    note("received " + std::string{bytes}, status);
  }
  void on_progress() override { seen.push_back("progress"); }
  void on_sent(io_status status) override { note("sent", status); }
  void note(std::string what, io_status status) {
    seen.push_back(what + (status == io_status::ok ? "" : " failed"));
  }
};

struct connection_fixture {
  fake_transport* io = nullptr;
  recording_user user;
  std::shared_ptr<client_connection> connection = make();

  std::shared_ptr<client_connection> make() {
    auto owned = std::make_unique<fake_transport>();
    io = owned.get();
    return std::make_shared<client_connection>(std::move(owned), ip_address{});
  }

  ~connection_fixture() {  // ends what the transport owes, as a real one would
    const auto keep = connection;
    connection->close();
    if (!io->writing.empty())
      io->owner->on_written(io_status::failed, 0);
    if (io->reading)
      io->owner->on_read(io_status::failed, {});
  }

  void written(io_status status, size_t bytes) {
    io->writing = {};
    io->owner->on_written(status, bytes);
  }
};

}  // namespace

TEST_CASE_FIXTURE(connection_fixture,
                  "client_connection: bytes count as sent until a write takes it back") {
  connection->open(user);
  connection->send("request");
  // The kernel may have it by now, although nobody has said so yet.
  CHECK(connection->sent_any());
  CHECK_FALSE(connection->sent_any_is_final());
  written(io_status::failed, 0);
  CHECK_FALSE(connection->sent_any());
  CHECK(connection->sent_any_is_final());
  CHECK(user.seen == std::vector<std::string>{"opened", "sent failed"});
}

TEST_CASE_FIXTURE(connection_fixture,
                  "client_connection: a write that fails later takes nothing back") {
  connection->open(user);
  connection->send("request");
  written(io_status::ok, 3);
  CHECK(io->writing == "uest");
  written(io_status::failed, 0);
  CHECK(connection->sent_any());
  CHECK(connection->is_sending());
}

TEST_CASE_FIXTURE(connection_fixture, "client_connection: the second request starts anew") {
  connection->open(user);
  connection->send("one");
  written(io_status::ok, 3);
  CHECK_FALSE(connection->is_sending());
  connection->send("two");
  written(io_status::failed, 0);
  CHECK_FALSE(connection->sent_any());
}

TEST_CASE("client_connection: what TLS was given counts as sent at once and for good") {
  connection_fixture f;
  f.io->tls = true;
  f.connection->open(f.user);
  f.io->owner->on_open(io_status::ok);
  f.connection->send("request");
  CHECK(f.connection->sent_any_is_final());
  f.written(io_status::failed, 0);
  CHECK(f.connection->sent_any());
}

TEST_CASE_FIXTURE(connection_fixture,
                  "client_connection: at rest, whatever arrives means that it is lost") {
  for (const auto status : {io_status::ok, io_status::closed, io_status::failed}) {
    connection_fixture f;
    f.connection->open(f.user);
    int lost = 0;
    f.connection->rest([&] {
      ++lost;
      f.connection->close();
    });
    f.io->reading = false;
    f.io->owner->on_read(status, "surprise");
    CHECK(lost == 1);
    CHECK(f.io->closed);
    CHECK(f.user.seen.size() == 1);
  }
}

TEST_CASE_FIXTURE(connection_fixture,
                  "client_connection: closed within a request, the kernel drops the rest") {
  connection->open(user);
  connection->send("request");
  connection->close();
  CHECK(io->was_reset);
}

TEST_CASE_FIXTURE(connection_fixture,
                  "client_connection: it lives until the transport owes nothing") {
  connection->open(user);
  connection->send("request");
  std::weak_ptr<client_connection> watch = connection;
  auto* transport_left = io;
  connection->close();
  connection = make();  // the last reference of ours is gone
  CHECK_FALSE(watch.expired());
  transport_left->owner->on_written(io_status::failed, 0);
  CHECK_FALSE(watch.expired());
  transport_left->owner->on_read(io_status::failed, {});
  CHECK(watch.expired());
}
