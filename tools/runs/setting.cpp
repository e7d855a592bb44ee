#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/check.h"
#include "tools/runs/options.h"

namespace understudy {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// The shortest text that reads back as the same number.
std::string number(double value) { return fmt::format("{}", value); }

template <class T>
T convert(const std::string& text, const std::string& source, const char* what) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range)
    throw UsageError(fmt::format("{} {}: too large", source, text));
  if (error != std::errc() || rest != end)
    throw UsageError(fmt::format("{} '{}': expected {}", source, text, what));
  return value;
}

bool convert_bool(const std::string& text, const std::string& source) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  throw UsageError(fmt::format("{} '{}': expected true or false", source, text));
}

}  // namespace

Setting::Setting(std::string name, Target target, std::string help)
    : name_(std::move(name)), target_(target), help_(std::move(help)), default_(json()) {}

Setting& Setting::at_least(double low) {
  low_ = low;
  low_excluded_ = false;
  return *this;
}

Setting& Setting::above(double low) {
  low_ = low;
  low_excluded_ = true;
  return *this;
}

Setting& Setting::at_most(double high) {
  high_ = high;
  high_excluded_ = false;
  return *this;
}

Setting& Setting::below(double high) {
  high_ = high;
  high_excluded_ = true;
  return *this;
}

Setting& Setting::one_of(std::vector<std::string> choices) {
  choices_ = std::move(choices);
  return *this;
}

Setting& Setting::free() {
  free_ = true;
  return *this;
}

const char* Setting::type() const {
  return std::visit(Overloaded{
                        [](const std::string*) { return "TEXT"; },
                        [](const std::filesystem::path*) { return "PATH"; },
                        [](const double*) { return "NUMBER"; },
                        [](const bool*) { return ""; },
                        [](const std::vector<std::int64_t>*) { return "INT,INT,..."; },
                        [](const auto*) { return "INT"; },
                    },
                    target_);
}

std::string Setting::text() const {
  return std::visit(Overloaded{
                        [](const std::string* value) { return *value; },
                        [](const std::filesystem::path* value) { return value->string(); },
                        [](const double* value) { return number(*value); },
                        [](const bool* value) { return std::string(*value ? "true" : "false"); },
                        [](const std::vector<std::int64_t>* value) {
                          return fmt::format("{}", fmt::join(*value, ","));
                        },
                        [](const auto* value) { return fmt::format("{}", *value); },
                    },
                    target_);
}

nlohmann::json Setting::json() const {
  return std::visit(
      Overloaded{
          [](const std::filesystem::path* value) { return nlohmann::json(value->string()); },
          [](const auto* value) { return nlohmann::json(*value); },
      },
      target_);
}

std::string Setting::toml() const {
  const std::string value = text();
  if (std::holds_alternative<std::string*>(target_) ||
      std::holds_alternative<std::filesystem::path*>(target_)) {
    const char quote = value.find('"') == std::string::npos ? '"' : '\'';
    return fmt::format("{} = {}{}{}", name_, quote, value, quote);
  }
  if (std::holds_alternative<std::vector<std::int64_t>*>(target_))
    return fmt::format("{} = [{}]", name_, value);
  return fmt::format("{} = {}", name_, value);
}

std::string Setting::rule() const {
  if (!choices_.empty()) return fmt::format("one of {}", fmt::join(choices_, ", "));
  std::string text;
  if (std::isfinite(low_)) text = (low_excluded_ ? "above " : "at least ") + number(low_);
  if (std::isfinite(high_))
    text += (text.empty() ? "" : ", ") + std::string(high_excluded_ ? "below " : "at most ") +
            number(high_);
  return text;
}

void Setting::set(const std::string& text, const std::string& source) {
  const auto in_range = [&](double value) {
    // Written so that NaN is outside.
    const bool low_ok = low_excluded_ ? value > low_ : value >= low_;
    const bool high_ok = high_excluded_ ? value < high_ : value <= high_;
    if (!(low_ok && high_ok) || !std::isfinite(value))
      throw UsageError(fmt::format("{} {}: must be {}", source, text,
                                   rule().empty() ? "a finite number" : rule()));
  };
  std::visit(Overloaded{
                 [&](std::string* value) {
                   if (!choices_.empty() &&
                       std::find(choices_.begin(), choices_.end(), text) == choices_.end())
                     throw UsageError(fmt::format("{} '{}': must be {}", source, text, rule()));
                   *value = text;
                 },
                 [&](std::filesystem::path* value) { *value = text; },
                 [&](bool* value) { *value = convert_bool(text, source); },
                 [&](double* value) {
                   const double number = convert<double>(text, source, "a number");
                   in_range(number);
                   *value = number;
                 },
                 [&](std::vector<std::int64_t>* value) {
                   std::vector<std::int64_t> list;
                   for (std::size_t begin = 0; begin < text.size();) {
                     const std::size_t comma = std::min(text.find(',', begin), text.size());
                     const auto item =
                         convert<std::int64_t>(text.substr(begin, comma - begin), source,
                                               "whole numbers with commas between them");
                     in_range(static_cast<double>(item));
                     list.push_back(item);
                     begin = comma + 1;
                   }
                   if (text.ends_with(','))
                     throw UsageError(fmt::format("{} '{}': ends with a comma", source, text));
                   *value = std::move(list);
                 },
                 [&]<class T>(T* value) {
                   const T number = convert<T>(text, source, "a whole number");
                   in_range(static_cast<double>(number));
                   *value = number;
                 },
             },
             target_);
}

}  // namespace understudy
