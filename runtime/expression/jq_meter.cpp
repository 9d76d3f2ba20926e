#include "runtime/expression/jq_meter.hpp"

namespace holdfast {

namespace {

constexpr std::size_t bytes_per_unit = 16;

std::size_t string_bytes(const jv& value) noexcept {
  return static_cast<std::size_t>(jv_string_length_bytes(jv_copy(value)));
}

}  // namespace

bool jq_meter::pay(std::size_t units, std::size_t text_bytes) noexcept {
  if (units > left_) {
    left_ = 0;
    if (stop_ == jq_stop::none)
      stop_ = jq_stop::work;
    return false;
  }
  left_ -= units;
  text_bytes_ += text_bytes;
  return true;
}

void jq_meter::walk(const jv& value, std::size_t depth) noexcept {
  if (depth > jq_limits::value_depth_max) {
    stop_ = jq_stop::depth;
    return;
  }
  switch (jv_get_kind(value)) {
    case JV_KIND_STRING: {
      const auto bytes = string_bytes(value);
      pay(1 + bytes / bytes_per_unit, bytes + 2);
      return;
    }
    case JV_KIND_ARRAY: {
      if (!pay(2, 2))
        return;
      const int size = jv_array_length(jv_copy(value));
      for (int i = 0; i < size && stop_ == jq_stop::none; ++i) {
        const jv item = jv_array_get(jv_copy(value), i);
        walk(item, depth + 1);
        jv_free(item);
      }
      return;
    }
    case JV_KIND_OBJECT: {
      if (!pay(4, 2))
        return;
      for (int i = jv_object_iter(value); jv_object_iter_valid(value, i) && stop_ == jq_stop::none;
           i = jv_object_iter_next(value, i)) {
        const jv name = jv_object_iter_key(value, i);
        const auto bytes = string_bytes(name);
        jv_free(name);
        if (!pay(bytes / bytes_per_unit, bytes + 3))
          return;
        const jv item = jv_object_iter_value(value, i);
        walk(item, depth + 1);
        jv_free(item);
      }
      return;
    }
    default:
      pay(1, 1);
  }
}

}  // namespace holdfast
