#include "runtime/gateway/services.hpp"

#include <chrono>
#include <random>

#include "runtime/gateway/stream_hub.hpp"

namespace holdfast {

namespace {

std::int64_t process_steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::steady_clock::now().time_since_epoch())
    .count();
}

gateway_options completed(gateway_options opts) {
  if (!opts.steady_ms)
    opts.steady_ms = process_steady_ms;
  if (!opts.offload)
    opts.offload = [](std::function<void()> work) { work(); };
  return opts;
}

std::uint64_t random_start() {
  std::random_device chance;
  return static_cast<std::uint64_t>(chance()) << 32 | chance();
}

}  // namespace

services::services(backend& n, gateway_options o)
  : node(n),
    opts(completed(std::move(o))),
    streams(std::make_unique<stream_hub>(n, opts)),
    requests_(opts.request_seed != 0 ? opts.request_seed : random_start()) {}

services::~services() = default;

std::string services::next_request_id() {
  constexpr std::string_view alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  // An odd multiplier visits every 64 bit number once; the high bits look like chance (Knuth 6.4).
  std::uint64_t number = requests_.fetch_add(1, std::memory_order_relaxed) * 0x9E3779B97F4A7C15ULL;
  std::string id = "req_";
  for (int i = 0; i < 11; ++i) {
    id += alphabet[number >> 59];
    number <<= 5;
  }
  return id;
}

void services::offload(std::function<void()> work) const { opts.offload(std::move(work)); }

}  // namespace holdfast
