#include "runtime/net/server_worker.hpp"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <ctime>

#include "runtime/net/tcp_transport.hpp"
#include "runtime/net/tls_transport.hpp"

namespace holdfast::net {

namespace {

constexpr size_t read_buffer_bytes = 64 << 10;
constexpr size_t scratch_kept_max = 1 << 20;
constexpr size_t refused_slots_max = 256;  // connections being told 503; beyond: closed unheard

int64_t steady_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

/// Often enough for the shortest timeout, seldom enough to cost nothing.
int64_t tick_for(const http_server::options& opts) {
  const auto shortest =
    std::min({opts.header_timeout, opts.body_timeout, opts.idle_timeout, opts.write_timeout});
  return std::clamp<int64_t>(shortest.count() / 8, 5, 250);
}

}  // namespace

server_worker::server_worker(const http_server::options& opts, const handler& on_request,
                             std::shared_ptr<tls_context> tls, std::function<void()> on_empty)
  : work_(io_.get_executor()),
    sweep_timer_(io_),
    tls_(std::move(tls)),
    on_empty_(std::move(on_empty)),
    shared_{.opts = opts,
            .on_request = on_request,
            .inbox = {},
            .counters = {},
            .date = {},
            .scratch = {},
            .spare_parsers = {},
            .give_up = {}},
    read_buffer_(read_buffer_bytes) {
  shared_.inbox =
    std::make_shared<reply_inbox>([this] { asio::post(io_, [this] { process_inbox(); }); });
  shared_.give_up = [this](connection_id id) { asio::post(io_, [this, id] { give_up(id); }); };
  shared_.tick_ms = tick_for(opts);
}

server_worker::~server_worker() { shared_.inbox->close(); }

void server_worker::run() {
  sweep();
  io_.run();
  // Nobody can answer any more; what was queued for connections that are gone still has to end.
  shared_.inbox->close();
  process_inbox();
}

void server_worker::adopt(tcp_socket socket, tcp::endpoint peer, bool refused) {
  if (io_.get_executor().running_in_this_thread()) {
    welcome(std::move(socket), peer, refused);
    return;
  }
  asio::post(io_, [this, s = std::move(socket), peer, refused]() mutable {
    welcome(std::move(s), peer, refused);
  });
}

void server_worker::drain() {
  asio::post(io_, [this] {
    shared_.draining = true;
    for (auto& s : slots_)
      if (s.connection)
        s.connection->drain();
  });
}

void server_worker::stop() {
  asio::post(io_, [this] {
    stopping_ = true;
    sweep_timer_.cancel();
    close_all();
    work_.reset();
  });
}

void server_worker::use(std::shared_ptr<tls_context> tls) {
  asio::post(io_, [this, next = std::move(tls)]() mutable { tls_ = std::move(next); });
}

void server_worker::close_all() {
  for (auto& s : slots_)
    if (s.connection)
      s.connection->close(false);
}

void server_worker::welcome(tcp_socket socket, const tcp::endpoint& peer, bool refused) {
  shared_.counters.accepted.add();
  const size_t used = slots_.size() - free_slots_.size();
  const bool unheard = refused && used >= shared_.opts.connections_max + refused_slots_max;
  if (unheard)
    shared_.counters.refused[static_cast<size_t>(refusal_reason::too_many_connections)].add();
  if (unheard || stopping_ || shared_.draining) {
    close_socket(socket, false);
    return;
  }
  uint32_t index = static_cast<uint32_t>(slots_.size());
  if (free_slots_.empty()) {
    slots_.emplace_back();
  } else {
    index = free_slots_.back();
    free_slots_.pop_back();
  }
  std::unique_ptr<transport> io;
  if (tls_)
    io = std::make_unique<tls_transport>(std::move(socket), tls_->context);
  else
    io = std::make_unique<tcp_transport>(std::move(socket), std::span{read_buffer_});
  const connection_id id{index, ++slots_[index].generation};
  auto& connection = slots_[index].connection;
  connection = std::make_unique<server_connection>(
    shared_, id, std::move(io),
    server_connection::peer_address{peer.address().to_string(), peer.port()});
  if (refused)
    connection->start_refused();
  else
    connection->start();
}

void server_worker::give_up(connection_id id) {
  slots_[id.slot].connection.reset();
  free_slots_.push_back(id.slot);
  if (free_slots_.size() == slots_.size() && on_empty_)
    on_empty_();
}

server_connection* server_worker::find(connection_id id) noexcept {
  if (id.slot >= slots_.size() || slots_[id.slot].generation != id.generation)
    return nullptr;
  return slots_[id.slot].connection.get();
}

void server_worker::process_inbox() {
  shared_.inbox->take(commands_);
  for (auto& command : commands_)
    obey(command);
  commands_.clear();
}

void server_worker::obey(inbox_command& command) {
  if (auto* reply = std::get_if<send_reply>(&command)) {
    if (auto* connection = find(reply->to.connection))
      connection->reply(reply->to.request, std::move(reply->response));
  } else if (auto* begin = std::get_if<begin_stream>(&command)) {
    if (auto* connection = find(begin->to.connection))
      connection->begin_streaming(begin->to.request, std::move(begin->head),
                                  std::move(begin->stream));
    else
      begin->stream->finish();
  } else if (auto* flush = std::get_if<flush_stream>(&command)) {
    if (auto* connection = find(flush->stream->connection()))
      connection->flush(*flush->stream);
  } else if (auto* abandon = std::get_if<abandon_reply>(&command)) {
    if (auto* connection = find(abandon->to.connection))
      connection->abandon(abandon->to.request);
  }
}

/// Looks at every deadline and renews what is kept per tick instead of asked for per request.
void server_worker::sweep() {
  shared_.now_ms = steady_ms();
  if (const auto now_s = std::time(nullptr); now_s != date_s_) {
    date_s_ = now_s;
    shared_.date = date_line(now_s);
  }
  if (shared_.scratch.capacity() > scratch_kept_max)
    shared_.scratch = {};
  for (auto& s : slots_)
    if (s.connection)
      s.connection->sweep();
  if (!stopping_)
    schedule_sweep();
}

void server_worker::schedule_sweep() {
  sweep_timer_.expires_after(std::chrono::milliseconds{shared_.tick_ms});
  sweep_timer_.async_wait([this](error_code cancelled) {
    if (!cancelled)
      sweep();
  });
}

}  // namespace holdfast::net
