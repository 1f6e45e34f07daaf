/** How a verdict's page looks, by day and by night. */
export const pageStyle = `
:root{color-scheme:light dark;--paper:#fbfaf7;--card:#fff;--ink:#1d2430;--soft:#667085;--line:#e4e2dc;--bar:#eef0f3;--barline:#c9ced6;
--hot:#fff1d6;--hotline:#d9932a;--bad:#b42318;--good:#16794b;--dim:#8a6100;--fault:#7c5cc4;
--ww:#c2410c;--wr:#1d6fb8;--rw:#b3186d;--process:#4d6b1f;--realtime:#5b5f6b}
@media(prefers-color-scheme:dark){:root{--paper:#14171c;--card:#1b1f26;--ink:#e8eaee;--soft:#98a1b0;--line:#2c323c;--bar:#262c35;--barline:#414a57;
--hot:#3d2f14;--hotline:#e0a548;--bad:#ff8f82;--good:#5fd49a;--dim:#e6b94c;--fault:#a68bea;
--ww:#ff9a62;--wr:#6fb6f2;--rw:#f37ab9;--process:#a9cc6b;--realtime:#a3a9b6}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1120px;margin:0 auto;padding:40px 24px 72px}
.file{margin:0;color:var(--soft);font-size:14px;overflow-wrap:anywhere}
h1{margin:4px 0 8px;font-size:30px;line-height:1.2;letter-spacing:-.01em}
.verdict{display:inline-block;padding:0 12px;border-radius:9px;color:var(--card);background:var(--dim)}
.verdict.ok{background:var(--good)}.verdict.illegal{background:var(--bad)}
header p{margin:6px 0}.side{margin:12px 0 0;padding:0;list-style:none;color:var(--soft);font-size:15px}
.legend{display:flex;flex-wrap:wrap;gap:8px 20px;margin:28px 0 0;padding:0;list-style:none;font-size:13.5px;color:var(--soft)}
.legend li{display:flex;align-items:center;gap:8px}
.swatch{width:26px;height:14px;border-radius:4px;border:1.5px solid var(--barline);background:var(--bar)}
.swatch.involved{background:var(--hot);border-color:var(--hotline)}
.swatch.fail{border-style:dashed}
.swatch.info{border-right:0;border-radius:4px 0 0 4px;background:linear-gradient(90deg,var(--bar),transparent)}
.swatch.fault{border:0;background:color-mix(in srgb,var(--fault) 22%,transparent)}
.pill{padding:0 8px;border-radius:10px;font-size:12px;line-height:18px;border:1.5px solid currentColor}
.pill.ww{color:var(--ww)}.pill.wr{color:var(--wr)}.pill.rw{color:var(--rw)}.pill.process{color:var(--process)}.pill.realtime{color:var(--realtime)}
section{margin-top:28px;padding:22px 24px;background:var(--card);border:1px solid var(--line);border-radius:14px}
h2{margin:0;font-size:15px}.anomaly{padding:3px 10px;border-radius:7px;color:var(--bad);background:color-mix(in srgb,var(--bad) 11%,transparent)}
.summary{margin:12px 0 14px;font-size:18px;line-height:1.45;overflow-wrap:anywhere}
.picture{overflow-x:auto;padding:4px 0;border-block:1px solid var(--line)}
ol{margin:16px 0 0;padding-left:24px}ol li{margin:5px 0;overflow-wrap:anywhere}ol li::marker{color:var(--soft)}
.more{color:var(--soft)}
svg{display:block;font:13px/1 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.lane{stroke:var(--line);stroke-dasharray:2 5}.who{fill:var(--soft);font-weight:600}.axis{fill:var(--soft);font-size:11.5px}.axis.end{text-anchor:end}
.bar rect{fill:var(--bar);stroke:var(--barline);stroke-width:1.5}.bar text{fill:var(--ink);font-size:13px}
.bar.involved rect{fill:var(--hot);stroke:var(--hotline)}.bar.involved text{font-weight:600}
.bar.fail rect{stroke-dasharray:5 4}
.fault rect{fill:var(--fault);opacity:.13}.fault text{fill:var(--fault);font-size:11.5px;font-weight:600}
.edge path{fill:none;stroke:var(--c);stroke-width:2}.edge rect{fill:var(--card);stroke:var(--c);stroke-width:1.5}
.edge text{fill:var(--c);text-anchor:middle;font-size:11.5px;font-weight:700}.head path{fill:var(--c);stroke:none}
.ww{--c:var(--ww)}.wr{--c:var(--wr)}.rw{--c:var(--rw)}.process{--c:var(--process)}.realtime,.other{--c:var(--realtime)}
@media print{section{break-inside:avoid}}
`;
