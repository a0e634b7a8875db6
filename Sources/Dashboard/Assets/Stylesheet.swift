// SPDX-License-Identifier: Apache-2.0

/// The one stylesheet: light and dark, from a phone's width on.
enum Stylesheet {
    static let text = """
        :root {
          color-scheme: light dark;
          --ground: #f5f7f9; --card: #ffffff; --ink: #16222c; --soft: #4c5c68; --line: #d9e0e5; --accent: #0a6a8f;
          --water: #2f8fb5; --ok: #1d7a45; --warning: #8f5a00; --limited: #b3261e; --severe: #7d0f0a;
          --ok-fill: #37a566; --warning-fill: #e0a030; --limited-fill: #d9534a; --severe-fill: #9c1c14;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #0f161b; --card: #18222a; --ink: #e6edf2; --soft: #a3b3be; --line: #2c3a45; --accent: #6cc5e8;
            --water: #3f9dc4; --ok: #6fd699; --warning: #f0bd5c; --limited: #ff9b92; --severe: #ffb4ac;
            --ok-fill: #2f9459; --warning-fill: #c48a1f; --limited-fill: #cf4a40; --severe-fill: #e2685f;
          }
        }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
        a { color: var(--accent); text-decoration: none; }
        a:hover { text-decoration: underline; }
        :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
        .skip { position: absolute; left: -999px; }
        .skip:focus { left: 8px; top: 8px; background: var(--card); padding: 8px; z-index: 2; }
        header { background: var(--card); border-bottom: 1px solid var(--line); }
        .bar-top { max-width: 1240px; margin: 0 auto; padding: 10px 20px; display: flex; flex-wrap: wrap; gap: 6px 22px; align-items: center; }
        .logo { font-weight: 700; font-size: 18px; color: var(--ink); display: flex; align-items: center; gap: 8px; }
        .logo svg { width: 26px; height: 26px; }
        nav { display: flex; flex-wrap: wrap; gap: 4px; }
        nav a { padding: 5px 11px; border-radius: 6px; color: var(--soft); }
        nav a[aria-current] { background: var(--ground); color: var(--ink); font-weight: 600; }
        .where { margin-left: auto; color: var(--soft); font-size: 13px; }
        main { max-width: 1240px; margin: 0 auto; padding: 18px 20px 48px; }
        h1 { font-size: 21px; margin: 6px 0 14px; overflow-wrap: anywhere; }
        h2 { font-size: 16px; margin: 0; }
        .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px; margin-bottom: 18px; }
        .head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 8px; margin-bottom: 10px; align-items: baseline; }
        .head p { margin: 0; color: var(--soft); font-size: 13px; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-bottom: 18px; }
        .tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; }
        .tile b { display: block; font-size: 24px; line-height: 1.25; font-variant-numeric: tabular-nums; }
        .tile span { color: var(--soft); font-size: 13px; }
        .tile.bad b { color: var(--limited); }
        .two { display: grid; grid-template-columns: 1fr 1fr; gap: 18px; }
        .problem { border-left: 5px solid var(--warning-fill); }
        .problem ul { margin: 6px 0 0; padding-left: 20px; }
        table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
        th { text-align: left; font-size: 12px; color: var(--soft); font-weight: 600; padding: 6px 10px 6px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
        td { padding: 7px 10px 7px 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
        tr:last-child td { border-bottom: 0; }
        .n { text-align: right; white-space: nowrap; }
        .id { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px; overflow-wrap: anywhere; }
        .sql { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; overflow-wrap: anywhere; color: var(--ink); max-width: 560px; }
        pre { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; max-height: 360px; overflow: auto; }
        .verdict { font-weight: 600; white-space: nowrap; }
        .verdict.ok { color: var(--ok); } .verdict.warning { color: var(--warning); }
        .verdict.limited { color: var(--limited); } .verdict.severe { color: var(--severe); }
        .soft { color: var(--soft); font-size: 13px; }
        .gauge .track { fill: var(--line); } .gauge .possible { opacity: .35; } .gauge .full { stroke: var(--ink); stroke-width: 1.5; }
        .gauge.ok .used, .gauge.ok .possible { fill: var(--ok-fill); }
        .gauge.warning .used, .gauge.warning .possible { fill: var(--warning-fill); }
        .gauge.limited .used, .gauge.limited .possible { fill: var(--limited-fill); }
        .gauge.severe .used, .gauge.severe .possible { fill: var(--severe-fill); }
        .spark rect { fill: var(--water); }
        .chart { width: 100%; height: auto; display: block; }
        .chart .bar { fill: var(--water); } .chart .bar:hover { fill: var(--accent); }
        .chart .grid { stroke: var(--line); stroke-width: 1; } .chart .axis { fill: var(--soft); font-size: 11px; }
        .tabs { display: flex; flex-wrap: wrap; gap: 4px; }
        .tabs a { padding: 3px 10px; border: 1px solid var(--line); border-radius: 6px; color: var(--soft); font-size: 13px; }
        .tabs a[aria-current] { background: var(--accent); border-color: var(--accent); color: var(--card); }
        .empty { color: var(--soft); margin: 4px 0; }
        footer { max-width: 1240px; margin: 0 auto; padding: 0 20px 30px; color: var(--soft); font-size: 13px; }
        @media (max-width: 720px) {
          .two { grid-template-columns: 1fr; gap: 0; }
          .where { margin-left: 0; width: 100%; }
          main { padding: 14px 12px 40px; }
          .tiles { grid-template-columns: 1fr 1fr; }
          thead { position: absolute; left: -9999px; }
          table, tbody, tr, td { display: block; width: 100%; }
          tr { padding: 9px 0; border-bottom: 1px solid var(--line); }
          tr:last-child { border-bottom: 0; }
          td, td.n { border: 0; padding: 2px 0; text-align: left; white-space: normal; }
          td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); font-size: 13px; }
        }
        @media print { header nav, .tabs, footer { display: none; } }

        """
}

/// The one script: brings the page up to date every ten seconds while somebody looks at it.
enum Script {
    static let text = """
        "use strict";
        setInterval(async () => {
          if (document.hidden || String(getSelection())) return;
          try {
            const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
            if (!answer.ok) return;
            const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
            const old = document.querySelector("main"), now = fresh.querySelector("main");
            const focus = document.activeElement && document.activeElement.getAttribute("href");
            if (!now || old.innerHTML === now.innerHTML) return;
            old.innerHTML = now.innerHTML;
            if (focus) for (const link of old.querySelectorAll("a")) if (link.getAttribute("href") === focus) link.focus();
          } catch (error) { /* the daemon is away: the page stays as it is */ }
        }, 10000);

        """
}
