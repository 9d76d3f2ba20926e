#include "cluster/forwarded_answer.hpp"

#include <utility>

#include "cluster/forwarded_command.hpp"
#include "runtime/gateway/problem.hpp"

namespace holdfast {

namespace {

constexpr std::size_t piece_bytes_max = 1U << 20;  // raft's frames get in between

/// False: the link did not take all of it.
bool send_pieces(const answer_way& way, std::string_view bytes, bool end) {
  do {
    const auto piece = bytes.substr(0, piece_bytes_max);
    bytes.remove_prefix(piece.size());
    if (!way.send(link::http_chunk{way.number, std::string{piece}, end && bytes.empty()}))
      return false;
  } while (!bytes.empty());
  return true;
}

}  // namespace

bool forwarded_stream::write(std::shared_ptr<const std::string> bytes) {
  if (closed_)
    return false;
  if (send_pieces(way_, *bytes, false))
    return true;
  way_.cancel();
  end();
  return false;
}

void forwarded_stream::close() {
  if (!closed_ && !send_pieces(way_, {}, true))
    way_.cancel();
  end();
}

void forwarded_stream::on_close(std::function<void()> callback) {
  {
    const std::lock_guard lock{mutex_};
    if (!closed_) {
      on_close_ = std::move(callback);
      return;
    }
  }
  callback();
}

void forwarded_stream::end() {
  std::function<void()> callback;
  {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    callback = std::exchange(on_close_, nullptr);
  }
  if (callback)
    callback();
}

forwarded_exchange::~forwarded_exchange() {
  if (!answered_)
    way_.cancel();
}

void forwarded_exchange::send(net::http_response&& response) {
  if (answered_.exchange(true))
    return;
  if (response.body.size() > forwarded::answer_bytes_max)
    response = problem(forwarded::answer_too_large);
  if (!way_.send(head_of(response)) || !send_pieces(way_, response.body, true))
    way_.cancel();
}

net::stream_handle forwarded_exchange::start_stream(net::http_response&& head) {
  if (answered_.exchange(true))
    return {};
  auto sink = std::make_shared<forwarded_stream>(way_);
  streaming_(sink);
  auto sent = head_of(head);
  sent.headers.emplace_back(forwarded::stream_field, "1");
  sent.headers.emplace_back(forwarded::begin_field, std::to_string(head.body.size()));
  if (!way_.send(sent)) {
    way_.cancel();
    sink->end();
  } else if (!head.body.empty()) {
    sink->write(std::make_shared<const std::string>(std::move(head.body)));
  }
  return net::stream_handle{sink};
}

void forwarded_exchange::on_abort(std::function<void()> callback) {
  {
    const std::lock_guard lock{mutex_};
    if (!recalled_) {
      on_abort_ = std::move(callback);
      return;
    }
  }
  callback();
}

void forwarded_exchange::recall() {
  std::function<void()> callback;
  {
    const std::lock_guard lock{mutex_};
    recalled_ = true;
    callback = std::exchange(on_abort_, nullptr);
  }
  if (callback && !answered_)
    callback();
}

link::http_head forwarded_exchange::head_of(net::http_response& response) const {
  link::http_head out{way_.number, response.status, std::move(response.headers)};
  if (!response.content_type.empty())
    out.headers.emplace_back(forwarded::content_type_field, response.content_type);
  return out;
}

}  // namespace holdfast
