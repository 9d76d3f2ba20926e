#pragma once
// The members of any plain struct, so that a test fills and compares all of them, also those that
// are added later.

#include <tuple>

namespace holdfast::test {

#define HOLDFAST_BRACES_1 \
  {}
#define HOLDFAST_BRACES_2 \
  HOLDFAST_BRACES_1, {}
#define HOLDFAST_BRACES_3 \
  HOLDFAST_BRACES_2, {}
#define HOLDFAST_BRACES_4 \
  HOLDFAST_BRACES_3, {}
#define HOLDFAST_BRACES_5 \
  HOLDFAST_BRACES_4, {}
#define HOLDFAST_BRACES_6 \
  HOLDFAST_BRACES_5, {}
#define HOLDFAST_BRACES_7 \
  HOLDFAST_BRACES_6, {}
#define HOLDFAST_BRACES_8 \
  HOLDFAST_BRACES_7, {}
#define HOLDFAST_BRACES_9 \
  HOLDFAST_BRACES_8, {}
#define HOLDFAST_BRACES_10 \
  HOLDFAST_BRACES_9, {}
#define HOLDFAST_BRACES_11 \
  HOLDFAST_BRACES_10, {}
#define HOLDFAST_BRACES_12 \
  HOLDFAST_BRACES_11, {}
#define HOLDFAST_BRACES_13 \
  HOLDFAST_BRACES_12, {}
#define HOLDFAST_BRACES_14 \
  HOLDFAST_BRACES_13, {}
#define HOLDFAST_BRACES_15 \
  HOLDFAST_BRACES_14, {}
#define HOLDFAST_BRACES_16 \
  HOLDFAST_BRACES_15, {}
#define HOLDFAST_BRACES_17 \
  HOLDFAST_BRACES_16, {}
#define HOLDFAST_BRACES_18 \
  HOLDFAST_BRACES_17, {}
#define HOLDFAST_BRACES_19 \
  HOLDFAST_BRACES_18, {}
#define HOLDFAST_BRACES_20 \
  HOLDFAST_BRACES_19, {}
#define HOLDFAST_BRACES_21 \
  HOLDFAST_BRACES_20, {}
#define HOLDFAST_BRACES_22 \
  HOLDFAST_BRACES_21, {}
#define HOLDFAST_BRACES_23 \
  HOLDFAST_BRACES_22, {}
#define HOLDFAST_BRACES_24 \
  HOLDFAST_BRACES_23, {}
#define HOLDFAST_BRACES_25 \
  HOLDFAST_BRACES_24, {}
#define HOLDFAST_BRACES_26 \
  HOLDFAST_BRACES_25, {}

// T has at least as many members as it takes `{}`.
#define HOLDFAST_MEMBERS(n, ...)                        \
  if constexpr (requires { T{HOLDFAST_BRACES_##n}; }) { \
    auto& [__VA_ARGS__] = x;                            \
    return std::tie(__VA_ARGS__);                       \
  } else

/// References to all members of `x`, in order.
template <class T>
auto members(T& x) {
  // clang-format off
  HOLDFAST_MEMBERS(26, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, aa)
  HOLDFAST_MEMBERS(25, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z)
  HOLDFAST_MEMBERS(24, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y)
  HOLDFAST_MEMBERS(23, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w)
  HOLDFAST_MEMBERS(22, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v)
  HOLDFAST_MEMBERS(21, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u)
  HOLDFAST_MEMBERS(20, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t)
  HOLDFAST_MEMBERS(19, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s)
  HOLDFAST_MEMBERS(18, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)
  HOLDFAST_MEMBERS(17, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q)
  HOLDFAST_MEMBERS(16, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
  HOLDFAST_MEMBERS(15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
  HOLDFAST_MEMBERS(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
  HOLDFAST_MEMBERS(13, a, b, c, d, e, f, g, h, i, j, k, l, m)
  HOLDFAST_MEMBERS(12, a, b, c, d, e, f, g, h, i, j, k, l)
  HOLDFAST_MEMBERS(11, a, b, c, d, e, f, g, h, i, j, k)
  HOLDFAST_MEMBERS(10, a, b, c, d, e, f, g, h, i, j)
  HOLDFAST_MEMBERS(9, a, b, c, d, e, f, g, h, i)
  HOLDFAST_MEMBERS(8, a, b, c, d, e, f, g, h)
  HOLDFAST_MEMBERS(7, a, b, c, d, e, f, g)
  HOLDFAST_MEMBERS(6, a, b, c, d, e, f)
  HOLDFAST_MEMBERS(5, a, b, c, d, e)
  HOLDFAST_MEMBERS(4, a, b, c, d)
  HOLDFAST_MEMBERS(3, a, b, c)
  HOLDFAST_MEMBERS(2, a, b)
  HOLDFAST_MEMBERS(1, a)
  static_assert(sizeof(T) == 0, "not a plain struct, or one with more members than are listed here");
  // clang-format on
}

#undef HOLDFAST_MEMBERS

}  // namespace holdfast::test
