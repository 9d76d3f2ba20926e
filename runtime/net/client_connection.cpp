#include "runtime/net/client_connection.hpp"

#include <utility>

namespace holdfast::net {

namespace {
constexpr size_t read_bytes_max = 64 << 10;
}

client_connection::client_connection(std::unique_ptr<transport> io, ip_address peer)
  : io_(std::move(io)), peer_(peer) {}

void client_connection::operation_begins() {
  ++operations_;
  alive_ = shared_from_this();
}

/// Returns the reference that keeps this object until the caller is done with it.
std::shared_ptr<client_connection> client_connection::operation_ended() {
  auto keep = shared_from_this();
  if (--operations_ == 0)
    alive_.reset();
  return keep;
}

void client_connection::open(connection_user& user) {
  user_ = &user;
  if (io_->open(*this)) {
    operation_begins();
    return;
  }
  arm_read();
  user_->on_opened(io_status::ok);
}

void client_connection::rest(std::function<void()> on_lost) {
  user_ = nullptr;
  on_lost_ = std::move(on_lost);
}

void client_connection::use(connection_user& user) {
  user_ = &user;
  on_lost_ = nullptr;
}

void client_connection::send(std::string bytes) {
  out_ = std::move(bytes);
  out_at_ = 0;
  sent_any_ = true;
  // Encrypted bytes may leave in parts that no count tells about.
  sent_any_is_final_ = io_->is_tls();
  write_more();
}

void client_connection::write_more() {
  operation_begins();
  io_->write(std::string_view{out_}.substr(out_at_));
}

void client_connection::close() {
  if (std::exchange(closed_, true))
    return;
  user_ = nullptr;
  on_lost_ = nullptr;
  io_->close(is_sending());  // the kernel shall not go on sending what was given up
}

void client_connection::arm_read() {
  operation_begins();
  io_->read(read_bytes_max);
}

void client_connection::on_open(io_status status) {
  const auto keep = operation_ended();
  if (closed_)
    return;
  if (status == io_status::ok)
    arm_read();
  user_->on_opened(status);
}

void client_connection::on_read(io_status status, std::string_view bytes) {
  const auto keep = operation_ended();
  if (closed_)
    return;
  if (user_)
    user_->on_received(status, bytes);
  else if (const auto lost = std::exchange(on_lost_, nullptr))
    lost();
  if (!closed_ && status == io_status::ok)
    arm_read();
}

void client_connection::on_written(io_status status, size_t bytes) {
  const auto keep = operation_ended();
  if (closed_)
    return;
  if (!std::exchange(sent_any_is_final_, true))
    sent_any_ = bytes > 0;
  out_at_ += bytes;
  if (status == io_status::ok && out_at_ < out_.size()) {
    write_more();
    if (user_)
      user_->on_progress();
    return;
  }
  if (status == io_status::ok)
    out_ = {};
  if (user_)
    user_->on_sent(status);
}

}  // namespace holdfast::net
