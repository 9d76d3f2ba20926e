#include "runtime/host/crash_slots.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace holdfast {

namespace {

constexpr std::size_t slot_count = 64;
constexpr std::size_t name_bytes_max = 400;

std::atomic<std::size_t> threads_seen{0};

std::size_t number_of_this_thread() noexcept {
  static thread_local const std::size_t number = threads_seen.fetch_add(1);
  return number;
}

}  // namespace

/// One thread's place in the file. `used` is written last on entering and first on leaving.
struct crash_slots::slot {
  std::uint32_t used;
  std::uint32_t name_bytes;
  std::uint8_t run[16];
  char name[name_bytes_max];
};

result<std::unique_ptr<crash_slots>> crash_slots::open(const std::string& path) {
  constexpr std::size_t bytes = sizeof(slot) * slot_count;
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0)
    return error{errc::io_failure, path + ": " + std::strerror(errno)};
  // With its room on the disk: writing into a mapped hole of a full one is SIGBUS.
  if (const int why = ::posix_fallocate(file, 0, bytes)) {
    ::close(file);
    return error{errc::io_failure, path + ": " + std::strerror(why)};
  }
  void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (mapped == MAP_FAILED)
    return error{errc::io_failure, path + ": " + std::strerror(errno)};
  std::unique_ptr<crash_slots> out{new crash_slots};
  out->slots_ = static_cast<slot*>(mapped);
  for (std::size_t i = 0; i < slot_count; ++i) {
    auto& one = out->slots_[i];
    if (one.used == 1 && one.name_bytes <= name_bytes_max)
      if (auto agent = parse_agent_name({one.name, one.name_bytes}))
        out->found_.push_back(
          {std::move(*agent), run_id{id_from_bytes({reinterpret_cast<const char*>(one.run), 16})}});
    one.used = 0;
  }
  return out;
}

crash_slots::~crash_slots() { ::munmap(slots_, sizeof(slot) * slot_count); }

crash_slots::slot* crash_slots::mine() noexcept {
  const std::size_t number = number_of_this_thread();
  return number < slot_count ? &slots_[number] : nullptr;
}

void crash_slots::enter(const agent_name& agent, const run_id& run) noexcept {
  auto* one = mine();
  if (one == nullptr || agent.type.size() + 1 + agent.key.size() > name_bytes_max)
    return;
  agent.type.copy(one->name, agent.type.size());
  one->name[agent.type.size()] = '/';
  agent.key.copy(one->name + agent.type.size() + 1, agent.key.size());
  one->name_bytes = static_cast<std::uint32_t>(agent.type.size() + 1 + agent.key.size());
  std::memcpy(one->run, run.id.bytes.data(), run.id.bytes.size());
  std::atomic_ref{one->used}.store(1, std::memory_order_release);
}

void crash_slots::leave() noexcept {
  if (auto* one = mine())
    std::atomic_ref{one->used}.store(0, std::memory_order_release);
}

}  // namespace holdfast
