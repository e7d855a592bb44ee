#include "tools/report/markup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>

namespace understudy::report {
namespace {

constexpr std::string_view missing = "–";
constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

// The length of the UTF-8 sequence at text[i] (RFC 3629), or 0 when there is none.
std::size_t sequence_length(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t j) { return static_cast<std::uint8_t>(text[j]); };
  const std::uint8_t lead = byte(i);
  const std::size_t length = lead < 0x80                   ? 1
                             : lead >= 0xC2 && lead < 0xE0 ? 2
                             : lead >= 0xE0 && lead < 0xF0 ? 3
                             : lead >= 0xF0 && lead < 0xF5 ? 4
                                                           : 0;
  if (length == 0 || i + length > text.size()) return 0;
  for (std::size_t j = i + 1; j < i + length; ++j)
    if ((byte(j) & 0xC0) != 0x80) return 0;
  if (length == 3 && lead == 0xE0 && byte(i + 1) < 0xA0) return 0;   // overlong
  if (length == 3 && lead == 0xED && byte(i + 1) >= 0xA0) return 0;  // surrogates
  if (length == 4 && lead == 0xF0 && byte(i + 1) < 0x90) return 0;   // overlong
  if (length == 4 && lead == 0xF4 && byte(i + 1) >= 0x90) return 0;  // above U+10FFFF
  return length;
}

bool is_control(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  return byte < 0x20 || byte == 0x7F;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = sequence_length(text, i);
    const char c = text[i];
    if (length == 0 || (is_control(c) && c != '\n' && c != '\t'))
      out += replacement;
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += text.substr(i, length);
    i += length == 0 ? 1 : length;
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = sequence_length(text, i);
    // C1 controls (U+0080 to U+009F) drive terminals just as escape sequences do.
    const bool c1 = length == 2 && static_cast<std::uint8_t>(text[i]) == 0xC2 &&
                    static_cast<std::uint8_t>(text[i + 1]) < 0xA0;
    if (length == 0 || is_control(text[i]) || c1)
      out += '?';
    else
      out += text.substr(i, length);
    i += length == 0 ? 1 : length;
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (words >> std::ws; words.peek() == '%') {  // a number keeps its sign
      std::string sign;
      words >> sign;
      word += " " + sign;
    }
    if (lines.empty() || display_width(lines.back()) + 1 + display_width(word) > width)
      lines.push_back(word);
    else
      lines.back() += " " + word;
  }
  return lines;
}

std::string percent(std::optional<double> fraction, int decimals) {
  if (!fraction || !std::isfinite(*fraction)) return std::string(missing);
  return fmt::format("{:.{}f} %", 100 * *fraction, decimals);
}

std::string microseconds(std::optional<double> value) {
  if (!value || !std::isfinite(*value)) return std::string(missing);
  if (*value == 0) return "0";
  const double size = std::abs(*value);
  if (size >= 99.95) return grouped(std::llround(*value));
  return fmt::format("{:.{}f}", *value, size >= 9.995 ? 1 : 2);
}

std::string elapsed(std::optional<double> seconds) {
  if (!seconds || !std::isfinite(*seconds)) return std::string(missing);
  const double s = *seconds;
  if (s < 0.9995) return fmt::format("{:.0f} ms", 1000 * s);
  if (s < 59.95) return fmt::format("{:.1f} s", s);
  const long long whole = std::llround(s);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  const long long minutes = (whole + 30) / 60;
  return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z')
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string grouped(long long value) {
  const std::string digits = std::to_string(value);
  const std::size_t first = value < 0 ? 1 : 0;
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > first && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

}  // namespace understudy::report
