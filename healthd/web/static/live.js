// Keeps a page fresh: fetches it again every few seconds and changes only what differs, so that scroll position,
// focus, open details and half-written forms stay. Without this script the page shows the same, as of its loading.
"use strict";
(() => {
  const main = document.querySelector("main[data-refresh]");
  const banner = document.getElementById("live");
  const every = Number(main?.dataset.refresh) * 1000;
  let timer = 0, last = new Date(), running = false, took = 0, ahead = 0;
  let tag = main?.dataset.tag || "";

  // As the server writes them: 12s, 4m 10s, 3h, 2d 4h.
  function duration(seconds) {
    const total = Math.round(seconds);
    const parts = [[Math.floor(total / 86400), "d"], [Math.floor(total / 3600) % 24, "h"], [Math.floor(total / 60) % 60, "m"], [total % 60, "s"]];
    const first = parts.findIndex(([number]) => number);
    return first < 0 ? "0s" : parts.slice(first, first + 2).filter(([number]) => number).map(([number, unit]) => number + unit).join(" ");
  }

  const words = {
    ago: (past) => (Math.abs(past) < 1 ? "now" : past > 0 ? `${duration(past)} ago` : `in ${duration(-past)}`),
    soon: (past) => (past >= 0 ? "now" : `in ${duration(-past)}`),
    for: (past) => duration(Math.max(0, past)),
  };

  // Times that pass are counted on here, so that a page in which nothing else changes need not be sent again.
  function count() {
    const now = Date.now() + ahead;
    for (const element of document.querySelectorAll("time[data-live]")) {
      const say = words[element.dataset.live];
      const text = say && say((now - Date.parse(element.dateTime)) / 1000);
      if (text && element.textContent !== text) element.textContent = text;
    }
  }

  function asOf(moment) {
    last = new Date();
    ahead = moment - last;
    const shown = document.querySelector("time[data-live=now]");
    const text = new Date(moment).toISOString();
    shown.dateTime = text;
    shown.textContent = `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
    say("");
  }

  const key = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id || node.getAttribute("aria-labelledby") || node.getAttribute("name") || "" : "");

  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b);

  function copyAttributes(from, to) {
    const kept = (name) => (to.nodeName === "DETAILS" && name === "open") || (to.nodeName === "INPUT" && name === "value" && to.type !== "hidden");
    for (const { name } of [...to.attributes]) if (!from.hasAttribute(name) && !kept(name)) to.removeAttribute(name);
    for (const { name, value } of from.attributes) if (to.getAttribute(name) !== value && !kept(name)) to.setAttribute(name, value);
  }

  function morph(from, to) {
    if (from.isEqualNode(to)) return;
    copyAttributes(from, to);
    let old = to.firstChild;
    for (const fresh of [...from.childNodes]) {
      if (old && key(fresh) && !alike(fresh, old)) {
        const known = [...to.children].find((child) => alike(child, fresh));
        if (known) { to.insertBefore(known, old); old = known; }
      }
      if (!old || !alike(fresh, old)) { to.insertBefore(fresh, old); continue; }
      if (fresh.nodeType === Node.ELEMENT_NODE) morph(fresh, old);
      else if (fresh.data !== old.data) old.data = fresh.data;
      old = old.nextSibling;
    }
    while (old) { const next = old.nextSibling; old.remove(); old = next; }
  }

  function say(text) {
    if (banner.textContent !== text) banner.textContent = text;
    banner.hidden = !text;
    document.body.classList.toggle("stale", Boolean(text));
  }

  async function refresh() {
    if (running) return;
    running = true;
    const began = performance.now();
    try {
      const known = tag ? { "If-None-Match": `W/"${tag}"` } : {};
      const answer = await fetch(location.href, { headers: { Accept: "text/html", ...known }, cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.status >= 500) throw new Error(String(answer.status));
      if (answer.status === 304) {
        asOf(Date.parse(answer.headers.get("Date")));
      } else if (answer.ok && !answer.redirected) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of ["main", "header", "footer"]) {
          const [from, to] = [fresh.querySelector(part), document.querySelector(part)];
          if (from && to) morph(from, to);
        }
        document.title = fresh.title;
        tag = main.dataset.tag;
        asOf(Date.parse(fresh.querySelector("time[data-live=now]").dateTime));
      } else if (answer.status === 401) {
        say("The session is over: load the page again to sign in.");
      } else {
        say(`This page is no longer there (${answer.status}). It shows what was at ${last.toLocaleTimeString()}.`);
      }
    } catch {
      say(`healthd does not answer. This page shows what was at ${last.toLocaleTimeString()}.`);
    } finally {
      running = false;
      took = performance.now() - began;
      plan();
    }
  }

  function plan() {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(refresh, Math.max(every, 10 * took)); // a server that is slow is asked less often
  }

  // A link from elsewhere comes without the session's cookie; from here it goes with it.
  async function comeBack() {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.ok) location.replace(location.href);
  }

  if (document.getElementById("needs-session")) comeBack().catch(() => {});
  else if (every > 0) {
    document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
    ahead = Date.parse(document.querySelector("time[data-live=now]").dateTime) - performance.timeOrigin - performance.now();
    setInterval(() => { if (!document.hidden) count(); }, 1000);
    plan();
  }
})();
