#include "tools/reproduce/members.h"

#include <algorithm>

#include "kernels/check.h"

namespace understudy::reproduce {
namespace {

using nlohmann::json;

bool is_of(Kind kind, const json& value) {
  const auto all = [&](Kind each) {
    return value.is_array() && std::all_of(value.begin(), value.end(),
                                           [&](const json& item) { return is_of(each, item); });
  };
  switch (kind) {
    case Kind::text:
      return value.is_string();
    case Kind::truth:
      return value.is_boolean();
    case Kind::number:
      return value.is_number();
    case Kind::whole:
      return value.is_number_integer();
    case Kind::object:
      return value.is_object();
    case Kind::list:
      return value.is_array();
    case Kind::texts:
      return all(Kind::text);
    case Kind::wholes:
      return all(Kind::whole);
  }
  fail("a kind of member that is none: {}", static_cast<int>(kind));
}

const char* described(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "a text";
    case Kind::truth:
      return "true or false";
    case Kind::number:
      return "a number";
    case Kind::whole:
      return "a whole number";
    case Kind::object:
      return "an object";
    case Kind::list:
      return "a list";
    case Kind::texts:
      return "a list of texts";
    case Kind::wholes:
      return "a list of whole numbers";
  }
  fail("a kind of member that is none: {}", static_cast<int>(kind));
}

}  // namespace

void check_members(const json& object, const std::string& place,
                   const std::vector<Member>& members) {
  check(object.is_object(), "{}: expected a JSON object, found {}; the file is damaged", place,
        object.type_name());
  for (const Member& member : members) {
    const auto found = object.find(member.key);
    check(found == object.end() || is_of(member.kind, *found),
          "{}: {}: expected {}, found {}; the file is damaged", place, member.key,
          described(member.kind), found == object.end() ? "nothing" : found->dump().substr(0, 40));
  }
}

void need_members(const json& object, const std::string& place,
                  const std::vector<Member>& members) {
  check_members(object, place, members);
  for (const Member& member : members)
    check(object.contains(member.key), "{}: {} is missing, expected {}; the file is damaged", place,
          member.key, described(member.kind));
}

}  // namespace understudy::reproduce
