// Text on its way into HTML, and numbers on their way to people.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace understudy::report {

// Escaped for element content and for quoted attributes. Bytes that are not UTF-8, and control
// characters that HTML forbids, become U+FFFD, so that nothing read from a file can break the page.
std::string escape(std::string_view text);

// For the plain-text table: control characters (escape sequences among them) become '?'.
std::string printable(std::string_view text);

// How far a terminal advances for the letters that occur here: one column a code point.
std::size_t display_width(std::string_view text);

// The words of `text` in lines of at most `width` letters, where they can be broken; none for "".
std::vector<std::string> wrapped(const std::string& text, std::size_t width);

// 0.9712 → "97.12 %"; an en dash for a value that is missing or not finite.
std::string percent(std::optional<double> fraction, int decimals = 2);
// Microseconds, three figures: "4.21", "38.0", "1,240"; an en dash for a missing value.
std::string microseconds(std::optional<double> value);
// "850 ms", "41.3 s", "3 min 12 s", "2 h 05 min".
std::string elapsed(std::optional<double> seconds);
// "distillation" → "Distillation"; the first letter, where it is one of a to z.
std::string capitalised(std::string text);
// "1234567" → "1,234,567".
std::string grouped(long long value);

}  // namespace understudy::report
