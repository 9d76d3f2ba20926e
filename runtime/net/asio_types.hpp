#pragma once

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>

/// Asio's types with the executor spelled out: the default `any_io_executor` costs 8 % of a small
/// request (facts/storage.md §3). Only for the .cpp files of this folder and private headers.
namespace holdfast::net {

namespace asio = boost::asio;

using error_code = boost::system::error_code;
using io_executor = asio::io_context::executor_type;
using tcp = asio::ip::tcp;
using tcp_socket = asio::basic_stream_socket<tcp, io_executor>;
using tcp_acceptor = asio::basic_socket_acceptor<tcp, io_executor>;
using steady_timer =
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>, io_executor>;

}  // namespace holdfast::net
