// Escaping, numbers in words, and tables.
#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "kernels/check.h"
#include "tools/report/markup.h"
#include "tools/report/table.h"

using namespace understudy;
using namespace understudy::report;

TEST_SUITE("report") {
  TEST_CASE("HTML is escaped") {
    CHECK(escape("a<b>&\"c'") == "a&lt;b&gt;&amp;&quot;c&#39;");
    CHECK(escape("k = 2, µs, 98 %") == "k = 2, µs, 98 %");
    CHECK(escape("line\nnext\ttab") == "line\nnext\ttab");
  }

  TEST_CASE("bytes that are no UTF-8, and control characters, are replaced") {
    const std::string mark = "\xEF\xBF\xBD";
    CHECK(escape("\xff") == mark);
    CHECK(escape("a\xc3") == "a" + mark);                            // cut off
    CHECK(escape("\xc0\xaf") == mark + mark);                        // overlong
    CHECK(escape("\xe0\x80\xaf") == mark + mark + mark);             // overlong
    CHECK(escape("\xed\xa0\x80") == mark + mark + mark);             // a surrogate
    CHECK(escape("\xf4\x90\x80\x80") == mark + mark + mark + mark);  // above U+10FFFF
    CHECK(escape("\xf0\x9f\x99\x82") == "\xf0\x9f\x99\x82");
    CHECK(escape(std::string("\0x", 2)) == mark + "x");
    CHECK(escape("\x1b[31m") == mark + "[31m");
  }

  TEST_CASE("nothing printed can drive a terminal") {
    CHECK(printable("\x1b[2J") == "?[2J");
    CHECK(printable("a\nb") == "a?b");
    CHECK(printable("\xc2\x9b"
                    "31m") == "?31m");
    CHECK(printable("µ ≤ ü") == "µ ≤ ü");
  }

  TEST_CASE("numbers for people") {
    CHECK(percent(0.97126) == "97.13 %");
    CHECK(percent(0.97126, 1) == "97.1 %");
    CHECK(percent(1.0) == "100.00 %");
    CHECK(percent({}) == "–");
    CHECK(percent(std::numeric_limits<double>::quiet_NaN()) == "–");
    CHECK(microseconds(4.206) == "4.21");
    CHECK(microseconds(38.04) == "38.0");
    CHECK(microseconds(99.96) == "100");
    CHECK(microseconds(1240.4) == "1,240");
    CHECK(microseconds(0) == "0");
    CHECK(microseconds({}) == "–");
    CHECK(elapsed(0.0042) == "4 ms");
    CHECK(elapsed(41.26) == "41.3 s");
    CHECK(elapsed(59.97) == "1 min 00 s");
    CHECK(elapsed(192) == "3 min 12 s");
    CHECK(elapsed(7500) == "2 h 05 min");
    CHECK(grouped(0) == "0");
    CHECK(grouped(999) == "999");
    CHECK(grouped(1234567) == "1,234,567");
    CHECK(grouped(-123456) == "-123,456");
  }

  TEST_CASE("sentences are wrapped between words, by letters") {
    using Lines = std::vector<std::string>;
    CHECK(wrapped("", 10) == Lines{});
    CHECK(wrapped("one two three", 7) == Lines{"one two", "three"});
    CHECK(wrapped("µµµ µµµ", 7) == Lines{"µµµ µµµ"});
    CHECK(wrapped("takes 50 % more", 9) == Lines{"takes", "50 % more"});
    CHECK(wrapped("immeasurably long", 4) == Lines{"immeasurably", "long"});
  }

  TEST_CASE("a table in plain text is aligned by letters, not by bytes") {
    const Table table{"Title",
                      {{"name", "", false, ""}, {"time", "µs", true, ""}},
                      {{"group", {{{"short", "4"}}, {{"a longer one µµ", "1,240"}}}}},
                      {}};
    CHECK(plain(table) ==
          "Title\n"
          "group\n"
          "\n"
          "name               time\n"
          "                     µs\n"
          "───────────────────────\n"
          "short                 4\n"
          "a longer one µµ   1,240\n");
  }

  TEST_CASE("a turned table has a line per column") {
    Table table{"Title",
                {{"name", "", false, ""}, {"time", "µs", true, "time, µs"}},
                {{"", {{{"one"}}, {{"two"}}}}},
                {}};
    table.sections[0].rows[0].cells.push_back("4");
    table.sections[0].rows[1].cells.push_back("38");
    table.turned_in_plain_text = true;
    CHECK(plain(table) ==
          "Title\n"
          "\n"
          "           one   two\n"
          "────────────────────\n"
          "time, µs     4    38\n");
  }

  TEST_CASE("a table in HTML escapes its cells and marks headings") {
    const Table table{"T",
                      {{"a<b", "", false, ""}, {"n", "u&v", true, ""}},
                      {{"s<t", {{{"x<y", "1"}, true}}}},
                      {}};
    const std::string out = html(table);
    CHECK(out.find("a&lt;b") != out.npos);
    CHECK(out.find("u&amp;v") != out.npos);
    CHECK(out.find("s&lt;t") != out.npos);
    CHECK(out.find(R"(<th scope="row">x&lt;y</th><td class="n">1</td>)") != out.npos);
    CHECK(out.find(R"(<tr class="rival">)") != out.npos);
  }

  TEST_CASE("a row that does not fit its columns is refused") {
    const Table table{"T", {{"a", "", false, ""}}, {{"", {{{"1", "2"}}}}}, {}};
    CHECK_THROWS_AS(html(table), Error);
    CHECK_THROWS_AS(plain(table), Error);
  }
}
