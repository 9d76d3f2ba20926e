#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/net/http_server.hpp"
#include "runtime/net/reply_inbox.hpp"
#include "runtime/net/request_parser.hpp"
#include "runtime/net/response_head.hpp"
#include "runtime/net/server_exchange.hpp"
#include "runtime/net/server_stream.hpp"
#include "runtime/net/transport.hpp"

namespace holdfast::net {

/// Written by one io thread, read by any: so plain loads and stores instead of locked additions.
class worker_counter {
public:
  void add(uint64_t n = 1) noexcept { value_.store(get() + n, std::memory_order_relaxed); }
  void subtract(uint64_t n = 1) noexcept { value_.store(get() - n, std::memory_order_relaxed); }
  uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<uint64_t> value_{0};
};

struct worker_counters {
  worker_counter accepted, open, streams, requests, timed_out, streams_overflowed;
  std::array<worker_counter, refusal_reason_count> refused;
};

/// What the connections of one worker share. Owned by the worker, used on its io thread only.
struct connection_context {
  const http_server::options& opts;
  const handler& on_request;
  std::shared_ptr<reply_inbox> inbox;
  worker_counters counters;
  std::string date;    ///< `Date: …\r\n`, renewed by the sweep
  int64_t now_ms = 0;  ///< steady, as of the last sweep; late by at most `tick_ms`
  int64_t tick_ms = 0;
  bool draining = false;
  size_t buffered_bytes = 0;  ///< of unfinished bodies
  std::string scratch;        ///< where responses are put together
  std::vector<request_parser> spare_parsers;
  /// Called once when a connection is `finished`; must not destroy it before returning.
  std::function<void(connection_id)> give_up;
};

/// One client: reads a request, hands it over, writes the answer, and again. One request at a time;
/// what is pipelined behind it waits, bounded. Knows HTTP and deadlines, not sockets. Lives in a
/// slot of its worker until it is closed and nothing is under way. Io thread only.
class server_connection final : public transport_owner {
public:
  struct peer_address {
    std::string address;
    uint16_t port = 0;
  };

  server_connection(connection_context& context, connection_id id, std::unique_ptr<transport> io,
                    peer_address peer);
  ~server_connection();

  void start();
  /// Over `connections_max`: answers 503 and closes, whatever the client says.
  void start_refused();

  // Commands from the inbox; those that come too late do nothing.
  void reply(uint32_t request, http_response&& response);
  void begin_streaming(uint32_t request, http_response&& head,
                       std::shared_ptr<server_stream> stream);
  void flush(const server_stream& stream);
  void abandon(uint32_t request);

  /// Closes when idle, else after the answer.
  void drain();
  /// Acts on a deadline that has passed.
  void sweep();
  void close(bool reset);

  /// True when the slot can be given up.
  bool finished() const noexcept { return phase_ == phase::closed && operations_ == 0; }
  connection_id id() const noexcept { return id_; }

private:
  enum class phase : uint8_t {
    opening,    // TLS handshake
    idle,       // between requests
    head,       // receiving a head
    body,       // receiving a body
    handling,   // the handler has it
    answering,  // the answer is being written
    streaming,  // an open answer is being written
    lingering,  // answered for good; discards input so that the client gets to read the answer
    closed,
  };

  // receiving: server_connection.cpp
  void on_open(io_status status) override;
  void on_read(io_status status, std::string_view bytes) override;
  void on_shut_down() override;
  void arm_read();
  void consume(std::string_view bytes);
  void receive_head();
  void receive_body();
  void dispatch();
  void request_done();
  void peer_closed();
  void linger();
  void release_parser();

  // answering: server_connection_answer.cpp
  void on_written(io_status status, size_t bytes) override;
  void refuse(refusal_reason reason);
  http_response render_refusal(refusal_reason reason) const;
  response_frame frame();
  void begin_piece(size_t bytes);
  void end_piece();
  void write_stream();
  void stream_written();
  bool send_scratch();
  void start_write();

  void set_deadline(std::chrono::milliseconds from_now);
  void clear_deadline() { deadline_ms_ = 0; }
  void operation_ended();
  void give_up_if_finished();

  connection_context& context_;
  const connection_id id_;
  std::unique_ptr<transport> io_;
  peer_address peer_;

  phase phase_ = phase::opening;
  uint8_t operations_ = 0;  // calls that the transport still owes
  bool reading_ = false;
  bool writing_ = false;      // `out_` is with the transport
  bool peer_closed_ = false;  // nothing more to read
  bool given_up_ = false;
  bool refused_ = false;        // the input can no longer be trusted: answer, then linger
  bool stream_ending_ = false;  // the stream's last bytes are in `out_`
  bool keep_alive_ = true;      // of the current request:
  bool http_1_1_ = true;
  bool is_head_ = false;
  uint32_t request_ = 0;      // the current request's number
  int64_t deadline_ms_ = 0;   // 0: none
  size_t body_mark_ = 0;      // so many body bytes extend the deadline
  size_t body_counted_ = 0;   // this connection's share of `buffered_bytes`
  size_t stream_unsent_ = 0;  // stream bytes in `out_`
  size_t out_at_ = 0;         // `out_` is written up to here

  std::optional<request_parser> parser_;  // only while a request is being received
  std::string pipelined_;                 // received behind the current request
  std::string out_;                       // what could not be written at once
  std::string out_next_;                  // what came while `out_` was being written
  std::weak_ptr<server_exchange> exchange_;
  std::shared_ptr<server_stream> stream_;
};

}  // namespace holdfast::net
