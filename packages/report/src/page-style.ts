/** The look of a report: system fonts, one column, light and dark after the reader's setting, fit for printing. */
export const pageStyle = `
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --card: #f6f8fa; --accent: #0b63ce; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --card: #151b23; --accent: #6cb0ff; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
p { margin: .3rem 0 .8rem; }
.soft, figcaption { color: var(--soft); }
figcaption { font-size: .92rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin: 1.4rem 0; padding: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .7rem .9rem; }
.card dt { color: var(--soft); font-size: .88rem; }
.card dd { margin: 0; font-size: 1.45rem; font-variant-numeric: tabular-nums; }
.card dd small { display: block; font-size: .88rem; color: var(--soft); }
figure { margin: .5rem 0 0; }
.plot { width: 100%; aspect-ratio: 720 / 380; }
.plot svg { width: 100%; height: auto; display: block; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .94rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
th.number { text-align: right; }
td.number { text-align: right; white-space: nowrap; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem; overflow-x: auto; font-size: .88rem; }
code { font-family: ui-monospace, monospace; }
@media print { .plot { break-inside: avoid; } details > * { display: block; } }
`;
