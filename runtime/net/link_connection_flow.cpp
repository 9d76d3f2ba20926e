#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "runtime/net/link_connection.hpp"

namespace holdfast::net {

namespace websocket = boost::beast::websocket;

namespace {

constexpr size_t batch_bytes_max = (64 << 10) - 32;  // whole TLS records, WebSocket head included
constexpr size_t input_bytes = 32 << 10;
constexpr size_t frames_kept_max = 16 << 10;  // of an emptied vector's capacity
constexpr size_t message_bytes_max = 1 << 20;

std::string in_milliseconds(int64_t ms) { return std::to_string(ms) + " ms"; }

}  // namespace

void link_connection::await_welcome() {
  phase_ = phase::welcome;
  welcome_due_ = dialled();
  ws_.binary(true);
  ws_.auto_fragment(false);
  ws_.write_buffer_bytes(64 << 10);
  ws_.read_message_max(message_bytes_max);
  ws_.secure_prng(false);  // the mask guards proxies against scripts; there are neither here
  head_ = {};
  input_.resize(input_bytes);
  read();
}

/// Only the side that claims second, or that accepted and claims first, waits for one.
void link_connection::on_welcome() {
  if (phase_ == phase::open)
    return;
  const bool first = shared_.self.hello.node < node();
  if (first && !dialled())
    welcome_due_ = true;
  if (open())
    flush();
  else
    end(link_end::quietly, link_close_duplicate, {});
}

bool link_connection::open() {
  if (!shared_.owner.claim(*this))
    return false;
  phase_ = phase::open;
  opened_at_ms_ = heard_at_ms_ = beaten_at_ms_ = shared_.now_ms;
  shared_.owner.on_up(*this);
  return true;
}

std::function<void()> link_connection::waker() {
  return [weak = weak_from_this(), io = stream().get_executor()] {
    asio::post(io, [weak] {
      if (auto self = weak.lock(); self && self->outbox) {
        self->outbox->heed();
        self->flush();
      }
    });
  };
}

void link_connection::read() {
  auto room = reader_.direct();
  const bool direct = !room.empty();
  if (!direct)
    room = input_;
  ws_.async_read_some(asio::buffer(room.data(), room.size()),
                      [self = shared_from_this(), direct](error_code failure, size_t bytes) {
                        self->on_read(failure, bytes, direct);
                      });
}

void link_connection::on_read(const error_code& failure, size_t bytes, bool direct) {
  if (phase_ != phase::welcome && phase_ != phase::open)
    return;
  if (failure) {
    on_broken(failure);
    return;
  }
  heard_ = true;
  if (counters)
    add_alone(counters->bytes_in, bytes);
  link_record record;
  if (direct) {
    if (reader_.filled(bytes, record))
      obey(record);
  } else {
    std::string_view input{input_.data(), bytes};
    while (!ended_ && reader_.next(input, record))
      obey(record);
  }
  if (ended_)
    return;
  if (!reader_.failure().empty())
    end(
      link_end::failed,
      reader_.too_large() ? websocket::close_code::too_big : websocket::close_code::protocol_error,
      node() + " sent " + reader_.failure() + "; set the same limits on every node");
  else
    read();
}

void link_connection::obey(link_record& record) {
  switch (record.kind) {
    case link_record_kind::welcome:
      on_welcome();
      return;
    case link_record_kind::credit:
      cost_credited_ = std::max(cost_credited_, std::min(record.credit(), cost_sent_));
      flush();
      return;
    case link_record_kind::beat:
      answer_due_ = true;
      flush();
      return;
    case link_record_kind::frame:
      break;
    default:
      return;  // an answer has been heard, that is all; or a newer node's
  }
  if (phase_ != phase::open) {
    end(link_end::failed, websocket::close_code::protocol_error,
        node() + " sent a frame before the welcome");
    return;
  }
  if (unread->received() - unread->reported() >= shared_.self.window) {
    end(link_end::failed, websocket::close_code::policy_error,
        node() + " sent more than this node had room for");
    return;
  }
  add_alone(counters->frames_in, 1);
  auto held = link_unread::hold(unread, link_frame_cost(record.body.size()));
  shared_.owner.on_frame(*this, {std::move(record.body), std::move(held)});
}

void link_connection::on_broken(const error_code& failure) {
  if (ended_)
    return;
  if (failure == websocket::error::closed) {
    const auto& reason = ws_.reason();
    const auto text = printable({reason.reason.data(), reason.reason.size()});
    if (reason.code == link_close_duplicate)
      ended(link_end::quietly, {});
    else if (phase_ == phase::welcome && reason.code == link_close_for_good && believed_)
      ended(link_end::removed, who() + " refuses this node: " + text);
    else if (phase_ == phase::welcome && reason.code == websocket::close_code::policy_error)
      ended(link_end::refused, who() + " refuses this node: " + text);
    else
      ended(link_end::failed,
            node() + " closed the connection" + (text.empty() ? "" : ": " + text));
  } else if (failure == asio::error::eof || failure == asio::ssl::error::stream_truncated ||
             failure == asio::error::connection_reset) {
    ended(link_end::failed, node() + " closed the connection");
  } else {
    ended(link_end::failed, "the connection with " + node() + " broke: " + failure.message());
  }
  drop();
}

/// Puts as much as there is, as the peer has room for and as fits into one message, and sends it.
void link_connection::flush() {
  if (writing_ || ended_ || (phase_ != phase::welcome && phase_ != phase::open))
    return;
  fill();
  if (batch_.empty())
    return;
  writing_ = true;
  ws_.async_write(asio::buffer(batch_), [self = shared_from_this()](error_code failure, size_t) {
    self->writing_ = false;
    if (self->ended_)
      return;
    if (failure) {
      self->on_broken(failure);
      return;
    }
    if (self->counters) {
      add_alone(self->counters->bytes_out, self->batch_.size());
      add_alone(self->counters->writes, 1);
    }
    if (self->cost_written_)
      self->outbox->sent(std::exchange(self->cost_written_, 0));
    self->flush();
  });
}

void link_connection::fill() {
  batch_.clear();
  if (std::exchange(welcome_due_, false))
    append_record_head(batch_, link_record_kind::welcome, 0);
  if (phase_ != phase::open)
    return;
  if (std::exchange(beat_due_, false))
    append_record_head(batch_, link_record_kind::beat, 0);
  if (std::exchange(answer_due_, false))
    append_record_head(batch_, link_record_kind::answer, 0);
  if (unread->report_due())
    append_credit(batch_, unread->report());
  while (batch_.size() + link_record_head_bytes < batch_bytes_max && fill_frame()) {
  }
}

/// One frame, or what fits of it. False: there is none, or the peer has no room.
bool link_connection::fill_frame() {
  if (frame_next_ == frames_.size()) {
    frames_.clear();
    frame_next_ = 0;
    if (frames_.capacity() > frames_kept_max)
      frames_ = {};
    if (!outbox->take(frames_))
      return false;
  }
  auto& frame = frames_[frame_next_];
  const size_t room = batch_bytes_max - batch_.size();  // for heads too
  if (!frame_begun_) {
    if (cost_sent_ - cost_credited_ >= peer_.window)
      return false;  // a credit will come
    const size_t whole = link_record_head_bytes + frame.size();
    if (whole > room && whole <= batch_bytes_max)
      return false;  // in the next message
    cost_sent_ += link_frame_cost(frame.size());
    frame_begun_ = true;
    if (whole <= room) {
      append_record_head(batch_, link_record_kind::frame, frame.size());
      batch_ += frame;
      frame_offset_ = frame.size();
    } else {
      append_start(batch_, frame.size());
    }
  }
  if (frame_offset_ < frame.size() && !fill_part(frame))
    return false;
  cost_written_ += link_frame_cost(frame.size());
  add_alone(counters->frames_out, 1);
  frame = {};
  ++frame_next_;
  frame_offset_ = 0;
  frame_begun_ = false;
  return true;
}

/// Another part of a frame that needs several messages. True when it was the last.
bool link_connection::fill_part(const std::string& frame) {
  const size_t used = batch_.size() + link_record_head_bytes;
  if (used >= batch_bytes_max)
    return false;
  const size_t size = std::min(frame.size() - frame_offset_, batch_bytes_max - used);
  append_record_head(batch_, link_record_kind::part, size);
  batch_.append(frame, frame_offset_, size);
  frame_offset_ += size;
  return frame_offset_ == frame.size();
}

void link_connection::sweep(int64_t late_ms) {
  const int64_t now = shared_.now_ms;
  if (phase_ == phase::gone)
    return;
  if (phase_ == phase::open) {
    heard_at_ms_ = std::exchange(heard_, false) ? now : heard_at_ms_ + late_ms;
    if (now - heard_at_ms_ > shared_.opts.silent_max.count()) {
      ended(link_end::failed,
            node() + " has said nothing for " + in_milliseconds(now - heard_at_ms_));
      drop();
    } else if (now - beaten_at_ms_ >= shared_.opts.ping.count()) {
      beaten_at_ms_ = now;
      beat_due_ = true;
      flush();
    }
    return;
  }
  deadline_ms_ += late_ms;
  if (now <= deadline_ms_)
    return;
  ended(link_end::failed, who() + " did not finish the handshake within " +
                            in_milliseconds(shared_.opts.handshake.count()));
  drop();
}

}  // namespace holdfast::net
