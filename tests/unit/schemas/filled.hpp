#pragma once
// Values in which every member differs from its default and, as far as its type allows, from every
// other member.

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "schemas/codec_consensus.hpp"
#include "schemas/link.hpp"
#include "schemas/state.hpp"
#include "tests/unit/schemas/members.hpp"

namespace holdfast::test {

/// How many values an enum has, from 1.
template <class E>
inline constexpr int enum_last = 0;
template <>
inline constexpr int enum_last<effect_kind> = 4;
template <>
inline constexpr int enum_last<effect_class> = 3;
template <>
inline constexpr int enum_last<effect_phase> = 4;
template <>
inline constexpr int enum_last<outcome_status> = 3;
template <>
inline constexpr int enum_last<failure_kind> = 5;
template <>
inline constexpr int enum_last<message_role> = 4;
template <>
inline constexpr int enum_last<resolution> = 3;
template <>
inline constexpr int enum_last<timer_kind> = 5;
template <>
inline constexpr int enum_last<outbox_kind> = 4;
template <>
inline constexpr int enum_last<run_status> = 6;
template <>
inline constexpr int enum_last<node_roles> = 2;
template <>
inline constexpr int enum_last<consensus::role> = 2;
template <>
inline constexpr int enum_last<consensus::entry_kind> = 3;

class filler {
public:
  template <class T>
  void fill(T& x) {
    if constexpr (std::is_same_v<T, bool>) {
      x = true;
    } else if constexpr (std::is_enum_v<T>) {
      static_assert(enum_last<T> > 0);
      x = static_cast<T>(static_cast<int>(x) % enum_last<T> + 1);
    } else if constexpr (std::is_integral_v<T>) {
      fill_number(x);
    } else {
      fill_object(x);
    }
  }

private:
  /// Small ones, and those that need every byte of the type.
  template <class T>
  void fill_number(T& x) {
    ++count_;
    x = static_cast<T>(count_ % 2 == 0 ? std::numeric_limits<T>::max() - static_cast<T>(count_)
                                       : static_cast<T>(count_));
    if (std::is_signed_v<T> && count_ % 3 == 0)
      x = static_cast<T>(-x);
  }

  void fill_object(std::string& x) {
    x = "text " + std::to_string(++count_);
    if (count_ % 2 == 0)
      x.append(1, '\0').append("\xff not UTF-8, long");
  }
  void fill_object(sortable_id& x) { x = make_id(1'795'000'000'000'000, 7, 0xABCDEF, ++count_); }
  void fill_object(digest128& x) { x = digest_of({std::to_string(++count_)}); }
  template <class Tag>
  void fill_object(strong_id<Tag>& x) {
    fill_object(x.id);
  }
  template <class T>
  void fill_object(std::optional<T>& x) {
    fill(x.emplace());
  }
  template <class T>
  void fill_object(std::vector<T>& x) {
    for (int i = 0; i < 2; ++i)
      fill(x.emplace_back());
  }
  void fill_object(std::vector<fact>& x) {
    fill_alternatives(x, std::make_index_sequence<std::variant_size_v<fact>>{});
  }
  template <class K, class V>
  void fill_object(std::map<K, V>& x) {
    for (int i = 0; i < 2; ++i) {
      K key{};
      fill(key);
      fill(x[key]);
    }
  }
  template <class... T>
  void fill_object(std::variant<T...>& x) {
    std::visit([&](auto& alternative) { fill(alternative); }, x);
  }
  void fill_object(std::shared_ptr<const std::string>& x) {
    std::string text;
    fill(text);
    x = std::make_shared<const std::string>(std::move(text));
  }
  template <class A, class B>
  void fill_object(std::pair<A, B>& x) {
    fill(x.first);
    fill(x.second);
  }
  template <class T>
  requires std::is_aggregate_v<T>
  void fill_object(T& x) {
    std::apply([&](auto&... member) { (fill(member), ...); }, members(x));
  }

  template <std::size_t... I>
  void fill_alternatives(std::vector<fact>& x, std::index_sequence<I...>) {
    (fill(x.emplace_back(std::in_place_index<I>)), ...);
  }

  std::uint32_t count_ = 0;
};

/// One of each alternative, filled.
template <class Variant>
std::vector<Variant> filled_alternatives() {
  std::vector<Variant> out;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (filler{}.fill(out.emplace_back(std::in_place_index<I>)), ...);
  }
  (std::make_index_sequence<std::variant_size_v<Variant>>{});
  return out;
}

template <class T>
T filled() {
  T out;
  filler{}.fill(out);
  return out;
}

/// One value per member: only that one is filled.
template <class T>
std::vector<T> each_member_filled() {
  std::vector<T> out;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (
      [&] {
        auto& x = out.emplace_back();
        filler{}.fill(std::get<I>(members(x)));
      }(),
      ...);
  }
  (std::make_index_sequence<std::tuple_size_v<decltype(members(std::declval<T&>()))>>{});
  return out;
}

}  // namespace holdfast::test
