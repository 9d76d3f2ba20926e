#include "persistence/store.hpp"

#include "persistence/group_import.hpp"

namespace holdfast {

std::string_view to_string(family f) noexcept {
  switch (f) {
    case family::meta:
      return "meta";
    case family::snapshot:
      return "snapshot";
    case family::journal:
      return "journal";
    case family::mailbox:
      return "mailbox";
    case family::message:
      return "message";
    case family::memory:
      return "memory";
    case family::stream:
      return "stream";
    case family::timer:
      return "timer";
    case family::idempotency:
      return "idempotency";
    case family::outbox:
      return "outbox";
    case family::run:
      return "run";
    case family::index:
      return "index";
    case family::event_log:
      return "event_log";
    case family::dead_letter:
      return "dead_letter";
    case family::definitions:
      return "definition";
    case family::audit:
      return "audit";
    case family::log:
      return "log";
  }
  return "unknown";
}

void write_set::put(family in, std::string key, std::string value) {
  bytes_ += key.size() + value.size();
  ops_.push_back({in, write_op::kind::put, std::move(key), std::move(value)});
}

void write_set::erase(family in, std::string key) {
  bytes_ += key.size();
  ops_.push_back({in, write_op::kind::erase, std::move(key), {}});
}

void write_set::single_erase(family in, std::string key) {
  bytes_ += key.size();
  ops_.push_back({in, write_op::kind::single_erase, std::move(key), {}});
}

result<std::unique_ptr<group_import>> store::import_group(group_id) {
  return error{errc::not_available, "this store takes in no groups"};
}

}  // namespace holdfast
