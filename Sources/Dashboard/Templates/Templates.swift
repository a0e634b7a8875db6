// SPDX-License-Identifier: Apache-2.0

/// The templates, as Mustache (mustache(5)) has them: `{{…}}` is escaped, `{{{…}}}` only stands for pictures of our own.
enum Templates {
    static let all: [String: String] = [
        "layout": layout, "now": now, "users": users, "user": user, "patterns": patterns, "pattern": pattern,
        "limits": limits, "audit": audit, "userRows": userRows, "patternRows": patternRows, "auditRows": auditRows,
        "tabs": tabs, "missing": missing, "report": report,
    ]

    private static let logo = """
        <svg viewBox="0 0 32 32" aria-hidden="true"><path d="M2 9c4-3 8 3 12 0s8 3 12 0" fill="none" stroke="#2f8fb5" \
        stroke-width="3" stroke-linecap="round"/><path d="M4 15h24v4H4z" fill="#0a6a8f"/><path d="M8 21v8M16 21v8M24 21v8" \
        stroke="#2f8fb5" stroke-width="3" stroke-linecap="round"/></svg>
        """

    private static let layout = """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <title>{{title}} · pgweir</title><link rel="stylesheet" href="/style.css"><link rel="icon" href="/icon.svg">
        <script src="/page.js" defer></script></head><body>
        <a class="skip" href="#content">To the content</a>
        <header><div class="bar-top"><a class="logo" href="/">\(logo)pgweir</a>
        <nav aria-label="Pages">{{#nav}}<a href="{{href}}"{{#isCurrent}} aria-current="page"{{/isCurrent}}>{{name}}</a>{{/nav}}</nav>
        <span class="where">{{where}}</span></div></header>
        <main id="content">{{{content}}}</main>
        <footer>pgweir {{version}} · <a href="/metrics">metrics</a> · <a href="/api/v1/status">API</a> · times are UTC ·
        read only: orders go by <code>pgweir quota</code></footer>
        </body></html>

        """

    private static let now = """
        <h1>Now</h1>
        {{#hasProblems}}<section class="card problem" role="status"><h2>Needs attention</h2>
        <ul>{{#problems}}<li>{{.}}</li>{{/problems}}</ul></section>{{/hasProblems}}
        <div class="tiles">{{#tiles}}<div class="tile{{#isBad}} bad{{/isBad}}"><b>{{value}}</b><span>{{name}}</span></div>{{/tiles}}</div>
        {{#verification}}<p class="soft">{{.}}</p>{{/verification}}
        {{#hasMinutes}}<div class="two"><section class="card"><div class="head"><h2>Cost per minute</h2><p>units, last hour</p></div>{{{costChart}}}</section>
        <section class="card"><div class="head"><h2>Statements per minute</h2><p>last hour</p></div>{{{callsChart}}}</section></div>{{/hasMinutes}}
        <section class="card"><div class="head"><h2>Users against their budgets</h2><p><a href="/users">all {{userCount}}</a></p></div>{{> userRows}}</section>
        <section class="card"><div class="head"><h2>Patterns by cost</h2><p>{{patternSpan}} · <a href="/patterns">more</a></p></div>{{> patternRows}}</section>
        {{^showsNames}}<p class="soft">Users are shown by their hash, as in logs and metrics; <code>privacy.user_names: page</code> shows names here.</p>{{/showsNames}}
        """

    private static let users = """
        <h1>Users</h1><section class="card"><div class="head"><h2>{{userCount}} users</h2><p>{{#shown}}{{.}} of them, {{/shown}}the fullest budgets first</p></div>{{> userRows}}</section>
        {{#unattributed}}<p class="soft">{{.}}</p>{{/unattributed}}
        """

    private static let userRows = """
        {{^hasUsers}}<p class="empty">Nobody was active yet.</p>{{/hasUsers}}{{#hasUsers}}
        <table><thead><tr><th scope="col">User</th><th scope="col">Tier</th><th scope="col">Fullest budget</th><th scope="col" class="n">Used</th>
        <th scope="col">Verdict</th><th scope="col">What is done</th><th scope="col" class="n">Statements</th><th scope="col" class="n">Cost units</th></tr></thead><tbody>
        {{#users}}<tr><td><a class="id" href="/users/{{id}}">{{title}}</a></td><td data-label="Tier">{{tier}} <span class="soft">{{mode}}</span></td>
        <td data-label="Fullest budget">{{{gauge}}}</td><td class="n" data-label="Used">{{used}}</td><td data-label="Verdict"><span class="verdict {{verdict}}">{{verdict}}</span></td>
        <td data-label="What is done">{{action}}</td><td class="n" data-label="Statements">{{statements}}</td><td class="n" data-label="Cost units">{{cost}}</td></tr>{{/users}}
        </tbody></table>{{/hasUsers}}
        """

    private static let user = """
        <h1>{{title}}</h1>
        <div class="tiles"><div class="tile"><b><span class="verdict {{verdict}}">{{verdict}}</span></b><span>{{since}}</span></div>
        <div class="tile"><b>{{used}}</b><span>of the fullest budget</span></div><div class="tile"><b>{{action}}</b><span>tier {{tier}}, mode {{mode}}</span></div>
        <div class="tile"><b>{{cost}}</b><span>cost units since the start</span></div></div>
        {{#override}}<section class="card problem"><h2>Decided by a person</h2><p>{{.}}</p></section>{{/override}}
        <section class="card"><div class="head"><h2>Budgets</h2></div>{{^hasBudgets}}<p class="empty">None: the tier has no limits, or nobody judges it.</p>{{/hasBudgets}}
        {{#hasBudgets}}<table><thead><tr><th scope="col">Window</th><th scope="col">Full</th><th scope="col" class="n">Used</th><th scope="col" class="n">Units</th><th scope="col" class="n">Possibly</th>
        <th scope="col" class="n">Budget</th><th scope="col">Comes back</th></tr></thead><tbody>
        {{#budgets}}<tr><td>{{window}}</td><td data-label="Full">{{{gauge}}}</td><td class="n" data-label="Used">{{share}}</td><td class="n" data-label="Units">{{used}}</td>
        <td class="n" data-label="Possibly">{{possible}}</td><td class="n" data-label="Budget">{{budget}}</td><td data-label="Comes back">{{resets}}</td></tr>{{/budgets}}</tbody></table>{{/hasBudgets}}</section>
        {{#hasEnforcement}}<section class="card"><div class="head"><h2>Limits at the backends</h2></div><table><thead><tr><th scope="col">Backend</th><th scope="col">State</th>
        <th scope="col" class="n">Allowed</th><th scope="col" class="n">Seen</th><th scope="col">Why</th></tr></thead><tbody>{{#enforcement}}<tr><td>{{backend}}</td><td data-label="State">{{state}}</td>
        <td class="n" data-label="Allowed">{{connections}}</td><td class="n" data-label="Seen">{{observed}}</td><td data-label="Why">{{reason}}</td></tr>{{/enforcement}}</tbody></table></section>{{/hasEnforcement}}
        <section class="card"><div class="head"><h2>Cost</h2>{{> tabs}}</div>{{{chart}}}{{^chart}}<p class="empty">Nothing in this span.</p>{{/chart}}</section>
        <section class="card"><div class="head"><h2>Patterns by cost</h2><p>{{span}}</p></div>{{> patternRows}}</section>
        <section class="card"><div class="head"><h2>What was done</h2></div>{{> auditRows}}</section>
        """

    private static let tabs = """
        <div class="tabs">{{#tabs}}<a href="{{href}}"{{#isCurrent}} aria-current="true"{{/isCurrent}}>{{name}}</a>{{/tabs}}</div>
        """

    private static let patterns = """
        <h1>Patterns</h1><section class="card"><div class="head"><h2>{{patternCount}} patterns</h2>{{> tabs}}</div>{{> patternRows}}</section>
        """

    private static let patternRows = """
        {{^hasPatterns}}<p class="empty">None was seen in this span.</p>{{/hasPatterns}}{{#hasPatterns}}
        <table><thead><tr><th scope="col">Pattern</th><th scope="col">Database</th><th scope="col" class="n">Cost units</th><th scope="col" class="n">Share</th>
        <th scope="col">Trend</th><th scope="col" class="n">Calls</th><th scope="col" class="n">Time</th><th scope="col" class="n">p50</th><th scope="col" class="n">p95</th><th scope="col" class="n">Errors</th></tr></thead><tbody>
        {{#patterns}}<tr><td><a class="sql" href="/patterns/{{fingerprint}}">{{title}}</a></td><td data-label="Database">{{database}}</td><td class="n" data-label="Cost units">{{cost}}</td>
        <td class="n" data-label="Share">{{share}}</td><td data-label="Trend">{{{spark}}}</td><td class="n" data-label="Calls">{{calls}}</td><td class="n" data-label="Time">{{time}}</td>
        <td class="n" data-label="p50">{{p50}}</td><td class="n" data-label="p95">{{p95}}</td><td class="n" data-label="Errors">{{errors}}</td></tr>{{/patterns}}
        </tbody></table>{{/hasPatterns}}
        """

    private static let pattern = """
        <h1>Pattern <span class="id">{{fingerprint}}</span></h1>
        <section class="card"><pre>{{text}}</pre></section>
        <div class="tiles">{{#tiles}}<div class="tile"><b>{{value}}</b><span>{{name}}</span></div>{{/tiles}}</div>
        <section class="card"><div class="head"><h2>Cost</h2>{{> tabs}}</div>{{{chart}}}{{^chart}}<p class="empty">Nothing in this span.</p>{{/chart}}</section>
        <section class="card"><div class="head"><h2>Who runs it</h2><p>{{span}}</p></div>{{^hasRunners}}<p class="empty">Nobody in this span.</p>{{/hasRunners}}
        {{#hasRunners}}<table><thead><tr><th scope="col">User</th><th scope="col" class="n">Cost units</th><th scope="col" class="n">Calls</th><th scope="col" class="n">Time</th><th scope="col" class="n">Errors</th></tr></thead><tbody>
        {{#runners}}<tr><td>{{#id}}<a class="id" href="/users/{{id}}">{{title}}</a>{{/id}}{{^id}}{{title}}{{/id}}</td><td class="n" data-label="Cost units">{{cost}}</td><td class="n" data-label="Calls">{{calls}}</td>
        <td class="n" data-label="Time">{{time}}</td><td class="n" data-label="Errors">{{errors}}</td></tr>{{/runners}}</tbody></table>{{/hasRunners}}</section>
        <p class="soft">Its price: <code>pgweir cost show {{fingerprint}}</code></p>
        """

    private static let limits = """
        <h1>Limits in force</h1>
        <section class="card"><div class="head"><h2>{{count}}</h2><p>{{lease}}</p></div>{{^hasLimits}}<p class="empty">Nobody is limited.</p>{{/hasLimits}}
        {{#hasLimits}}<table><thead><tr><th scope="col">User</th><th scope="col">Verdict</th><th scope="col">What is done</th><th scope="col">Since</th><th scope="col">At</th><th scope="col">By a person</th></tr></thead><tbody>
        {{#limits}}<tr><td><a class="id" href="/users/{{id}}">{{title}}</a></td><td data-label="Verdict"><span class="verdict {{verdict}}">{{verdict}}</span></td><td data-label="What is done">{{action}}</td>
        <td data-label="Since">{{since}}</td><td data-label="At">{{where}}</td><td data-label="By a person">{{override}}</td></tr>{{/limits}}</tbody></table>{{/hasLimits}}</section>
        <p class="soft">All at once: <code>pgweir quota release-all</code>, which works with everything else down.</p>
        """

    private static let audit = """
        <h1>Audit trail</h1><section class="card"><div class="head"><h2>Who limited whom, and why</h2><p>the latest first</p></div>{{> auditRows}}</section>
        """

    private static let auditRows = """
        {{^hasEntries}}<p class="empty">Nothing was done.</p>{{/hasEntries}}{{#hasEntries}}
        <table><thead><tr><th scope="col">Time</th><th scope="col">Event</th><th scope="col">User</th><th scope="col">By</th><th scope="col">Details</th></tr></thead><tbody>
        {{#entries}}<tr><td class="soft">{{time}}</td><td data-label="Event"><b>{{event}}</b></td><td data-label="User">{{#user}}<a class="id" href="/users/{{user}}">{{title}}</a>{{/user}}</td>
        <td data-label="By">{{actor}}</td><td class="soft" data-label="Details">{{details}}</td></tr>{{/entries}}</tbody></table>{{/hasEntries}}
        """

    private static let missing = """
        <h1>{{title}}</h1><section class="card"><p>{{text}}</p><p><a href="/">To the first page</a></p></section>
        """

    private static let report = """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <title>{{title}}</title><style>{{{style}}}</style></head><body>
        <header><div class="bar-top"><span class="logo">\(logo)pgweir</span><span class="where">{{where}}</span></div></header><main>
        <h1>{{title}}</h1><div class="tiles">{{#tiles}}<div class="tile"><b>{{value}}</b><span>{{name}}</span></div>{{/tiles}}</div>
        <section class="card"><div class="head"><h2>Cost over time</h2><p>units, UTC</p></div>{{{chart}}}{{^chart}}<p class="empty">Nothing in this span.</p>{{/chart}}</section>
        {{#hasRunners}}<section class="card"><div class="head"><h2>{{groups}}</h2></div><table><thead><tr><th scope="col">{{group}}</th><th scope="col" class="n">Cost units</th><th scope="col" class="n">Share</th><th scope="col" class="n">Calls</th><th scope="col" class="n">Time</th><th scope="col" class="n">Errors</th></tr></thead><tbody>
        {{#runners}}<tr><td><span class="id">{{title}}</span></td><td class="n" data-label="Cost units">{{cost}}</td><td class="n" data-label="Share">{{share}}</td><td class="n" data-label="Calls">{{calls}}</td><td class="n" data-label="Time">{{time}}</td><td class="n" data-label="Errors">{{errors}}</td></tr>{{/runners}}</tbody></table></section>{{/hasRunners}}
        {{#hasPatterns}}<section class="card"><div class="head"><h2>Patterns</h2></div><table><thead><tr><th scope="col">Pattern</th><th scope="col">Database</th><th scope="col" class="n">Cost units</th><th scope="col" class="n">Share</th><th scope="col">Trend</th><th scope="col" class="n">Calls</th><th scope="col" class="n">Time</th><th scope="col" class="n">p50</th><th scope="col" class="n">p95</th><th scope="col" class="n">p99</th></tr></thead><tbody>
        {{#patterns}}<tr><td><span class="sql">{{title}}</span><span class="soft id">{{fingerprint}}</span></td><td data-label="Database">{{database}}</td><td class="n" data-label="Cost units">{{cost}}</td><td class="n" data-label="Share">{{share}}</td><td data-label="Trend">{{{spark}}}</td><td class="n" data-label="Calls">{{calls}}</td><td class="n" data-label="Time">{{time}}</td><td class="n" data-label="p50">{{p50}}</td><td class="n" data-label="p95">{{p95}}</td><td class="n" data-label="p99">{{p99}}</td></tr>{{/patterns}}</tbody></table></section>{{/hasPatterns}}
        </main><footer>Made by pgweir {{version}} at {{time}}.</footer></body></html>

        """

    /// For the browser's tab.
    static let icon = """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M2 9c4-3 8 3 12 0s8 3 12 0" fill="none" \
        stroke="#2f8fb5" stroke-width="3" stroke-linecap="round"/><path d="M4 15h24v4H4z" fill="#0a6a8f"/>\
        <path d="M8 21v8M16 21v8M24 21v8" stroke="#2f8fb5" stroke-width="3" stroke-linecap="round"/></svg>
        """
}
