#include "cluster/key_keeper.hpp"

#include <sys/stat.h>

#include "runtime/host/log.hpp"
#include "runtime/host/sha256.hpp"

namespace holdfast {

key_keeper::key_keeper(auth_config from)
  : from_(std::move(from)),
    ring_(std::make_shared<const key_ring>(from_.keys)),
    seen_(stamp_of_file()) {}

std::shared_ptr<const key_ring> key_keeper::ring() const {
  const std::lock_guard lock{mutex_};
  return ring_;
}

void key_keeper::put(std::vector<api_key> keys) {
  keys.insert(keys.end(), own_.begin(), own_.end());
  const auto before = ring();
  auto next = std::make_shared<const key_ring>(keys, before.get());
  const std::lock_guard lock{mutex_};
  ring_ = std::move(next);
}

result<std::string> key_keeper::add_own(std::string name, key_role role) {
  auto token = new_token();
  if (!token)
    return token;
  const std::lock_guard lock{reading_};
  api_key added;
  added.hash = sha256(*token);
  added.who.name = std::move(name);
  added.who.roles.add(role);
  own_.push_back(std::move(added));
  put(from_.keys);
  return token;
}

key_keeper::stamp key_keeper::stamp_of_file() const {
  struct stat at {};
  if (!from_.on || ::stat(from_.file.c_str(), &at) != 0)
    return {};
  return {at.st_mtim.tv_sec * 1'000'000'000LL + at.st_mtim.tv_nsec,
          static_cast<std::uint64_t>(at.st_size), static_cast<std::uint64_t>(at.st_ino)};
}

void key_keeper::look() {
  if (!from_.on)
    return;
  {
    const std::lock_guard lock{reading_};
    if (stamp_of_file() == seen_)
      return;
  }
  reload();
}

void key_keeper::reload() {
  if (!from_.on)
    return;
  const std::lock_guard lock{reading_};
  seen_ = stamp_of_file();  // before it is read: a change in between is seen at the next look
  auto keys = load_keys(from_);
  if (!keys) {
    ++reloads_failed_;
    log::error("keys-not-reloaded", {{"why", keys.error().context}});
    return;
  }
  const auto count = keys->size();
  put(std::move(*keys));
  ++reloads_;
  log::info("keys-reloaded", {{"keys", std::to_string(count)}});
}

}  // namespace holdfast
