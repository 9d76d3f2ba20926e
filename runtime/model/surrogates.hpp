#pragma once
// Half characters. A provider written in JavaScript may cut its text between the two UTF-16 halves
// of a character; each piece then holds an escape such as `\ud83d`, which is JSON's grammar but no
// UTF-8. Pure.

#include <string>
#include <string_view>

namespace holdfast::model {

/// Rewrites lone surrogate escapes in JSON text, which parsers refuse, to stand-ins from a private
/// use plane (U+10F000 + half − U+D800). Returns the text unchanged when there is none.
std::string escape_lone_surrogates(std::string json_text);

/// Puts pieces of one string together and joins stand-ins to the characters they came from.
class surrogate_joiner {
public:
  /// What the piece adds; half a character at its end is kept for the next.
  std::string join(std::string_view piece);
  /// What is left at the end: nothing, or U+FFFD for half a character.
  std::string end();

private:
  std::string held_;  // a stand-in of a high half, or nothing
};

}  // namespace holdfast::model
