// The answering half of server_connection: answers, refusals, streams, writing.
#include <array>
#include <charconv>
#include <utility>

#include "runtime/net/server_connection.hpp"

namespace holdfast::net {

namespace {

constexpr size_t out_kept_max = 16 << 10;  // a larger write buffer is given back when idle
constexpr unsigned flushes_max = 8;        // of one stream in a row: others wait too

http_response plain_refusal(refusal_reason reason) {
  http_response response;
  response.status = status_of(reason);
  response.content_type = "text/plain; charset=utf-8";
  response.body =
    std::string{reason_phrase(response.status)} + ": " + std::string{name(reason)} + "\n";
  return response;
}

}  // namespace

/// The frame of the answer now being written; fixes whether the connection survives it.
response_frame server_connection::frame() {
  keep_alive_ = keep_alive_ && !refused_ && !context_.draining && !peer_closed_;
  return {http_1_1_, keep_alive_, is_head_};
}

void server_connection::reply(uint32_t request, http_response&& response) {
  if (phase_ != phase::handling || request != request_)
    return;
  if (!is_sendable(response)) {
    refuse(refusal_reason::bad_response);
    return;
  }
  context_.scratch.clear();
  append_response(context_.scratch, response, frame(), context_.date);
  phase_ = phase::answering;
  if (send_scratch())
    request_done();
}

void server_connection::abandon(uint32_t request) {
  if (phase_ == phase::handling && request == request_)
    refuse(refusal_reason::abandoned);
}

http_response server_connection::render_refusal(refusal_reason reason) const {
  const unsigned status = status_of(reason);
  http_response response;
  if (context_.opts.refusal) {
    try {
      response = context_.opts.refusal(status, name(reason));
      response.status = status;
    } catch (...) {
      response.status = 0;  // not sendable
    }
  }
  if (!context_.opts.refusal || !is_sendable(response))
    response = plain_refusal(reason);
  if (status == 503) {
    std::erase_if(response.headers,
                  [](const auto& h) { return equals_ignoring_case(h.first, "Retry-After"); });
    response.headers.emplace_back("Retry-After", std::to_string(context_.opts.retry_after.count()));
  }
  return response;
}

void server_connection::refuse(refusal_reason reason) {
  context_.counters.refused[static_cast<size_t>(reason)].add();
  // These two are ours alone; after all others the input cannot be trusted to be in step.
  refused_ = reason != refusal_reason::abandoned && reason != refusal_reason::bad_response;
  if (parser_) {
    http_1_1_ = parser_->http_1_1();
    is_head_ = parser_->is_head();
    release_parser();
  }
  const auto response = render_refusal(reason);
  context_.scratch.clear();
  append_response(context_.scratch, response, frame(), context_.date);
  phase_ = phase::answering;
  if (send_scratch())
    request_done();
}

void server_connection::begin_streaming(uint32_t request, http_response&& head,
                                        std::shared_ptr<server_stream> stream) {
  if (phase_ != phase::handling || request != request_) {
    stream->finish();
    return;
  }
  if (peer_closed_) {  // half-closed or gone: a stream would not notice the difference
    stream->finish();
    close(true);
    return;
  }
  if (!is_sendable(head)) {
    stream->finish();
    refuse(refusal_reason::bad_response);
    return;
  }
  keep_alive_ = keep_alive_ && http_1_1_;
  context_.scratch.clear();
  append_stream_head(context_.scratch, head, frame(), context_.date);
  io_->prepare_for_streaming(context_.opts.stream_bytes_max);
  stream_ = std::move(stream);
  context_.counters.streams.add();
  phase_ = phase::streaming;
  stream_unsent_ = 0;
  stream_ending_ = is_head_;
  if (!is_head_ && !head.body.empty()) {
    begin_piece(head.body.size());
    context_.scratch += head.body;
    end_piece();
  }
  if (!send_scratch())
    return;
  stream_written();
  write_stream();
}

/// A piece of a stream is a chunk if the client knows chunks.
void server_connection::begin_piece(size_t bytes) {
  if (!http_1_1_)
    return;
  std::array<char, 16> size;
  const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes, 16).ptr;
  context_.scratch.append(size.data(), end).append("\r\n");
}

void server_connection::end_piece() {
  if (http_1_1_)
    context_.scratch += "\r\n";
}

void server_connection::flush(const server_stream& stream) {
  if (stream_.get() != &stream)
    return;
  if (stream.overflowed()) {
    context_.counters.streams_overflowed.add();
    close(true);
    return;
  }
  write_stream();
}

/// Writes what the stream has queued. Everything queued meanwhile goes out in the next write.
void server_connection::write_stream() {
  for (unsigned turn = 0; phase_ == phase::streaming && !writing_; ++turn) {
    if (turn == flushes_max) {
      context_.inbox->push(flush_stream{stream_});
      return;
    }
    auto taken = stream_->take();
    context_.scratch.clear();
    switch (taken.wants) {
      case server_stream::demand::nothing:
        return;
      case server_stream::demand::send:
        begin_piece(taken.bytes);
        for (const auto& piece : taken.pieces)
          context_.scratch += *piece;
        end_piece();
        break;
      case server_stream::demand::end:
        stream_ending_ = true;
        if (http_1_1_)
          context_.scratch += "0\r\n\r\n";
        break;
    }
    stream_unsent_ = taken.bytes;
    if (!send_scratch())
      return;
    stream_written();
  }
}

/// Everything taken from the stream so far is with the kernel.
void server_connection::stream_written() {
  if (!stream_ending_) {
    stream_->sent(std::exchange(stream_unsent_, 0));
    return;
  }
  context_.counters.streams.subtract();
  stream_ending_ = false;
  const auto stream = std::exchange(stream_, nullptr);
  request_done();
  stream->finish();
}

/// Writes the scratch. True when it is all with the kernel; else the rest follows by itself, unless
/// the connection had to be closed.
bool server_connection::send_scratch() {
  const std::string_view bytes{context_.scratch};
  if (writing_) {  // behind a `100 Continue` that is not out yet
    out_next_ += bytes;
    set_deadline(context_.opts.write_timeout);
    return false;
  }
  io_status status = io_status::ok;
  const size_t written = io_->write_now(bytes, status);
  if (written == bytes.size())
    return true;
  if (status == io_status::failed) {
    close(true);
    return false;
  }
  out_.assign(bytes.substr(written));
  out_at_ = 0;
  start_write();
  return false;
}

void server_connection::start_write() {
  if (phase_ == phase::answering || phase_ == phase::streaming)
    set_deadline(context_.opts.write_timeout);
  writing_ = true;
  ++operations_;
  io_->write(std::string_view{out_}.substr(out_at_));
}

void server_connection::on_written(io_status status, size_t bytes) {
  writing_ = false;
  if (phase_ == phase::closed) {
    operation_ended();
    return;
  }
  --operations_;
  if (status != io_status::ok) {
    close(true);
    return;
  }
  out_at_ += bytes;
  if (out_at_ == out_.size()) {
    out_.swap(out_next_);
    out_next_.clear();
    out_at_ = 0;
  }
  if (out_at_ < out_.size()) {
    start_write();
    return;
  }
  if (out_.capacity() > out_kept_max)
    out_ = {};
  if (phase_ == phase::answering) {
    request_done();
  } else if (phase_ == phase::streaming) {
    clear_deadline();
    stream_written();
    write_stream();
  }
}

}  // namespace holdfast::net
