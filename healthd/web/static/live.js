// Keeps a page fresh: fetches it again every few seconds and changes only what differs, so that scroll position,
// focus, open details and half-written forms stay. Without this script the page shows the same, as of its loading.
"use strict";
(() => {
  const main = document.querySelector("main[data-refresh]");
  const banner = document.getElementById("live");
  const every = Number(main?.dataset.refresh) * 1000;
  let timer = 0, last = new Date(), running = false;

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
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.status >= 500) throw new Error(String(answer.status));
      if (answer.ok && !answer.redirected) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of ["main", "header", "footer"]) morph(fresh.querySelector(part), document.querySelector(part));
        document.title = fresh.title;
        last = new Date();
        say("");
      } else if (answer.status === 401) {
        say("The session is over: load the page again to sign in.");
      } else {
        say(`This page is no longer there (${answer.status}). It shows what was at ${last.toLocaleTimeString()}.`);
      }
    } catch {
      say(`healthd does not answer. This page shows what was at ${last.toLocaleTimeString()}.`);
    } finally {
      running = false;
      plan();
    }
  }

  function plan() {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(refresh, every);
  }

  // A link from elsewhere comes without the session's cookie; from here it goes with it.
  async function comeBack() {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.ok) location.replace(location.href);
  }

  if (document.getElementById("needs-session")) comeBack().catch(() => {});
  else if (every > 0) {
    document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
    plan();
  }
})();
