#include "tools/report/style.h"

namespace understudy::report {

std::string_view style_sheet() {
  return R"css(
:root {
  color-scheme: light dark;
  --paper: #fcfbf9; --ink: #22211f; --soft: #6a6761; --line: #e2dfd8; --hair: #efece6;
  --accent: #235a8c; --lost: #a8402f; --wash: #f5f2ec;
  --s0: #235a8c; --s1: #b8702a; --s2: #3f7f5f; --s3: #7d4f86; --s4: #6a6761; --s5: #a8402f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #17181a; --ink: #e6e3dd; --soft: #a19d95; --line: #37383b; --hair: #27282b;
    --accent: #86b6e3; --lost: #e58a78; --wash: #1f2023;
    --s0: #86b6e3; --s1: #e3a765; --s2: #86c3a2; --s3: #c79fd0; --s4: #a19d95; --s5: #e58a78;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 Charter, "Bitstream Charter", "Iowan Old Style", "Palatino Linotype",
    Palatino, Georgia, "Liberation Serif", serif;
  text-rendering: optimizeLegibility;
}
main { max-width: 70rem; margin: 0 auto; padding: clamp(1.5rem, 5vw, 4.5rem) clamp(1rem, 4vw, 3rem); }
h1, h2, h3, h4, table, summary, figcaption, .figures, .note, .mark, svg text, dl, footer {
  font-family: "Inter", "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif;
}
.mark { margin: 0 0 1.2rem; color: var(--soft); font-size: .8rem; letter-spacing: .14em;
  text-transform: uppercase; }
h1 { margin: 0 0 1.6rem; font-size: clamp(1.7rem, 4vw, 2.5rem); font-weight: 600; line-height: 1.15;
  letter-spacing: -.02em; text-wrap: balance; max-width: 22em; }
h2 { margin: 3.6rem 0 .9rem; padding-top: 1.1rem; border-top: 1px solid var(--line);
  font-size: 1.25rem; font-weight: 600; line-height: 1.3; letter-spacing: -.01em; }
h3 { margin: 2rem 0 .6rem; font-size: .95rem; font-weight: 600; }
h4 { margin: 1.5rem 0 .4rem; font-size: .85rem; font-weight: 600; }
p { margin: 0 0 1em; max-width: 40em; text-wrap: pretty; }
.lede { display: grid; gap: 1rem 3rem; align-items: start; }
@media (min-width: 56rem) { .lede { grid-template-columns: minmax(0, 1fr) minmax(0, 27rem); } }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr));
  gap: 1.4rem 2.2rem; margin: 2.4rem 0 0; padding: 1.3rem 0 1.2rem; border-block: 1px solid var(--line); }
.figures div { display: flex; flex-direction: column; justify-content: space-between; }
.figures dt { color: var(--soft); font-size: .82rem; line-height: 1.4; }
.figures dd { margin: 0; font-size: 2.1rem; font-weight: 600; line-height: 1.25;
  letter-spacing: -.02em; font-variant-numeric: tabular-nums; white-space: nowrap; }
.figures .good { color: var(--accent); }
.scroll { overflow-x: auto; margin: 1.2rem 0 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .82rem; line-height: 1.4;
  font-variant-numeric: tabular-nums lining-nums; }
th, td { padding: .5rem .7rem; text-align: left; vertical-align: top; font-weight: 400; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th { vertical-align: bottom; font-weight: 600; border-bottom: 1.5px solid var(--ink);
  min-width: 4.6rem; }
thead small { display: block; white-space: nowrap; color: var(--soft); font-size: .76rem; font-weight: 400; }
tbody tr + tr > * { border-top: 1px solid var(--hair); }
tbody:last-child tr:last-child > * { border-bottom: 1px solid var(--line); }
tbody th { min-width: 13rem; }
.n { text-align: right; }
td.n { white-space: nowrap; }
.results td:not(.n) { min-width: 9.5rem; }
tr.section th { padding-top: 1.1rem; color: var(--soft); font-size: .8rem; }
tr.rival > * { color: var(--soft); }
tbody tr:not(.rival):not(.section) > th { font-weight: 600; }
.facts tbody th { min-width: 9rem; }
.facts td { min-width: 5.5rem; overflow-wrap: anywhere; }
sup { font-size: .72em; line-height: 0; }
.published { background: var(--wash); font-style: italic; }
.published.n:last-child { padding-right: .7rem; }
.experiment thead th { min-width: 3.2rem; }
.experiment tbody th { min-width: 7rem; }
.dense th, .dense td { padding: .3rem .4rem; }
.dense thead th { min-width: 0; }
.notes .note { margin-bottom: .1em; }
h3 + .scroll, h4 + .scroll { margin-top: .4rem; }
details { margin: 1.4rem 0; font-size: .82rem; }
summary { cursor: pointer; }
.note { color: var(--soft); font-size: .82rem; line-height: 1.55; max-width: 54em; margin-bottom: .6em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1.4rem 2.6rem; }
.charts + .note { margin-top: 1.2rem; }
.chart { margin: .4rem 0 0; max-width: 34rem; break-inside: avoid; }
.beside { display: grid; gap: 1rem 3rem; margin-top: 1.6rem; }
@media (min-width: 56rem) { .beside { grid-template-columns: minmax(0, 29rem) minmax(0, 1fr); } }
.chart > svg { display: block; width: 100%; height: auto; overflow: visible; }
figcaption { font-size: .85rem; font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .2rem 0 .7rem; padding: 0;
  list-style: none; color: var(--soft); font-size: .78rem; font-weight: 400; }
.legend svg { width: 1.7em; height: .6em; margin-right: .45em; overflow: visible; }
svg text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
svg .middle { text-anchor: middle; } svg .end { text-anchor: end; }
svg .grid { stroke: var(--hair); } svg .axis { stroke: var(--soft); }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
svg .dash { stroke-dasharray: 5 4; stroke-linecap: butt; }
svg .dot { stroke: none; }
svg .ring { fill: var(--paper); stroke-width: 1.6; }
svg .bar { fill: none; stroke-width: 1.1; }
svg .band { stroke: none; opacity: .16; }
svg text.point { font-size: 10px; }
.line.s0, .ring.s0, .bar.s0 { stroke: var(--s0); }
.line.s1, .ring.s1, .bar.s1 { stroke: var(--s1); }
.line.s2, .ring.s2, .bar.s2 { stroke: var(--s2); }
.line.s3, .ring.s3, .bar.s3 { stroke: var(--s3); }
.line.s4, .ring.s4, .bar.s4 { stroke: var(--s4); }
.line.s5, .ring.s5, .bar.s5 { stroke: var(--s5); }
.dot.s0, .band.s0 { fill: var(--s0); }
.dot.s1, .band.s1 { fill: var(--s1); }
.dot.s2, .band.s2 { fill: var(--s2); }
.dot.s3, .band.s3 { fill: var(--s3); }
.dot.s4, .band.s4 { fill: var(--s4); }
.dot.s5, .band.s5 { fill: var(--s5); }
.diagram { display: block; width: 100%; height: auto; margin-top: .3rem; }
.diagram .box { fill: var(--wash); stroke: var(--line); }
.diagram .own { stroke: var(--accent); stroke-width: 1.4; }
.diagram .flow { fill: none; stroke: var(--soft); stroke-width: 1.1; }
.diagram .tip { fill: var(--soft); }
.diagram .cut { fill: none; stroke: var(--lost); stroke-width: 1.4; stroke-dasharray: 3 3; }
.diagram .cross { fill: none; stroke: var(--lost); stroke-width: 2; stroke-linecap: round; }
.diagram text { fill: var(--ink); font-size: 12px; text-anchor: middle; }
.diagram .quiet { fill: var(--soft); font-size: 11px; }
.groups { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr));
  gap: 1.6rem 2rem; margin: 1.2rem 0; }
.group { display: flex; align-items: flex-start; gap: .5rem; margin: 0; break-inside: avoid; }
.group span { color: var(--soft); font-size: 1.2rem; line-height: 4.6rem; }
.unit { margin: 0; min-width: 0; flex: 0 1 4.6rem; text-align: center; }
.unit img { display: block; width: 100%; height: auto; image-rendering: pixelated;
  border: 1px solid var(--line); }
.unit.parity img { border: 2px solid var(--accent); }
.unit figcaption { margin-top: .3rem; color: var(--soft); font-size: .74rem; font-weight: 400; }
dl.runs { margin: 1rem 0; font-size: .82rem; }
dl.runs dt { font-weight: 600; }
dl.runs dd { margin: .15rem 0 .9rem; }
code { font: .92em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .8rem; }
@media print {
  :root { --paper: #fff; --wash: #fff; }
  body { font-size: 10pt; } main { padding: 0; max-width: none; }
  h2 { break-after: avoid; margin-top: 1.6rem; } tr, .group, .chart { break-inside: avoid; }
  .scroll { overflow: visible; } table { font-size: 7.5pt; } th, td { padding: .3rem .35rem; }
  thead th { min-width: 0; } tbody th { min-width: 8rem; }
}
)css";
}

std::string_view group_diagram() {
  return R"svg(<svg class="diagram" viewBox="0 0 432 214" role="img" aria-label="Two queries and a parity query made of them go to three machines with the same model. The second answer is lost; the decoder works it out from the other two.">
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 .8L7 4L0 7.2z"/></marker></defs>
<path class="flow" marker-end="url(#tip)" d="M72 31H158"/>
<path class="flow" marker-end="url(#tip)" d="M72 93H158"/>
<path class="flow" marker-end="url(#tip)" d="M72 36H82V128H96V148"/>
<path class="flow" marker-end="url(#tip)" d="M37 110V167H58"/>
<path class="flow" marker-end="url(#tip)" d="M132 167H158"/>
<path class="flow" marker-end="url(#tip)" d="M230 31H336"/>
<path class="cut" d="M230 93H254"/><path class="cross" d="M259 88l10 10m0-10l-10 10"/>
<path class="flow" marker-end="url(#tip)" d="M230 167H258"/>
<path class="flow" marker-end="url(#tip)" d="M297 31V148"/>
<path class="flow" marker-end="url(#tip)" d="M334 167H384V112"/>
<rect class="box" x="2" y="14" width="70" height="34" rx="4"/><text x="37" y="35">query 1</text>
<rect class="box" x="2" y="76" width="70" height="34" rx="4"/><text x="37" y="97">query 2</text>
<rect class="box own" x="60" y="150" width="72" height="34" rx="4"/><text x="96" y="171">encoder</text>
<rect class="box" x="160" y="14" width="70" height="34" rx="4"/><text x="195" y="35">model</text>
<rect class="box" x="160" y="76" width="70" height="34" rx="4"/><text x="195" y="97">model</text>
<rect class="box" x="160" y="150" width="70" height="34" rx="4"/><text x="195" y="171">model</text>
<rect class="box own" x="260" y="150" width="74" height="34" rx="4"/><text x="297" y="171">decoder</text>
<rect class="box" x="338" y="14" width="92" height="34" rx="4"/><text x="384" y="35">answer 1</text>
<rect class="box own" x="338" y="76" width="92" height="34" rx="4"/><text x="384" y="91">answer 2,</text><text x="384" y="104">reconstructed</text>
<text class="quiet" x="264" y="80">lost</text><text class="quiet" x="195" y="202">the understudy</text></svg>)svg";
}

}  // namespace understudy::report
