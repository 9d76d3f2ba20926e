#pragma once
// Between the plain structs and their generated Protobuf messages. For the files of the codec only.
//
// `wire<T>` says how T is put into its message and taken out again. For almost every struct it is
// one line, HOLDFAST_WIRE(struct, Message, members...): the members have the same names on both
// sides, so that none can be put and forgotten to be taken. An absent number or text is zero or
// empty; for messages see `may_be_absent`.

#include <schemas/holdfast.pb.h>

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "schemas/fact.hpp"

namespace holdfast::codec {

namespace pb = holdfast::v1;

/// Where taking stopped: the field that holds what this version does not know.
struct wrong_field {
  std::string_view in;
  std::string_view field;
};

template <class T>
struct wire;  // static void put(const T&, message&); static bool take(message&, T&, wrong_field&);

/// The values that are stored: without gaps from `first` to `last`.
template <class E>
struct enum_range;
#define HOLDFAST_WIRE_ENUM(type, first_value, Message)                         \
  template <>                                                                  \
  struct enum_range<type> {                                                    \
    static constexpr int first = static_cast<int>(type::first_value);          \
    static constexpr int last = static_cast<int>(pb::Message##_MAX);           \
    static_assert(pb::Message##_ARRAYSIZE == last + 1, "values without gaps"); \
  }
HOLDFAST_WIRE_ENUM(effect_kind, model, EffectKind);
HOLDFAST_WIRE_ENUM(effect_class, read, EffectClass);
HOLDFAST_WIRE_ENUM(outcome_status, succeeded, OutcomeStatus);
HOLDFAST_WIRE_ENUM(failure_kind, none, FailureKind);
HOLDFAST_WIRE_ENUM(message_role, system, MessageRole);
HOLDFAST_WIRE_ENUM(resolution, succeeded, Resolution);
HOLDFAST_WIRE_ENUM(timer_kind, sleep, TimerKind);
HOLDFAST_WIRE_ENUM(outbox_kind, event, OutboxKind);
HOLDFAST_WIRE_ENUM(node_roles, both, NodeRoles);

template <class E>
constexpr bool is_stored(int number) noexcept {
  return number >= enum_range<E>::first && number <= enum_range<E>::last;
}

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// Whether an empty T is not written. Only for what is empty when all its numbers are zero and its
/// texts empty: the default of any other struct may change, the meaning of stored bytes may not.
template <class T>
inline constexpr bool may_be_absent = false;

template <class T>
bool is_empty(const T& value) {
  if constexpr (std::is_trivially_copyable_v<T>) {
    return value == T{};
  } else {
    static const T empty{};
    return value == empty;
  }
}

/// One field of a message: how it is read, set, changed in place, and found to be there.
template <class Get, class Set, class Mutable, class Has>
struct field {
  Get get;
  Set set;
  Mutable change;
  Has has;
};
#define HOLDFAST_WIRE_FIELD(name)                                 \
  ::holdfast::codec::field {                                      \
    [](const auto& msg) -> decltype(auto) { return msg.name(); }, \
      [](auto& msg, auto v) { msg.set_##name(v); },               \
      [](auto& msg) { return msg.mutable_##name(); },             \
      [](const auto& msg) { return msg.has_##name(); }            \
  }

template <class T, class Message, class Field>
void put_field(const T& value, Message& m, const Field& f) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (!value.empty())
      f.change(m)->assign(value);
  } else if constexpr (std::is_enum_v<T>) {
    const int number = static_cast<int>(value);
    HOLDFAST_ASSERT(is_stored<T>(number), "an enum value that could not be read again");
    f.set(m, static_cast<decltype(f.get(m))>(number));
  } else if constexpr (std::is_integral_v<T>) {
    using number = decltype(f.get(m));
    static_assert(sizeof(number) >= sizeof(T) && std::is_signed_v<number> == std::is_signed_v<T>,
                  "the stored number is too narrow");
    f.set(m, value);
  } else if constexpr (is_optional<T>) {
    if (value)
      wire<typename T::value_type>::put(*value, *f.change(m));
  } else if constexpr (is_vector<T>) {
    auto& list = *f.change(m);
    list.Reserve(static_cast<int>(value.size()));
    for (const auto& element : value)
      if constexpr (std::is_integral_v<typename T::value_type>)
        list.Add(element);
      else
        wire<typename T::value_type>::put(element, *list.Add());
  } else {
    if (!may_be_absent<T> || !is_empty(value))
      wire<T>::put(value, *f.change(m));
  }
}

template <class T, class Message, class Field>
bool take_field(Message& m, T& value, const Field& f, wrong_field& wrong) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (!f.get(m).empty())
      value = std::move(*f.change(m));
  } else if constexpr (std::is_enum_v<T>) {
    const int number = static_cast<int>(f.get(m));
    if (!is_stored<T>(number))
      return false;
    value = static_cast<T>(number);
  } else if constexpr (std::is_same_v<T, bool>) {
    value = f.get(m);
  } else if constexpr (std::is_integral_v<T>) {
    if (f.get(m) > std::numeric_limits<T>::max())
      return false;
    value = static_cast<T>(f.get(m));
  } else if constexpr (is_optional<T>) {
    return !f.has(m) || wire<typename T::value_type>::take(*f.change(m), value.emplace(), wrong);
  } else if constexpr (is_vector<T>) {
    auto& list = *f.change(m);
    value.reserve(static_cast<std::size_t>(list.size()));
    if constexpr (std::is_integral_v<typename T::value_type>)
      value.assign(list.begin(), list.end());
    else
      for (auto& element : list)
        if (!wire<typename T::value_type>::take(element, value.emplace_back(), wrong))
          return false;
  } else {
    return f.has(m) ? wire<T>::take(*f.change(m), value, wrong) : may_be_absent<T>;
  }
  return true;
}

// HOLDFAST_EACH(do, a, b, c) is do(a) do(b) do(c).
#define HOLDFAST_PARENS ()
#define HOLDFAST_EXPAND(...) HOLDFAST_EXPAND3(HOLDFAST_EXPAND3(HOLDFAST_EXPAND3(__VA_ARGS__)))
#define HOLDFAST_EXPAND3(...) HOLDFAST_EXPAND2(HOLDFAST_EXPAND2(HOLDFAST_EXPAND2(__VA_ARGS__)))
#define HOLDFAST_EXPAND2(...) HOLDFAST_EXPAND1(HOLDFAST_EXPAND1(HOLDFAST_EXPAND1(__VA_ARGS__)))
#define HOLDFAST_EXPAND1(...) __VA_ARGS__
#define HOLDFAST_EACH(macro, ...) \
  __VA_OPT__(HOLDFAST_EXPAND(HOLDFAST_EACH_NEXT(macro, __VA_ARGS__)))
#define HOLDFAST_EACH_NEXT(macro, first, ...) \
  macro(first) __VA_OPT__(HOLDFAST_EACH_AGAIN HOLDFAST_PARENS(macro, __VA_ARGS__))
#define HOLDFAST_EACH_AGAIN() HOLDFAST_EACH_NEXT

#define HOLDFAST_WIRE_PUT(name) ::holdfast::codec::put_field(x.name, m, HOLDFAST_WIRE_FIELD(name));
#define HOLDFAST_WIRE_TAKE(name)                                                     \
  if (!::holdfast::codec::take_field(m, x.name, HOLDFAST_WIRE_FIELD(name), wrong)) { \
    if (wrong.field.empty())                                                         \
      wrong = {name_on_disk, #name};                                                 \
    return false;                                                                    \
  }

#define HOLDFAST_WIRE(type, Message, ...)                                                       \
  template <>                                                                                   \
  struct wire<type> {                                                                           \
    using stored = pb::Message;                                                                 \
    static constexpr std::string_view name_on_disk = #Message;                                  \
    static void put(const type& x, stored& m) { HOLDFAST_EACH(HOLDFAST_WIRE_PUT, __VA_ARGS__) } \
    static bool take(stored& m, type& x, wrong_field& wrong) {                                  \
      HOLDFAST_EACH(HOLDFAST_WIRE_TAKE, __VA_ARGS__)                                            \
      return true;                                                                              \
    }                                                                                           \
  }

/// Where an alternative of a variant is in the `kind` of its message.
template <class T>
struct place;
#define HOLDFAST_PLACE(Outer, scope, name, Message)                           \
  template <>                                                                 \
  struct place<scope::name> {                                                 \
    static constexpr std::size_t number = pb::Outer::k##Message##FieldNumber; \
    static pb::Message& in(pb::Outer& m) { return *m.mutable_##name(); }      \
  }

template <class Message, class... T>
void put_kind(const std::variant<T...>& x, Message& m) {
  std::visit([&]<class A>(const A& value) { wire<A>::put(value, place<A>::in(m)); }, x);
}

/// `First`: the number of the variant's first alternative; the others follow.
template <std::size_t First, class Message, class... T>
bool take_kind(Message& m, std::variant<T...>& x, wrong_field& wrong) {
  const auto number = static_cast<std::size_t>(m.kind_case());
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    static_assert(((place<T>::number == I + First) && ...), "numbered in the variant's order");
    return (
      (number == I + First && wire<T>::take(place<T>::in(m), x.template emplace<I>(), wrong)) ||
      ...);
  }
  (std::index_sequence_for<T...>{});
}

}  // namespace holdfast::codec
