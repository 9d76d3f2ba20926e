#include "runtime/host/key_ring.hpp"

#include <cstring>

#include "runtime/host/sha256.hpp"

namespace holdfast {

namespace {

/// 0, or 1 when `a` is 0. Without a branch.
std::uint64_t is_zero(std::uint64_t a) noexcept { return ((a | (~a + 1)) >> 63) ^ 1; }

}  // namespace

key_ring::key_ring(const std::vector<api_key>& keys, const key_ring* before) {
  for (const auto& key : keys) {
    entry added{{}, nullptr};
    HOLDFAST_ASSERT(key.hash.size() == sizeof added.hash, "the hash of a key has 32 bytes");
    std::memcpy(added.hash.data(), key.hash.data(), sizeof added.hash);
    if (before != nullptr)
      for (const auto& old : before->keys_)
        if (old.hash == added.hash && *old.who == key.who)
          added.who = old.who;
    if (!added.who)
      added.who = std::make_shared<const principal>(key.who);
    keys_.push_back(std::move(added));
  }
}

result<std::shared_ptr<const principal>> key_ring::find(std::string_view token, time_us now) const {
  const error unknown{errc::unauthorised, "this is not an API key of this node"};
  if (!looks_like_token(token))
    return unknown;
  const auto digest = sha256(token);
  halves wanted{};
  std::memcpy(wanted.data(), digest.data(), sizeof wanted);
  std::uint64_t found = 0;  // its place, from 1
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    std::uint64_t difference = 0;
    for (std::size_t part = 0; part < wanted.size(); ++part)
      difference |= keys_[i].hash[part] ^ wanted[part];
    found |= (i + 1) & (~is_zero(difference) + 1);
  }
  if (found == 0)
    return unknown;
  const auto& who = keys_[found - 1].who;
  if (who->expires && *who->expires <= now)
    return error{
      errc::unauthorised,
      "the API key `" + who->name + "` has expired; make another with `holdfast auth key create`"};
  return who;
}

bool key_ring::holds(const principal& who, time_us now) const noexcept {
  for (const auto& one : keys_)
    if (one.who.get() == &who)
      return !who.expires || *who.expires > now;
  return false;
}

}  // namespace holdfast
