# SPDX-License-Identifier: Apache-2.0
"""Opens pages in Chromium by its debugging port, and says of each whether it is fit to be looked at.

Usage: browsing.py PORT URL SCREENSHOTS PATH...
"""
import base64
import json
import os
import sys
import time
import urllib.request

import websocket

port, url, screens, paths = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
pages = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/json").read())
channel = websocket.create_connection([p for p in pages if p["type"] == "page"][0]["webSocketDebuggerUrl"], timeout=30)
number, events = 0, []


def call(method, **parameters):
    global number
    number += 1
    channel.send(json.dumps({"id": number, "method": method, "params": parameters}))
    while True:
        message = json.loads(channel.recv())
        if message.get("id") == number:
            return message.get("result", {})
        events.append(message)


def evaluate(expression):
    return call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)["result"].get("value")


# Contrast as WCAG 2.1 §1.4.3 defines it, of every text against the nearest ground that is not transparent.
CONTRAST = """(() => {
  const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const parse = t => (t.match(/[\\d.]+/g) || []).map(Number);
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest(".skip") || !e.getClientRects().length) continue;
    const svg = e instanceof SVGElement;
    const ink = parse(svg ? getComputedStyle(e).fill : getComputedStyle(e).color);
    let ground = null;
    for (let p = e; p && !ground; p = p.parentElement) {
      const c = parse(getComputedStyle(p).backgroundColor);
      if (c.length && (c.length < 4 || c[3] > 0)) ground = c;
    }
    const [a, b] = [light(ink), light(ground || [255, 255, 255])];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(e.tagName + "." + e.className + " " + ratio.toFixed(2) + " " + e.textContent.trim().slice(0, 20));
  }
  return bad.slice(0, 5);
})()"""
MARKUP = """(() => {
  const bad = [];
  if (!document.documentElement.lang) bad.push("no language");
  if (document.querySelectorAll("h1").length !== 1) bad.push("not one h1");
  for (const t of document.querySelectorAll("th")) if (!t.scope) bad.push("th without scope");
  for (const s of document.querySelectorAll("main svg")) if (!s.getAttribute("aria-label")) bad.push("picture without a label");
  for (const a of document.querySelectorAll("a")) if (!a.textContent.trim()) bad.push("link without a text");
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  if (new Set(ids).size !== ids.length) bad.push("an id twice");
  return bad;
})()"""

for domain in ["Page", "Runtime", "Log"]:
    call(domain + ".enable")
for path in paths:
    for width, scheme in [(1440, "light"), (390, "dark")]:
        call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        events.clear()
        call("Page.navigate", url=url + path)
        for _ in range(50):
            if evaluate("document.readyState") == "complete" and evaluate("location.pathname") != "blank":
                break
            time.sleep(0.1)
        faults = evaluate(MARKUP) + evaluate(CONTRAST)
        if evaluate("document.documentElement.scrollWidth") > width:
            faults.append(f"wider than the screen: {evaluate('document.documentElement.scrollWidth')}")
        if len(evaluate("document.querySelector('main').textContent")) < 20:
            faults.append("empty")
        for event in events:
            text = json.dumps(event.get("params", {}))
            expected = path == "/nosuch" and "404" in text
            if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded") and not expected:
                faults.append("console: " + text[:200])
        # Every link can be reached by the keyboard: none is taken out of the order.
        if evaluate("[...document.querySelectorAll('a')].some(a => a.tabIndex < 0)"):
            faults.append("a link that the keyboard does not reach")
        print(f"{'BAD' if faults else 'ok'} {path} at {width} in {scheme}" + (f": {faults}" if faults else ""), flush=True)
        if screens:
            shot = call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
            name = path.strip("/").replace("/", "-").replace("?", "-")[:30] or "now"
            with open(os.path.join(screens, f"{name}-{width}.png"), "wb") as file:
                file.write(base64.b64decode(shot["data"]))
